"""All that there is of a person, one JSON object at a time; and how much it is.

What is never a person's alone is left out: `batches`, tenants, tokens, and `event_keys`, which hold a digest
of the producer's key and the place of the record that has it.
"""

# ruff: noqa: S608 - statements are put together from our own text; every value is a parameter
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from msgspec import Raw

from console.erasure.deliveries import undelivered
from console.erasure.places import Place, Places
from console.filters.saved import shown_delivery
from console.rendering import moment, unfold
from schemas.erasures import Subject
from schemas.persons import Link, Pair
from stores.base import Warehouse
from stores.registry import PersonRecord, SqlRegistry

WHOLE_ROWS = 50
"""So many rows are read whole at a time: each may have 1 MiB of texts."""

Entry = dict[str, Any]

_ROWS = """
SELECT * FROM {table}
WHERE tenant_id = %(tenant_id)s
    AND received_at >= fromUnixTimestamp64Milli(toInt64(%(from_ms)s))
    AND received_at <= fromUnixTimestamp64Milli(toInt64(%(to_ms)s))
    AND (inc, topic, kp, ko) IN %(at)s
ORDER BY received_at, inc, topic, kp, ko"""  # the table is a constant of ours

_ENDED = """
SELECT * FROM outcomes
WHERE tenant_id = %(tenant_id)s AND (first_event_id IN %(event_ids)s OR event_id IN %(event_ids)s)
ORDER BY received_at, inc, topic, kp, ko LIMIT 1 BY inc, topic, kp, ko"""

_FIELDS = """
SELECT toString(field) AS field, argMax(customer_fields.value, rank) AS value
FROM customer_fields WHERE tenant_id = %(tenant_id)s AND toString(person_id) IN %(person_ids)s
GROUP BY field HAVING value != '' ORDER BY field"""

_OF_PERSON = "tenant_id = %(tenant_id)s AND toString(person_id) IN %(person_ids)s"
_OF_PROFILE = {
    "customer_patches": f"SELECT count() AS rows FROM customer_patches WHERE {_OF_PERSON}",
    # Until a merge an older value of a field is a row, too.
    "customer_fields": f"SELECT uniqExact(person_id, field) AS rows FROM customer_fields WHERE {_OF_PERSON}",
}


Say = Callable[[str, int], None]
"""Told the table that is searched, and how many rows of it were found so far."""


def say_nothing(table: str, rows: int) -> None:
    """Nobody listens."""


async def export(
    registry: SqlRegistry, warehouse: Warehouse, subject: Subject, record: PersonRecord
) -> AsyncIterator[Entry]:
    """Yield who the person is, the profile, and every row, oldest first. Raises StoreUnavailable."""
    yield {"part": "person", **shown(subject, record)}
    profile = await _profile(warehouse, subject)
    if profile:
        yield {"part": "profile", "fields": profile}
    places = Places(warehouse, subject)
    async for page in places.events():
        for rows in _cut(page):
            for row in await _whole(warehouse, "events", subject, rows):
                yield {"part": "event", **unfold(row, ("properties",))}
            ids = tuple(place.event_id for place in rows)
            asked = {"tenant_id": subject.tenant_id, "event_ids": ids}
            for row in await warehouse.query(_ENDED, asked):
                yield {"part": "outcome", **row}
    async for page in places.letters():
        for rows in _cut(page):
            for row in await _whole(warehouse, "quarantine", subject, rows):
                yield {"part": "quarantine", **row}
    async for entry in _deliveries(registry, subject):
        yield entry


async def _deliveries(registry: SqlRegistry, subject: Subject) -> AsyncIterator[Entry]:
    async for found in undelivered(registry, subject):
        for delivery in found:
            yield {"part": "delivery", **shown_delivery(delivery), "body": Raw(delivery.body.encode())}


async def counted(
    registry: SqlRegistry, warehouse: Warehouse, subject: Subject, say: Say = say_nothing
) -> dict[str, int]:
    """Return how many rows of each table an erasure would delete now. Raises StoreUnavailable.

    `say` is told as they are found: it takes a while where a tenant has many.
    """
    found = Counter({"events": 0, "quarantine": 0, "deliveries": 0})
    places = Places(warehouse, subject)
    pages: dict[str, AsyncIterator[Sequence[object]]] = {
        "events": places.events(),
        "quarantine": places.letters(),
        "deliveries": undelivered(registry, subject),
    }
    for table, found_there in pages.items():
        say(table, 0)
        async for page in found_there:
            found[table] += len(page)
            say(table, found[table])
    params = {"tenant_id": subject.tenant_id, "person_ids": subject.person_ids}
    for table, counting in _OF_PROFILE.items():
        found[table] = 0
        if subject.person_ids:
            [row] = await warehouse.query(counting, params)
            found[table] = row["rows"]
    return dict(found)


def shown(subject: Subject, record: PersonRecord) -> Entry:
    """Return who a person is: what `penstock person show` tells, and what follows from it."""
    return {
        "tenant_id": subject.tenant_id,
        "scope": subject.scope,
        "person_id": record.canonical_id or None,
        "person_ids": subject.person_ids,
        "identifiers": [{"kind": each.kind, "value": each.value} for each in subject.identifiers],
        "links": [link_entry(link) for link in record.links],
        "devices": [pair_entry(pair) for pair in record.pairs],
    }


def link_entry(link: Link) -> Entry:
    """Return a link as it is shown."""
    return {
        "scope": link.identifier.scope,
        "kind": link.identifier.kind,
        "value": link.identifier.value,
        "person_id": link.person_id,
        "reason": link.reason,
        "event_id": link.event_id,
        **_times(link),
    }


def pair_entry(pair: Pair) -> Entry:
    """Return a pair as it is shown."""
    return {
        "scope": pair.device.scope,
        "device": pair.device.value,
        "kind": pair.seen_with.kind,
        "value": pair.seen_with.value,
        "person_id": pair.person_id,
        "event_id": pair.event_id,
        **_times(pair),
    }


def _times(fact: Link | Pair) -> Entry:
    undone = fact.unlinked_at
    return {"linked_at": moment(fact.linked_at), "unlinked_at": None if undone is None else moment(undone)}


async def _profile(warehouse: Warehouse, subject: Subject) -> Mapping[str, Any]:
    if not subject.person_ids:
        return {}
    params = {"tenant_id": subject.tenant_id, "person_ids": subject.person_ids}
    rows = await warehouse.query(_FIELDS, params)
    fields = {row["field"]: row["value"] for row in rows}
    since = fields.pop("since", None)
    profile = unfold(fields, tuple(fields))
    return profile if since is None else {"since": moment(int(since)), **profile}


async def _whole(warehouse: Warehouse, table: str, subject: Subject, rows: Sequence[Place]) -> list[Entry]:
    times = [place.received_at for place in rows]
    at = [(place.at.inc, place.at.topic, place.at.kp, place.at.ko) for place in rows]
    params = {"tenant_id": subject.tenant_id, "from_ms": min(times), "to_ms": max(times), "at": at}
    return await warehouse.query(_ROWS.format(table=table), params)


def _cut(page: Sequence[Place]) -> list[Sequence[Place]]:
    return [page[start : start + WHOLE_ROWS] for start in range(0, len(page), WHOLE_ROWS)]
