"""Whose identifiers are: read and added by one statement a batch, each link for good.

A batch travels as one JSON text, which either database reads as the table `c`. What is added is refused as
a whole where another worker was first with a part of it: then the caller reads again and decides anew.
"""

# ruff: noqa: S608 - tables and columns are our own constants; every value is a parameter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.persons import Identifier, Link, Pair
from schemas.topics import Coordinates
from stores.registry.database import AnyRow, Database

READ_MAX = 10_000
"""Identifiers in one SELECT."""

ADDED_MAX = 2_000
"""Links in one INSERT, or a few more: those of one event stand together. Fewer are refused together."""

Fact = TypeVar("Fact", Link, Pair)


class LinkTaken(Exception):
    """Another worker linked one of the identifiers, or filled one of the slots, in between."""


_CASTS = dict.fromkeys(("tenant_id", "ko", "linked_at", "version"), "bigint")
_CASTS |= dict.fromkeys(("generation", "inc", "kp"), "integer")
_CASTS |= dict.fromkeys(("person_id", "event_id", "canonical_id"), "uuid")


def on_batch(sql: str, columns: Sequence[str]) -> dict[str, TextClause]:
    """Return the statement for each database, `{batch}` being rows of these columns in the given order."""
    of_sqlite = (f"json_extract(value, '$[{n}]') AS {name}" for n, name in enumerate(columns))
    of_postgres = (
        f"CAST(value->>{n} AS {_CASTS.get(name, 'text')}) AS {name}" for n, name in enumerate(columns)
    )
    batches = {
        "sqlite": f"(SELECT key AS place, {', '.join(of_sqlite)} FROM json_each(:batch)) AS c",
        "postgresql": f"(SELECT place - 1 AS place, {', '.join(of_postgres)} "
        "FROM json_array_elements(CAST(:batch AS json)) WITH ORDINALITY AS b(value, place)) AS c",
    }
    return {dialect: text(sql.format(batch=batch)) for dialect, batch in batches.items()}


