"""`penstock segment preview|add|list|show|remove`: which customers meet conditions, now or again."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import REGISTRY, WAREHOUSE, with_settings
from cli.saved import FILE, Saved, add_commands
from cli.tenancy import TENANT, read_file, tenant_of
from schemas.settings import Settings

if TYPE_CHECKING:
    from stores.registry import SqlRegistry


@click.group("segment", short_help="Ask which customers meet conditions: preview, add, list, show, remove.")
def command() -> None:
    """Ask which customers meet conditions.

    FILE holds what the api takes, {"name": …, "conditions": …}; `-` reads it from stdin. docs/segments.md
    has the form of conditions.
    """


async def _entries(registry: "SqlRegistry", tenant_id: int) -> Sequence[Mapping[str, Any]]:
    from console.segments.saved import shown

    return [shown(one) for one in await registry.list_segments(tenant_id)]


async def _remove(registry: "SqlRegistry", tenant_id: int, segment_id: str) -> None:
    await registry.remove_segment(tenant_id, segment_id)


add_commands(command, Saved("segment", _entries, _remove))


@command.command("preview")
@FILE
@TENANT
@with_settings(*REGISTRY, *WAREHOUSE)
def preview(settings: Settings, *, file: Path, tenant: str | None) -> None:
    """Print how many of the tenant's customers meet the conditions in FILE, and some of them."""
    from cli.running import located
    from console.rendering import encode

    click.echo(encode(asyncio.run(_preview(located(settings), file, tenant))))


async def _preview(settings: Settings, file: Path, tenant: str | None) -> Any:
    from console.segments import preview, saved
    from schemas.conditions import read_segment
    from stores.registry import open_registry
    from stores.warehouse import open_warehouse

    given = read_file(file, saved.Conditions)
    condition = read_segment(given.conditions)
    async with open_registry(settings) as registry:
        found = await tenant_of(registry, tenant)
    async with open_warehouse(settings) as warehouse:
        return await preview.preview(warehouse, condition, found.id)


@command.command("add")
@FILE
@TENANT
@with_settings(*REGISTRY)
def add(settings: Settings, *, file: Path, tenant: str | None) -> None:
    """Save the conditions in FILE under the name there."""
    from cli.registry import ask
    from console.segments.saved import NamedConditions, shown

    given = read_file(file, NamedConditions)
    text = given.text()

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        return [shown(await registry.add_segment(found.id, given.name, text))]

    ask(settings, work)
