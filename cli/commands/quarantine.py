"""`penstock quarantine list|show|replay`: events that are not stored, and their way back."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandFailed
from cli.options import BUS, REGISTRY, WAREHOUSE, with_settings
from schemas.settings import Settings

if TYPE_CHECKING:
    from console.admission import Rules
    from console.letters import Choice
    from stores.registry import SqlRegistry

Command = Callable[..., None]

NEEDS = (*dict.fromkeys((*BUS, *WAREHOUSE, *REGISTRY)),)

PROGRESS_EVERY = 5_000

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def with_choice(command: Command) -> Command:
    """Give a command the options that pick letters, as keyword arguments."""
    for option in reversed(
        (
            click.option("--reason", metavar="CODE", help="Why it is there, as in docs/errors.md."),
            click.option("--dialect", metavar="NAME", help="The protocol it came in by."),
            click.option("--stage", metavar="NAME", help="Where that was found; `gateway`: it was rejected."),
            click.option(
                "--since", metavar="TIME", help="Received from then on: 2h, 7d, or an ISO 8601 time."
            ),
            click.option("--until", metavar="TIME", help="Received before then."),
            click.option("--id", "named", metavar="ID", help="Its event id, or its `source`."),
            click.option(
                "--tenant", metavar="TENANT", help="A numeric id, a UUID or a slug; 0: unknown ones."
            ),
        )
    ):
        command = option(command)
    return command


@click.group(
    "quarantine", short_help="Look at rejected and dead events, and replay them: list, show, replay."
)
def command() -> None:
    """Look at events that the gateway rejected or that no row could be made of, and bring them back.

    All options that are given hold together. Output is one JSON object a line.
    """


@command.command("list")
@with_choice
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, help="So many, the newest first.")
@with_settings(*NEEDS)
def list_letters(settings: Settings, *, limit: int, **given: str | None) -> None:
    """List letters, the newest first, without what they are about."""
    from console.letters import listed

    nothing = asyncio.run(_look(settings, given, listed, limit))
    if nothing:
        click.echo(f"penstock: {nothing}", err=True)


@command.command("show")
@click.argument("name", metavar="[ID]", required=False)
@with_choice
@click.option("--limit", type=click.IntRange(1, 1_000), default=10, help="So many, the newest first.")
@with_settings(*NEEDS)
def show(settings: Settings, *, name: str | None, limit: int, **given: str | None) -> None:
    """Show letters whole, the newest first; ends with 1 if there is none.

    ID is an event id, or the `source` of a letter (incarnation/topic/partition/offset).
    """
    from console.letters import shown

    given["named"] = name or given["named"]
    nothing = asyncio.run(_look(settings, given, shown, limit))
    if nothing:
        raise CommandFailed(nothing)


@command.command("replay")
@with_choice
@click.option(
    "--limit", type=click.IntRange(1), default=None, help="So many at most, the oldest records first."
)
@click.option("--dry-run", is_flag=True, help="Only say what today's code would do.")
@with_settings(*NEEDS)
def replay(settings: Settings, *, limit: int | None, dry_run: bool, **given: str | None) -> None:
    """Send letters through today's code once more; each event lands once, however often it is replayed.

    Prints what became of each letter, and a summary last. Ends with 1 if one of them had to stay, or if
    there is none with the --id.
    """
    if not any(given.values()):
        raise click.UsageError("name what to replay: --reason, --dialect, --stage, --since, --id or --tenant")
    sys.exit(asyncio.run(_replay(settings, given, limit, dry_run=dry_run)))


async def _look(settings: Settings, given: dict[str, str | None], ask: Any, limit: int) -> str:
    """Print what `ask` finds. Return a sentence if that was nothing, else an empty one."""
    from cli.running import located
    from console.letters import why_nothing
    from console.rendering import encode
    from stores.registry import open_registry
    from stores.warehouse import open_warehouse

    use = located(settings)
    async with open_warehouse(use) as warehouse, open_registry(use) as registry:
        choice = await _choice(given, registry)
        rows = await ask(warehouse, choice, limit=limit)
        nothing = "" if rows else await why_nothing(warehouse, choice)
    for row in rows:
        click.echo(encode(row))
    return nothing


async def _replay(
    settings: Settings, given: dict[str, str | None], limit: int | None, *, dry_run: bool
) -> int:
    from bus import open_bus
    from bus.base import BusUnavailable
    from cli.running import located
    from console.admission import Admission
    from console.letters import PICKED_MAX, picked, why_nothing
    from console.rendering import encode
    from console.replay import DONE, Replay
    from stores.registry import open_registry
    from stores.warehouse import open_warehouse

    use = located(settings)
    results: Counter[str] = Counter()
    async with open_bus(use) as bus, open_warehouse(use) as warehouse, open_registry(use) as registry:
        choice = await _choice(given, registry)
        places = await picked(warehouse, choice, limit=limit or PICKED_MAX + 1)
        if len(places) > PICKED_MAX:
            raise CommandFailed(f"more than {PICKED_MAX} letters match: narrow them down, as with --until")
        if not places:
            click.echo(f"penstock: {await why_nothing(warehouse, choice)}", err=True)
        work = Replay(bus, warehouse, Admission(registry, rules()), dry_run=dry_run)
        try:
            async for outcomes in work.run(places):
                for outcome in outcomes:
                    click.echo(encode(outcome))
                _progress(results.total(), len(outcomes), len(places))
                results.update(outcome.result for outcome in outcomes)
        except BusUnavailable as error:
            raise CommandFailed(
                f"{error}. {results.total()} of {len(places)} letters are done; of those that follow some "
                "may be replayed. Run the same again: an event lands once"
            ) from None
    click.echo(encode({"selected": len(places), **results}))
    found = bool(places) or given["named"] is None
    return 0 if found and set(results) <= DONE else 1


def _progress(before: int, more: int, of: int) -> None:
    if of > PROGRESS_EVERY and (before + more) // PROGRESS_EVERY > before // PROGRESS_EVERY:
        click.echo(f"penstock: {before + more} of {of}", err=True)


async def _choice(given: dict[str, str | None], registry: "SqlRegistry") -> "Choice":
    """Read the options. Raises CommandFailed."""
    from cli.registry import find_tenant
    from console.letters import Choice

    tenant, name = given["tenant"], given["named"]
    tenant_id = None
    if tenant is not None:
        tenant_id = 0 if tenant == "0" else (await find_tenant(registry, tenant)).id
    event_id, source = _identify(name) if name is not None else (None, None)
    return Choice(
        reason=given["reason"],
        dialect=given["dialect"],
        stage=given["stage"],
        since_ms=_moment(given["since"], "--since"),
        until_ms=_moment(given["until"], "--until"),
        event_id=event_id,
        source=source,
        tenant_id=tenant_id,
    )


def _identify(name: str) -> Any:
    """Return an event id, or the coordinates of a record; the other one is None."""
    from uuid import UUID

    from schemas.topics import Coordinates

    try:
        return (None, Coordinates.parse(name)) if "/" in name else (UUID(name), None)
    except ValueError:
        raise click.UsageError(
            "--id takes an event id (a UUID), or a `source` (incarnation/topic/partition/offset)"
        ) from None


def _moment(text: str | None, option: str) -> int | None:
    """Return a time in Unix ms: `2h` is two hours ago, a time without zone is UTC."""
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS and number.isdigit():
            moment = datetime.now(UTC) - timedelta(**{_UNITS[unit]: int(number)})
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"{option} takes how long ago (90m, 2h, 7d) or an ISO 8601 time (2026-07-01T06:30:00Z)"
        ) from None
    return int(moment.timestamp() * 1000)


def rules() -> "Rules":
    """Return the gateway's own rules: the command may enter every house, the console may not."""
    from msgspec import Raw

    from console.admission import Rules
    from dialects.base import Ids
    from gateway import content
    from gateway.identity import event_ids
    from gateway.turns import Turn

    async def keyed_id(tenant_id: int, dialect: str, dedup_key: str) -> str:
        ids = await event_ids(Ids.FRESH, dialect=dialect, tenant=tenant_id, body=b"", key=None, turn=Turn())
        return ids(0, Raw(b""), dedup_key)

    return Rules(content=content.judge, keyed_id=keyed_id)