def batch_of(rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Return the parameters of a statement made by `on_batch`."""
    return {"batch": msgspec.json.encode(rows).decode()}


_IDENTIFIER = ("tenant_id", "scope", "kind", "value")
_ORIGIN = ("event_id", "inc", "topic", "kp", "ko", "linked_at")
LINK_COLUMNS = (
    "l.tenant_id, l.scope, l.kind, l.value, CAST(l.person_id AS text), l.reason, CAST(l.event_id AS text), "
    "l.inc, l.topic, l.kp, l.ko, l.linked_at, l.generation, l.slot, l.unlinked_at"
)
PAIR_COLUMNS = (
    "p.tenant_id, p.scope, p.device, p.kind, p.value, CAST(p.person_id AS text), CAST(p.event_id AS text), "
    "p.inc, p.topic, p.kp, p.ko, p.linked_at, p.unlinked_at"
)
_LINK_ROW = (*_IDENTIFIER, "person_id", "reason", *_ORIGIN, "generation", "slot")
_PAIR_ROW = ("tenant_id", "scope", "device", "kind", "value", "person_id", *_ORIGIN)

_LINKS = on_batch(
    f"""SELECT {LINK_COLUMNS} FROM {{batch}} JOIN person_links AS l ON l.tenant_id = c.tenant_id
        AND l.kind = c.kind AND l.value = c.value AND l.scope = c.scope""",
    _IDENTIFIER,
)
_LINKS_OF = on_batch(
    f"""SELECT {LINK_COLUMNS} FROM {{batch}} JOIN person_links AS l ON l.person_id = c.person_id
        WHERE l.unlinked_at IS NULL""",
    ("person_id",),
)
_PAIRS = on_batch(
    f"""SELECT {PAIR_COLUMNS} FROM {{batch}} JOIN person_pairs AS p ON p.tenant_id = c.tenant_id
        AND p.device = c.value AND p.scope = c.scope""",
    _IDENTIFIER,
)


def _insert(table: str, columns: Sequence[str], key: str) -> dict[str, TextClause]:
    # In the order of the key, so that two workers never wait for each other in a circle.
    listed = ", ".join(columns)
    sql = f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {{batch}} WHERE true ORDER BY {key}"
    return on_batch(sql, columns)


_ADD_LINKS = _insert("person_links", _LINK_ROW, "tenant_id, kind, value, scope, generation")
_ADD_PAIRS = _insert("person_pairs", _PAIR_ROW, "tenant_id, device, scope, kind, value")


class PersonLinks:
    """The part of the registry that holds links. Every call raises StoreUnavailable."""

    _database: Database

    async def person_links(self, identifiers: Sequence[Identifier]) -> Sequence[Link]:
        """Return every link of each identifier (at most one holds), undone ones too."""
        return await self._read(_LINKS, identifiers, link_of)

    async def links_of_persons(self, person_ids: Iterable[str]) -> Sequence[Link]:
        """Return the links of each person that hold."""
        return await self._read(_LINKS_OF, [(person_id,) for person_id in person_ids], link_of)

    async def device_pairs(self, devices: Sequence[Identifier]) -> Sequence[Pair]:
        """Return every pair of each device, undone ones too."""
        return await self._read(_PAIRS, devices, pair_of)

    async def add_links(self, links: Sequence[Link]) -> None:
        """Add links, given in the order of their events; those of one event all or none.

        Each part stands when its statement is done, so a worker that is frozen in between holds no lock.
        Raises LinkTaken: some may be added.
        """
        await self._add(_ADD_LINKS, links, _link_row)

    async def add_pairs(self, pairs: Sequence[Pair]) -> None:
        """Add pairs, given in the order of their events. Raises LinkTaken: some may be added."""
        await self._add(_ADD_PAIRS, pairs, _pair_row)

    async def _read(
        self,
        statement: dict[str, TextClause],
        keys: Sequence[Sequence[Any]],
        make: Callable[[AnyRow], Fact],
    ) -> Sequence[Fact]:
        async def run(connection: AsyncConnection) -> Sequence[Fact]:
            found: list[Fact] = []
            for start in range(0, len(keys), READ_MAX):
                batch = batch_of(keys[start : start + READ_MAX])
                rows = (await connection.execute(statement[connection.dialect.name], batch)).all()
                found.extend(map(make, rows))
            return found

        return await self._database.single(run) if keys else []

    async def _add(
        self, statement: dict[str, TextClause], facts: Sequence[Fact], row: Callable[[Fact], Sequence[Any]]
    ) -> None:
        async def run(connection: AsyncConnection) -> None:
            for part in _parts(facts):
                rows = [row(fact) for fact in part]
                await connection.execute(statement[connection.dialect.name], batch_of(rows))

        if not facts:
            return
        try:
            await self._database.single(run)
        except IntegrityError:
            raise LinkTaken from None


def _parts(facts: Sequence[Fact]) -> Iterator[Sequence[Fact]]:
    part: list[Fact] = []
    for _, of_event in groupby(facts, key=lambda fact: fact.event_id):
        part.extend(of_event)
        if len(part) >= ADDED_MAX:
            yield part
            part = []
    if part:
        yield part


def _origin(fact: Link | Pair) -> tuple[Any, ...]:
    at = fact.at
    return (fact.event_id, at.inc, at.topic, at.kp, at.ko, fact.linked_at)


def _link_row(link: Link) -> Sequence[Any]:
    return (*link.identifier, link.person_id, link.reason, *_origin(link), link.generation, link.slot)


def _pair_row(pair: Pair) -> Sequence[Any]:
    device, other = pair.device, pair.seen_with
    return (*device[:2], device.value, other.kind, other.value, pair.person_id, *_origin(pair))


def link_of(row: AnyRow) -> Link:
    """Read LINK_COLUMNS."""
    tenant, scope, kind, value, person, reason, event, inc, topic, kp, ko, *rest = row
    linked_at, generation, slot, unlinked_at = rest
    return Link(
        identifier=Identifier(tenant, scope, kind, value),
        person_id=person,
        reason=reason,
        event_id=event,
        at=Coordinates(inc, topic, kp, ko),
        linked_at=linked_at,
        generation=generation,
        slot=slot,
        unlinked_at=unlinked_at,
    )


def pair_of(row: AnyRow) -> Pair:
    """Read PAIR_COLUMNS."""
    tenant, scope, device, kind, value, person, event, inc, topic, kp, ko, linked_at, unlinked_at = row
    return Pair(
        device=Identifier(tenant, scope, "device", device),
        seen_with=Identifier(tenant, scope, kind, value),
        person_id=person,
        event_id=event,
        at=Coordinates(inc, topic, kp, ko),
        linked_at=linked_at,
        unlinked_at=unlinked_at,
    )
