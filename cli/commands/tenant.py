"""`penstock tenant add|list|set|revoke|restore`: the shops and apps that send events."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from cli.options import REGISTRY, with_settings
from schemas.settings import Settings

if TYPE_CHECKING:
    from stores.registry import SqlRegistry


@click.group("tenant", short_help="Manage tenants: add, list, set, revoke, restore.")
def command() -> None:
    """Manage tenants. TENANT is a numeric id, a UUID or a slug."""


@command.command("add")
@click.argument("slug")
@click.argument("name")
@click.option("--uuid", help="Its UUID; a fresh one if it is not given.")
@click.option("--id", "tenant_id", type=int, help="Its number; the next one if it is not given.")
@with_settings(*REGISTRY)
def add(settings: Settings, *, slug: str, name: str, uuid: str | None, tenant_id: int | None) -> None:
    """Add a tenant."""
    from cli.registry import ask

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        return [await registry.add_tenant(slug, name, uuid=uuid, id=tenant_id)]

    ask(settings, work)


@command.command("list")
@with_settings(*REGISTRY)
def show(settings: Settings) -> None:
    """List all tenants."""
    from cli.registry import ask

    ask(settings, lambda registry: registry.list_tenants())


@command.command("set")
@click.argument("tenant")
@click.argument("values", metavar="JSON")
@with_settings(*REGISTRY)
def change(settings: Settings, *, tenant: str, values: str) -> None:
    """Change a tenant's own settings, as in '{"events_days": 90}'; those not named stay."""
    import msgspec

    from cli.errors import CommandFailed
    from cli.limits import refuse_unknown
    from cli.registry import ask, find_tenant
    from schemas.tenants import TenantSettings

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        try:
            given = msgspec.json.decode(values, type=dict[str, Any])
            unknown = set(given) - set(TenantSettings.__struct_fields__)
            merged = msgspec.convert(msgspec.structs.asdict(found.settings) | given, TenantSettings)
        except msgspec.DecodeError as error:
            raise CommandFailed(f"these settings are not usable: {error}") from None
        if unknown:
            names = ", ".join(TenantSettings.__struct_fields__)
            raise CommandFailed(f"a tenant has no setting {min(unknown)!r}; it has {names}")
        refuse_unknown(merged.limits)
        await registry.update_tenant_settings(found.id, merged)
        return [await find_tenant(registry, tenant)]

    ask(settings, work)


@command.command("revoke")
@click.argument("tenant")
@with_settings(*REGISTRY)
def revoke(settings: Settings, *, tenant: str) -> None:
    """Refuse a tenant's events from now on (within 30 s); nothing stored is lost."""
    _switch(settings, tenant, active=False)


@command.command("restore")
@click.argument("tenant")
@with_settings(*REGISTRY)
def restore(settings: Settings, *, tenant: str) -> None:
    """Take a revoked tenant's events again."""
    _switch(settings, tenant, active=True)


def _switch(settings: Settings, tenant: str, *, active: bool) -> None:
    from cli.registry import ask, find_tenant

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        await registry.set_tenant_active(found.id, active)
        return [await find_tenant(registry, tenant)]

    ask(settings, work)
