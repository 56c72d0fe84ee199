"""`penstock person show|unlink`: what is known of a person and why, and how a wrong link is undone."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandFailed
from cli.options import REGISTRY, WAREHOUSE, with_settings
from schemas.settings import Settings

if TYPE_CHECKING:
    from schemas.persons import Identifier, Kind, Link, Pair
    from stores.registry import SqlRegistry

KINDS = ("id", "email", "phone", "device")

_SCOPE = click.option("--scope", help="`redo/<store>`, `relo` or `alana`, where several have the value.")


@click.group("person", short_help="Look persons up and undo links: show, unlink.")
def command() -> None:
    """Look persons up and undo links. TENANT is a numeric id, a UUID or a slug."""


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

    async def work(registry: "SqlRegistry") -> Iterable[Any]:
        found = await find_tenant(registry, tenant)
        person = value
        if kind != "person":
            person = await registry.person_of(await _named(registry, found.id, kind, value, scope)) or ""
        record = await registry.person_record(person)
        if not (record.links or record.pairs):
            raise CommandFailed(f"nothing is known of {kind} {value!r}")
        return [
            {
                "person_id": record.canonical_id,
                "also": [each for each in record.person_ids if each != record.canonical_id],
                "links": [_link(link) for link in record.links],
                "devices": [_pair(pair) for pair in record.pairs],
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
                await take_away(warehouse, undone)
                return [_link(undone)]
            used = identifier(found.id, named.scope, "device", device)
            pair, overrides = await registry.unlink_device(used, named)
            await tell_overrides(warehouse, overrides)
            return [_pair(pair)]

    ask(settings, work)


async def _named(
    registry: "SqlRegistry", tenant_id: int, kind: str, value: str, scope: str | None
) -> "Identifier":
    """Return the one identifier that is meant. Raises CommandFailed."""
    from schemas.persons import identifier

    known: Kind = kind  # type: ignore[assignment]  # click checked it
    value = identifier(tenant_id, "", known, _compared(kind, value)).value
    if scope is not None:
        return identifier(tenant_id, scope, known, value)
    found = await registry.find_identifiers(tenant_id, known, value)
    if not found:
        raise CommandFailed(f"nothing is known of {kind} {value!r}")
    if len(found) > 1:
        scopes = ", ".join(each.scope for each in found)
        raise CommandFailed(f"{kind} {value!r} is known in {scopes}: name one with --scope")
    return found[0]


def _compared(kind: str, value: str) -> str:
    from dialects import identifiers
    from dialects.phones import normal

    if kind == "email":
        return identifiers.email(value)
    return normal(value).number or value if kind == "phone" else value


def _link(link: "Link") -> dict[str, Any]:
    return {
        "scope": link.identifier.scope,
        "kind": link.identifier.kind,
        "value": link.identifier.value,
        "person_id": link.person_id,
        "reason": link.reason,
        "event_id": link.event_id,
        **_times(link),
    }


def _pair(pair: "Pair") -> dict[str, Any]:
    return {
        "scope": pair.device.scope,
        "device": pair.device.value,
        "kind": pair.seen_with.kind,
        "value": pair.seen_with.value,
        "person_id": pair.person_id,
        "event_id": pair.event_id,
        **_times(pair),
    }


def _times(fact: "Link | Pair") -> dict[str, Any]:
    from console.rendering import moment

    undone = fact.unlinked_at
    return {"linked_at": moment(fact.linked_at), "unlinked_at": None if undone is None else moment(undone)}
