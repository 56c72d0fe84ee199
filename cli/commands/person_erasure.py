"""`penstock person export|erase|erasures|unsuppress`: all that there is of a person, and how it goes."""

import asyncio
import getpass
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from cli.errors import CommandFailed
from cli.options import BUS, REGISTRY, WAREHOUSE, with_settings
from schemas.settings import Settings

if TYPE_CHECKING:
    from schemas.erasures import Subject
    from stores.base import Warehouse
    from stores.registry import PersonRecord, SqlRegistry

Command = Callable[..., None]

KINDS = ("id", "email", "phone", "device", "person")
NEEDS = (*dict.fromkeys((*REGISTRY, *WAREHOUSE)),)

PROGRESS_EVERY = 1_000
PROGRESS_EVERY_S = 1.0


def _with_person(command: Command) -> Command:
    """Give a command the arguments that name a person."""
    for part in reversed(
        (
            click.argument("tenant"),
            click.argument("kind", type=click.Choice(KINDS)),
            click.argument("value"),
            click.option("--scope", help="`redo/<store>`, `relo` or `alana`, where several have the value."),
        )
    ):
        command = part(command)
    return command


@click.command("export")
@_with_person
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A file, made anew.")
@with_settings(*NEEDS)
def export(settings: Settings, *, output: Path | None, **named: str | None) -> None:
    """Write all that there is of a person, one JSON object a line; `part` says what each is.

    person: identifiers, links, devices; profile; event: every row, as it is stored; outcome: repeats that
    were left out; quarantine: rows that name the person; delivery: webhooks that are not delivered. The
    file can be read by its owner alone.
    """
    asyncio.run(_export(settings, named, output))


@click.command("erase")
@_with_person
@click.option("--dry-run", is_flag=True, help="Only say what there is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--asked-by", help="Who asked for it; stands in the certificate.  [default: your login name]")
@with_settings(*NEEDS)
def erase(settings: Settings, *, dry_run: bool, yes: bool, asked_by: str | None, **named: str | None) -> None:
    """Erase a person: events, profile, links, letters in the quarantine; docs/erasure.md says what stays.

    Says what there is and asks. From then on events that name the person are dropped. The api does the
    rest, which ends when the log has no record from before; `penstock person erasures` shows how far it is.
    """
    asyncio.run(_erase(settings, named, dry_run=dry_run, yes=yes, asked_by=asked_by or getpass.getuser()))


@click.command("erasures")
@click.argument("tenant")
@click.argument("erasure_id", required=False)
@click.option("--run", "run_", is_flag=True, help="Take the next step of each here, as the api does.")
@with_settings(*NEEDS, *(name for name in BUS if name not in NEEDS))
def erasures(settings: Settings, *, tenant: str, erasure_id: str | None, run_: bool) -> None:
    """List a tenant's erasures and certificates, the newest first; or show one."""
    asyncio.run(_erasures(settings, tenant, erasure_id, run=run_))


@click.command("unsuppress")
@click.argument("tenant")
@click.argument("kind", type=click.Choice(KINDS[:4]))
@click.argument("value")
@click.option("--scope", required=True, help="`redo/<store>`, `relo` or `alana`.")
@click.option("--reason", required=True, help="Why, such as: came back as a customer. Without personal data.")
@with_settings(*REGISTRY)
def unsuppress(settings: Settings, *, tenant: str, kind: str, value: str, scope: str, reason: str) -> None:
    """Take events with this identifier again, from somebody who was erased and came back.

    What comes makes a new person. Every identifier of the former one is suppressed by itself. Workers
    follow within 30 s.
    """
    from cli.registry import ask, find_tenant
    from console.erasure.subject import compared

    async def work(registry: "SqlRegistry") -> list[Any]:
        found = await find_tenant(registry, tenant)
        named = compared(found.id, scope, kind, value)
        await registry.unsuppress(named, reason)
        return [{"scope": scope, "kind": kind, "value": named.value, "suppressed": False}]

    ask(settings, work)


COMMANDS = (export, erase, erasures, unsuppress)


