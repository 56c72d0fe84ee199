"""Demo credentials: they are published in the documentation, so they open nothing but loopback."""

from schemas.tenants import TenantRef
from stores.base import Registry
from stores.registry.errors import EntryRefused
from stores.registry.registry import SqlRegistry
from stores.registry.tenants import now_ms
from stores.registry.tokens import secret_sha256

TENANT_ID = 1
TENANT_UUID = "00000000-0000-4000-8000-000000000001"
TENANT_SLUG = "mi-negocio"
PRODUCTS = (101, 102)

RELO_SECRET = "dev-relo-token"  # noqa: S105
RELO_CLIENT_IDS = (3, 7)
ALANA_SECRET = "ak_dev"  # noqa: S105
REDO_SECRET = "dev-redo-secret"  # noqa: S105
REDO_STORE = "dev-store"
ADMIN_SECRET = "dev-admin-token"  # noqa: S105

SECRETS = (RELO_SECRET, ALANA_SECRET, REDO_SECRET, ADMIN_SECRET)


async def seed_demo(registry: SqlRegistry) -> None:
    """Enter the demo tenant, its products and its tokens where they are not there yet.

    A token that was revoked stays revoked. Raises EntryRefused where a real tenant has the demo's place.
    """
    tenant = await registry.tenant(TenantRef("id", str(TENANT_ID)))
    if tenant is None:
        await registry.add_tenant(TENANT_SLUG, "Mi Negocio (demo)", uuid=TENANT_UUID, id=TENANT_ID)
    elif (tenant.slug, tenant.uuid) != (TENANT_SLUG, TENANT_UUID):
        raise EntryRefused(f"Tenant 1 is {tenant.slug!r}: the demo needs a registry of its own.")
    for product_id in PRODUCTS:
        await registry.add_product(TENANT_ID, product_id)
    for dialect, secret, scopes, client_ids, store in (
        ("relo", RELO_SECRET, ("write", "read"), RELO_CLIENT_IDS, ""),
        ("alana", ALANA_SECRET, ("write",), (), ""),
        ("redo", REDO_SECRET, ("write", "read"), (), REDO_STORE),
        ("", ADMIN_SECRET, ("write", "read", "admin"), (), ""),
    ):
        if await registry.token(secret_sha256(secret)) is None:
            await registry.add_token(
                TENANT_ID,
                dialect,
                scopes=scopes,
                client_ids=client_ids,
                store=store,
                secret=secret,
                key_id=f"demo-{dialect or 'admin'}",
            )


async def has_demo(registry: Registry) -> bool:
    """Tell whether a demo credential would be accepted now. Raises StoreUnavailable."""
    now = now_ms()
    found = await registry.find_tokens([secret_sha256(secret) for secret in SECRETS])
    return any(
        not token.revoked and (token.expires_at is None or token.expires_at > now) for token in found.values()
    )
