"""`penstock filter add|list|show|remove|test|deliveries|replay`: what events are waited for; webhooks."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from cli.errors import CommandFailed
from cli.options import REGISTRY, WAREHOUSE, with_settings
from cli.saved import FILE, Saved, add_commands
from cli.tenancy import TENANT, read_file, tenant_of
from schemas.settings import Settings

if TYPE_CHECKING:
    from schemas.conditions import Condition
    from stores.registry import SqlRegistry

_WEBHOOKS = ("webhook_private_addresses",)


@click.group("filter", short_help="Wait for events: add, list, show, remove, test; deliveries, replay.")
def command() -> None:
    """Save conditions that each event is put to as it comes; a match is published, and sent to a URL.

    FILE holds what the api takes, {"name": …, "conditions": …, "url": …}; `-` reads it from stdin.
    docs/filters.md has the form of conditions, and how a receiver verifies the signature.
    """


async def _entries(registry: "SqlRegistry", tenant_id: int) -> Sequence[Mapping[str, Any]]:
    from console.filters.saved import shown

    return [shown(one) for one in await registry.list_filters(tenant_id)]


async def _remove(registry: "SqlRegistry", tenant_id: int, filter_id: str) -> None:
    await registry.remove_filter(tenant_id, filter_id)


_SAVED = Saved("filter", _entries, _remove, after="; what it has to send is not sent")
add_commands(command, _SAVED)


@command.command("add")
@FILE
@TENANT
@with_settings(*REGISTRY, *_WEBHOOKS)
def add(settings: Settings, *, file: Path, tenant: str | None) -> None:
    """Save the filter in FILE; its secret is shown now and never again."""
    from cli.registry import ask
    from console.filters.saved import NamedFilter, shown_once

    given = read_file(file, NamedFilter)
    text = given.text(private_allowed=settings.webhook_private_addresses)

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        made = await registry.add_filter(found.id, given.name, text, url=given.url, active=given.active)
        return [shown_once(made)]

    ask(settings, work)


@command.command("test")
@FILE
@click.option(
    "--event", "event", type=click.Path(dir_okay=False, path_type=Path), help="A file with one event."
)
@TENANT
@with_settings(*REGISTRY, *WAREHOUSE)
def test(settings: Settings, *, file: Path, event: Path | None, tenant: str | None) -> None:
    """Put an event to the conditions in FILE, or tell which stored events of the last day meet them."""
    from cli.running import located
    from console.filters.trying import SampleInvalid, Trial, meets
    from console.rendering import encode
    from schemas.conditions import read_filter

    given = read_file(file, Trial)
    condition = read_filter(given.conditions)
    sample = given.event if event is None else read_file(event, dict[str, Any])
    if sample is not None:
        try:
            click.echo(encode({"matches": meets(condition, sample)}))
        except SampleInvalid as error:
            raise CommandFailed(str(error)) from None
        return
    click.echo(encode(asyncio.run(_try(located(settings), condition, tenant))))


async def _try(settings: Settings, condition: "Condition", tenant: str | None) -> Any:
    from console.filters.trying import try_on_stored
    from stores.registry import open_registry
    from stores.warehouse import open_warehouse

    async with open_registry(settings) as registry:
        found = await tenant_of(registry, tenant)
    async with open_warehouse(settings) as warehouse:
        return await try_on_stored(warehouse, condition, found.id)


@command.command("deliveries")
@click.argument("filter_", metavar="[FILTER]", required=False)
@click.option("--dead", is_flag=True, help="Only those that are not tried any more.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@TENANT
@with_settings(*REGISTRY)
def deliveries(
    settings: Settings, *, filter_: str | None, dead: bool, limit: int, tenant: str | None
) -> None:
    """List where the newest matches stand that are sent, of one filter or of all."""
    from cli.registry import ask
    from console.filters.saved import shown_delivery

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        id = (await _SAVED.find(registry, found.id, filter_))["id"] if filter_ else ""
        state = "dead" if dead else ""
        return map(
            shown_delivery,
            await registry.list_deliveries(found.id, filter_id=id, state=state, limit=limit),
        )

    ask(settings, work)


@command.command("replay")
@click.argument("filter_", metavar="FILTER")
@click.option("--id", "match_id", type=click.UUID, help="Only this delivery.")
@TENANT
@with_settings(*REGISTRY)
def replay(settings: Settings, *, filter_: str, match_id: UUID | None, tenant: str | None) -> None:
    """Try a filter's dead deliveries anew; those that were delivered are not sent again."""
    from cli.registry import ask
    from schemas.webhooks import KEEP_TRYING_MS

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        named = await _SAVED.find(registry, found.id, filter_)
        number = await registry.replay_deliveries(
            found.id,
            filter_id=named["id"],
            match_id="" if match_id is None else str(match_id),
            keep_trying_ms=KEEP_TRYING_MS,
        )
        return [{"id": named["id"], "name": named["name"], "replayed": number}]

    ask(settings, work)