async def _export(settings: Settings, named: dict[str, str | None], output: Path | None) -> None:
    from cli.running import located
    from console.erasure.export import export as entries
    from console.rendering import encode
    from stores.registry import open_registry
    from stores.warehouse import open_warehouse

    use = located(settings)
    async with open_warehouse(use) as warehouse, open_registry(use) as registry:
        subject, record = await _find(registry, warehouse, named)
        with _open(output) as file:
            written = 0
            async for entry in entries(registry, warehouse, subject, record):
                file.write(encode(entry) + b"\n")
                written += 1
                if written % PROGRESS_EVERY == 0:
                    click.echo(f"penstock: {written} lines", err=True)
            file.flush()
    if output is not None:
        click.echo(f"penstock: {written} lines in {output}", err=True)


async def _erase(
    settings: Settings, named: dict[str, str | None], *, dry_run: bool, yes: bool, asked_by: str
) -> None:
    from cli.running import located
    from console.erasure.export import counted, shown
    from console.erasure.status import status
    from console.rendering import encode
    from stores.registry import ErasureUnderWay, open_registry
    from stores.warehouse import open_warehouse

    use = located(settings)
    async with open_warehouse(use) as warehouse, open_registry(use) as registry:
        subject, record = await _find(registry, warehouse, named)
        found = await counted(registry, warehouse, subject, _Progress())
        click.echo(encode({**shown(subject, record), "found": found}))
        if dry_run:
            return
        if not yes:
            click.confirm("Erase all of this for good?", abort=True, err=True)
        try:
            made = await registry.request_erasure(subject, asked_by=asked_by, found=found)
        except ErasureUnderWay as error:
            raise CommandFailed(str(error)) from None
    click.echo(encode(status(made)))
    click.echo("penstock: the api erases it now; `penstock person erasures` shows how far it is", err=True)


async def _erasures(settings: Settings, tenant: str, erasure_id: str | None, *, run: bool) -> None:
    from bus import open_bus
    from cli.registry import find_tenant
    from cli.running import located, of_running
    from console.erasure.eraser import Eraser
    from console.erasure.status import status
    from console.rendering import encode
    from stores.registry import open_registry
    from stores.warehouse import open_warehouse

    use = located(settings) if run else of_running(settings)
    async with open_registry(use) as registry:
        found = await find_tenant(registry, tenant)
        if run:
            async with open_bus(use) as bus, open_warehouse(use) as warehouse:
                await Eraser(bus, warehouse, registry).advance_all()
        listed = await registry.list_erasures(found.id)
        chosen = [each for each in listed if erasure_id in (None, each.erasure_id)]
        if erasure_id is not None and not chosen:
            raise CommandFailed(f"there is no erasure {erasure_id} of this tenant")
    for each in chosen:
        click.echo(encode(status(each)))


async def _find(
    registry: "SqlRegistry", warehouse: "Warehouse", named: dict[str, str | None]
) -> "tuple[Subject, PersonRecord]":
    """Return whom the arguments name. Raises CommandFailed."""
    from cli.registry import find_tenant
    from console.erasure.subject import Ambiguous, Unknown, find_subject

    kind, value = named["kind"] or "", named["value"] or ""
    tenant = await find_tenant(registry, named["tenant"] or "")
    try:
        return await find_subject(
            registry,
            warehouse,
            tenant_id=tenant.id,
            kind=kind,
            value=value,
            scope=named["scope"],
            say=_Progress(),
        )
    except Unknown as error:
        hint = "" if named["scope"] else "; with --scope the quarantine is searched all the same"
        raise CommandFailed(f"{error}{hint}") from None
    except Ambiguous as error:
        raise CommandFailed(
            f"{kind} {value!r} is known in {', '.join(error.scopes)}: name one with --scope"
        ) from None


class _Progress:
    """Says what is searched, on stderr: a tenant with many events is searched for minutes."""

    def __init__(self) -> None:
        self._table = ""
        self._said_at = 0.0

    def __call__(self, table: str, rows: int) -> None:
        if table == self._table and time.monotonic() < self._said_at + PROGRESS_EVERY_S:
            return
        self._table, self._said_at = table, time.monotonic()
        found = f", {rows} rows so far" if rows else ""
        click.echo(f"penstock: searching {table}{found}", err=True)


def _open(output: Path | None) -> AbstractContextManager[IO[bytes]]:
    if output is None:
        return nullcontext(sys.stdout.buffer)
    output.touch(mode=0o600)
    output.chmod(0o600)  # whoever may read all of a person is chosen on purpose
    return output.open("wb")
