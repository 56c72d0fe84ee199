"""`penstock person`: what is known of a person and why; how a wrong link is undone, and a person erased."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from cli.commands.person_erasure import COMMANDS
from cli.errors import CommandFailed
from cli.options import REGISTRY, WAREHOUSE, with_settings
from schemas.settings import Settings

if TYPE_CHECKING:
    from schemas.persons import Identifier
    from stores.registry import SqlRegistry

KINDS = ("id", "email", "phone", "device")

SLACK_S = 1.0
"""Between clocks, and between a worker's look at the registry and its next event."""

_SCOPE = click.option("--scope", help="`redo/<store>`, `relo` or `alana`, where several have the value.")


@click.group("person", short_help="Look persons up, undo links, export, erase: show, unlink, export, erase.")
def command() -> None:
    """Look persons up, undo links, export and erase. TENANT is a numeric id, a UUID or a slug."""


for erasing in COMMANDS:
    command.add_command(erasing)


@command.command("show")
@click.argument("tenant")
@click.argument("kind", type=click.Choice((*KINDS, "person")))
@click.argument("value")
@_SCOPE
@with_settings(*REGISTRY)
def show(settings: Settings, *, tenant: str, kind: str, value: str, scope: str | None) -> None:
    """Print what is known of who has an identifier: everything linked with it, since when and by which event.

    KIND is id, email, phone, device (relo's did, alana's visitorId), or person with a person's own id.
    """
    from cli.registry import ask, find_tenant
    from console.erasure.export import link_entry, pair_entry

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        person = value
        if kind != "person":
            person = await registry.person_of(await _named(registry, found.id, kind, value, scope)) or ""
        record = await registry.person_record(person)
        if not (record.links or record.pairs):
            raise CommandFailed(
                f"nothing is known of {kind} {value!r}; `penstock person export` also searches the quarantine"
            )
        return [
            {
                "person_id": record.canonical_id,
                "also": [each for each in record.person_ids if each != record.canonical_id],
                "links": [link_entry(link) for link in record.links],
                "devices": [pair_entry(pair) for pair in record.pairs],
            }
        ]

    ask(settings, work)


@command.command("unlink")
@click.argument("tenant")
@click.argument("kind", type=click.Choice(KINDS[:3]))
@click.argument("value")
@click.option("--device", help="The device to part it from: relo's did, alana's visitorId.")
@_SCOPE
@with_settings(*REGISTRY, *WAREHOUSE[1:])
def unlink(
    settings: Settings, *, tenant: str, kind: str, value: str, device: str | None, scope: str | None
) -> None:
    """Part an identifier from its customer, or from a device; they are never linked again by themselves.

    Workers follow within 30 s. Stored events stay with the person they were stored with. Can be repeated.
    """
    from cli.registry import ask, find_tenant
    from cli.running import located
    from console.erasure.export import link_entry, pair_entry
    from schemas.persons import identifier
    from stores.warehouse import open_warehouse
    from workers.persons.telling import take_away, tell_overrides

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        named = await _named(registry, found.id, kind, value, scope)
        async with open_warehouse(located(settings)) as warehouse:
            await warehouse.probe()
            if device is None:
                undone = await registry.unlink_identifier(named)
                await take_away(warehouse, undone, followed_s=settings.registry_cache_s + SLACK_S)
                return [link_entry(undone)]
            used = identifier(found.id, named.scope, "device", device)
            pair, overrides = await registry.unlink_device(used, named)
            await tell_overrides(warehouse, overrides)
            return [pair_entry(pair)]

    ask(settings, work)


async def _named(
    registry: "SqlRegistry", tenant_id: int, kind: str, value: str, scope: str | None
) -> "Identifier":
    """Return the one identifier that is meant. Raises CommandFailed."""
    from console.erasure.subject import compared

    wanted = compared(tenant_id, scope or "", kind, value)
    if scope is not None:
        return wanted
    found = await registry.find_identifiers(tenant_id, wanted.kind, wanted.value)
    if not found:
        raise CommandFailed(f"nothing is known of {kind} {wanted.value!r}")
    if len(found) > 1:
        scopes = ", ".join(each.scope for each in found)
        raise CommandFailed(f"{kind} {wanted.value!r} is known in {scopes}: name one with --scope")
    return found[0]
