"""`penstock segment preview|add|list|show|remove`: which customers meet conditions, now or again."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandFailed
from cli.options import REGISTRY, WAREHOUSE, with_settings
from cli.tenancy import TENANT, read_file, tenant_of
from schemas.settings import Settings

if TYPE_CHECKING:
    from schemas.tenants import Tenant
    from stores.registry import Segment, SqlRegistry

_FILE = click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))


@click.group("segment", short_help="Ask which customers meet conditions: preview, add, list, show, remove.")
def command() -> None:
    """Ask which customers meet conditions.

    FILE holds what the api takes, {"name": …, "conditions": …}; `-` reads it from stdin. docs/segments.md
    has the form of conditions.
    """


@command.command("preview")
@_FILE
@TENANT
@with_settings(*REGISTRY, *WAREHOUSE)
def preview(settings: Settings, *, file: Path, tenant: str | None) -> None:
    """Print how many of the tenant's customers meet the conditions in FILE, and some of them."""
    from cli.running import located
    from console.rendering import encode

    click.echo(encode(asyncio.run(_preview(located(settings), file, tenant))))


async def _preview(settings: Settings, file: Path, tenant: str | None) -> Any:
    from console.segments import preview, saved
    from schemas.conditions import ConditionsInvalid, read_segment
    from stores.registry import open_registry
    from stores.warehouse import open_warehouse

    given = read_file(file, saved.Conditions)
    try:
        condition = read_segment(given.conditions)
    except ConditionsInvalid as error:
        raise CommandFailed(str(error)) from None
    async with open_registry(settings) as registry:
        found = await tenant_of(registry, tenant)
    async with open_warehouse(settings) as warehouse:
        return await preview.preview(warehouse, condition, found.id)


@command.command("add")
@_FILE
@TENANT
@with_settings(*REGISTRY)
def add(settings: Settings, *, file: Path, tenant: str | None) -> None:
    """Save the conditions in FILE under the name there."""
    from cli.registry import ask
    from console.segments.saved import NamedConditions, shown
    from schemas.conditions import ConditionsInvalid

    given = read_file(file, NamedConditions)
    try:
        text = given.text()
    except ConditionsInvalid as error:
        raise CommandFailed(str(error)) from None

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        return [shown(await registry.add_segment(found.id, given.name, text))]

    ask(settings, work)


@command.command("list")
@TENANT
@with_settings(*REGISTRY)
def list_(settings: Settings, *, tenant: str | None) -> None:
    """List the tenant's saved segments, by name."""
    from cli.registry import ask
    from console.segments.saved import shown

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        return map(shown, await registry.list_segments(found.id))

    ask(settings, work)


@command.command("show")
@click.argument("segment")
@TENANT
@with_settings(*REGISTRY)
def show(settings: Settings, *, segment: str, tenant: str | None) -> None:
    """Show a saved segment, by its id or its name."""
    from cli.registry import ask
    from console.segments.saved import shown

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        return [shown(await _segment(registry, await tenant_of(registry, tenant), segment))]

    ask(settings, work)


@command.command("remove")
@click.argument("segment")
@TENANT
@with_settings(*REGISTRY)
def remove(settings: Settings, *, segment: str, tenant: str | None) -> None:
    """Forget a saved segment, by its id or its name."""
    from cli.registry import ask

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        named = await _segment(registry, found, segment)
        await registry.remove_segment(found.id, named.segment_id)
        return [{"id": named.segment_id, "name": named.name, "removed": True}]

    ask(settings, work)


async def _segment(registry: "SqlRegistry", tenant: "Tenant", named: str) -> "Segment":
    for segment in await registry.list_segments(tenant.id):
        if named in (segment.segment_id, segment.name):
            return segment
    raise CommandFailed(f"the tenant has no segment {named!r}; `penstock segment list` shows them")
