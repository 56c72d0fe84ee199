"""`penstock filter add|list|show|remove|test|deliveries|replay`: what events are waited for; webhooks."""

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
    from schemas.conditions import Condition
    from schemas.tenants import Tenant
    from stores.registry import Filter, SqlRegistry

_FILE = click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
_WEBHOOKS = ("webhook_private_addresses",)


@click.group("filter", short_help="Wait for events: add, list, show, remove, test; deliveries, replay.")
def command() -> None:
    """Save conditions that each event is put to as it comes; a match is published, and sent to a URL.

    FILE holds what the api takes, {"name": …, "conditions": …, "url": …}; `-` reads it from stdin.
    docs/filters.md has the form of conditions, and how a receiver verifies the signature.
    """


@command.command("add")
@_FILE
@TENANT
@with_settings(*REGISTRY, *_WEBHOOKS)
def add(settings: Settings, *, file: Path, tenant: str | None) -> None:
    """Save the filter in FILE; its secret is shown now and never again."""
    from cli.registry import ask
    from console.filters.saved import NamedFilter, shown_once
    from schemas.conditions import ConditionsInvalid

    given = read_file(file, NamedFilter)
    try:
        text = given.text(private_allowed=settings.webhook_private_addresses)
    except ConditionsInvalid as error:
        raise CommandFailed(str(error)) from None

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        made = await registry.add_filter(found.id, given.name, text, url=given.url, active=given.active)
        return [shown_once(made)]

    ask(settings, work)


@command.command("list")
@TENANT
@with_settings(*REGISTRY)
def list_(settings: Settings, *, tenant: str | None) -> None:
    """List the tenant's filters, by name."""
    from cli.registry import ask
    from console.filters.saved import shown

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        return map(shown, await registry.list_filters(found.id))

    ask(settings, work)


@command.command("show")
@click.argument("filter_", metavar="FILTER")
@TENANT
@with_settings(*REGISTRY)
def show(settings: Settings, *, filter_: str, tenant: str | None) -> None:
    """Show a filter, by its id or its name."""
    from cli.registry import ask
    from console.filters.saved import shown

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        return [shown(await _filter(registry, await tenant_of(registry, tenant), filter_))]

    ask(settings, work)


@command.command("remove")
@click.argument("filter_", metavar="FILTER")
@TENANT
@with_settings(*REGISTRY)
def remove(settings: Settings, *, filter_: str, tenant: str | None) -> None:
    """Forget a filter, by its id or its name; what it has to send is not sent."""
    from cli.registry import ask

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        named = await _filter(registry, found, filter_)
        await registry.remove_filter(found.id, named.filter_id)
        return [{"id": named.filter_id, "name": named.name, "removed": True}]

    ask(settings, work)


@command.command("test")
@_FILE
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
    from schemas.conditions import ConditionsInvalid, read_filter

    given = read_file(file, Trial)
    try:
        condition = read_filter(given.conditions)
        sample = given.event if event is None else read_file(event, dict[str, Any])
        if sample is not None:
            click.echo(encode({"matches": meets(condition, sample)}))
            return
    except (ConditionsInvalid, SampleInvalid) as error:
        raise CommandFailed(str(error)) from None
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
        id = (await _filter(registry, found, filter_)).filter_id if filter_ else ""
        state = "dead" if dead else ""
        return map(
            shown_delivery,
            await registry.list_deliveries(found.id, filter_id=id, state=state, limit=limit),
        )

    ask(settings, work)


@command.command("replay")
@click.argument("filter_", metavar="FILTER")
@click.option("--id", "match_id", default="", help="Only this delivery.")
@TENANT
@with_settings(*REGISTRY)
def replay(settings: Settings, *, filter_: str, match_id: str, tenant: str | None) -> None:
    """Try a filter's dead deliveries anew; those that were delivered are not sent again."""
    from cli.registry import ask
    from schemas.webhooks import KEEP_TRYING_MS

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await tenant_of(registry, tenant)
        named = await _filter(registry, found, filter_)
        number = await registry.replay_deliveries(
            found.id, filter_id=named.filter_id, match_id=match_id, keep_trying_ms=KEEP_TRYING_MS
        )
        return [{"id": named.filter_id, "name": named.name, "replayed": number}]

    ask(settings, work)


async def _filter(registry: "SqlRegistry", tenant: "Tenant", named: str) -> "Filter":
    for one in await registry.list_filters(tenant.id):
        if named in (one.filter_id, one.name):
            return one
    raise CommandFailed(f"the tenant has no filter {named!r}; `penstock filter list` shows them")
