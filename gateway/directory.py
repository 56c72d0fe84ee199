"""Who exists: tokens, tenants and products of the registry, remembered for at most 30 s."""

from typing import Literal

from gateway.cache import Cache
from gateway.metrics import Metrics
from schemas.tenants import REF_CHARACTERS_MAX, Tenant, TenantRef, Token
from stores.base import Registry

KNOWN_MAX = 50_000
UNKNOWN_MAX = 10_000


class Directory:
    """All methods raise StoreUnavailable for what is not remembered while the registry is down."""

    def __init__(self, registry: Registry, *, fresh_s: float, metrics: Metrics) -> None:
        bounds = {"known_max": KNOWN_MAX, "unknown_max": UNKNOWN_MAX}
        self._tokens: Cache[bytes, Token] = Cache(
            "tokens", registry.find_tokens, fresh_s=fresh_s, metrics=metrics, **bounds
        )
        self._tenants: Cache[TenantRef, Tenant] = Cache(
            "tenants", registry.find_tenants, fresh_s=fresh_s, metrics=metrics, **bounds
        )
        self._products: Cache[tuple[int, int], Literal[True]] = Cache(
            "products", registry.find_products, fresh_s=fresh_s, metrics=metrics, **bounds
        )

    async def token(self, secret_sha256: bytes) -> Token | None:
        """Return the token of a secret, also a revoked or expired one."""
        return await self._tokens.get(secret_sha256)

    async def tenant(self, ref: TenantRef) -> Tenant | None:
        """Return a tenant, active or not."""
        # No tenant has such a name. It is not asked for, and not remembered: senders choose it.
        if len(ref.value) > REF_CHARACTERS_MAX:
            return None
        return await self._tenants.get(ref)

    async def has_product(self, tenant_id: int, product_id: int) -> bool:
        """Tell whether the product is one of the tenant's own."""
        return await self._products.get((tenant_id, product_id)) is True
