"""`penstock product add|list|revoke`: the products that a tenant's public events may name."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from cli.options import REGISTRY, with_settings
from schemas.settings import Settings

if TYPE_CHECKING:
    from stores.registry import SqlRegistry


@click.group("product", short_help="Manage the products that public events may name: add, list, revoke.")
def command() -> None:
    """Manage products. TENANT is a numeric id, a UUID or a slug."""


@command.command("add")
@click.argument("tenant")
@click.argument("product_id", type=int)
@click.argument("name", default="")
@with_settings(*REGISTRY)
def add(settings: Settings, *, tenant: str, product_id: int, name: str) -> None:
    """Add a product to a tenant; one that is there stays as it is."""
    from cli.registry import ask, find_tenant

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        await registry.add_product(found.id, product_id, name)
        return [entry for entry in await registry.list_products(found.id) if entry.product_id == product_id]

    ask(settings, work)


@command.command("list")
@click.argument("tenant")
@with_settings(*REGISTRY)
def show(settings: Settings, *, tenant: str) -> None:
    """List a tenant's products."""
    from cli.registry import ask, find_tenant

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        return await registry.list_products((await find_tenant(registry, tenant)).id)

    ask(settings, work)


@command.command("revoke")
@click.argument("tenant")
@click.argument("product_id", type=int)
@with_settings(*REGISTRY)
def revoke(settings: Settings, *, tenant: str, product_id: int) -> None:
    """Take a product from a tenant, within 30 s."""
    from cli.registry import ask, find_tenant

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        await registry.remove_product(found.id, product_id)
        return [{"tenant_id": found.id, "product_id": product_id, "revoked": True}]

    ask(settings, work)
