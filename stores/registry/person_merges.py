"""Which persons turned out to be one, and what each is seen as: an override, never a rewritten event."""

import logging
import time

# ruff: noqa: S608 - tables and columns are our own constants; every value is a parameter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.persons import Merge, Override
from stores.registry.database import Database
from stores.registry.person_links import batch_of, on_batch

log = logging.getLogger("penstock.registry")

MOVED_MAX = 10_000
"""Persons that are seen as another one after one transaction: 0.3 s. A merge that would move more of either
side is not made, so that no producer can stop a partition with a user of a million devices.
"""

# One at a time: a merge may concern any number of persons. The lock goes when the transaction ends, which
# the server itself sees to where a worker was frozen within it.
BOUNDED = text("SET LOCAL idle_in_transaction_session_timeout = '5s'")
_ALONE = text("SELECT pg_advisory_xact_lock(7311145580146058096)")

_COLUMNS = "o.tenant_id, CAST(o.person_id AS text), CAST(o.canonical_id AS text), o.version"
_OF = on_batch(
    f"SELECT {_COLUMNS} FROM {{batch}} JOIN person_overrides AS o ON o.person_id = c.person_id",
    ("person_id",),
)
_SEEN_AS = on_batch(
    f"SELECT {_COLUMNS} FROM {{batch}} JOIN person_overrides AS o ON o.canonical_id = c.person_id",
    ("person_id",),
)
_SIZES = on_batch(
    f"""SELECT CAST(c.person_id AS text), (SELECT count(*) FROM (SELECT 1 FROM person_overrides AS o
        WHERE o.canonical_id = c.person_id LIMIT {MOVED_MAX + 1}) AS few) FROM {{batch}}""",
    ("person_id",),
)
_CHANGED_WITH = on_batch(
    f"""SELECT DISTINCT {_COLUMNS} FROM {{batch}} JOIN person_overrides AS m ON m.person_id = c.person_id
        JOIN person_overrides AS o ON o.canonical_id = m.canonical_id AND o.version = m.version""",
    ("person_id",),
)
_PUT = on_batch(
    """INSERT INTO person_overrides (tenant_id, person_id, canonical_id, version)
       SELECT tenant_id, person_id, canonical_id, version FROM {batch} WHERE true ORDER BY person_id
       ON CONFLICT (person_id) DO UPDATE SET canonical_id = excluded.canonical_id,
       version = excluded.version""",
    ("tenant_id", "person_id", "canonical_id", "version"),
)


class PersonMerges:
    """The part of the registry that knows which persons are one."""

    _database: Database

    async def merge_persons(self, merges: Sequence[Merge]) -> Sequence[Override]:
        """Merge, and return the overrides that say so, for the warehouse to have.

        A merge that was done before returns what it changed then, as it stands now: a worker that
        crashed before the warehouse had it repeats it. Raises StoreUnavailable.
        """
        changed: list[Override] = []
        waiting = [merges] if merges else []
        while waiting:
            part = waiting.pop()
            done = await self._database.write(partial(_merge, merges=part))
            if done is None:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                changed += done
        return changed


async def alone(connection: AsyncConnection) -> None:
    """Keep all others from changing overrides until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        await connection.execute(BOUNDED)
        await connection.execute(_ALONE)


async def read(
    connection: AsyncConnection, statement: dict[str, TextClause], person_ids: Iterable[str]
) -> list[Override]:
    """Run one of the SELECTs of this file."""
    batch = batch_of([(person_id,) for person_id in sorted(person_ids)])
    rows = await connection.execute(statement[connection.dialect.name], batch)
    return [Override(*row) for row in rows]


async def seen_as(connection: AsyncConnection, canonical_ids: Iterable[str]) -> list[Override]:
    """Return the overrides to these persons."""
    return await read(connection, _SEEN_AS, canonical_ids)


async def canonical(connection: AsyncConnection, person_ids: Iterable[str]) -> dict[str, Override]:
    """Return the override of each of these persons that has one."""
    return {found.person_id: found for found in await read(connection, _OF, person_ids)}


async def put(connection: AsyncConnection, overrides: Sequence[Override]) -> None:
    """Write overrides in place of those that their persons have."""
    if overrides:
        await connection.execute(_PUT[connection.dialect.name], batch_of(overrides))


async def _merge(connection: AsyncConnection, merges: Sequence[Merge]) -> Sequence[Override] | None:
    """Merge in one transaction. Returns None, and does nothing, if that would move too many for one."""
    await alone(connection)
    persons = {p for merge in merges for p in (merge.person_id, merge.into)}
    known = await canonical(connection, persons)
    seen = {person_id: found.canonical_id for person_id, found in known.items()}
    sizes = await _sizes(connection, {seen.get(person, person) for person in persons})
    winners = unite(merges, seen, sizes)
    if len(merges) > 1 and sum(sizes[loser] for loser in winners) > MOVED_MAX:
        return None
    if winners:
        await _move(connection, winners, known, {p: m.tenant_id for m in merges for p in m[1:]})
        known = await canonical(connection, persons)
    # Of the two, the one that changed last did so when they became one, or both have changed since.
    last = {
        max(pair, key=lambda person: known[person].version)
        for merge in merges
        if (pair := [person for person in (merge.person_id, merge.into) if person in known])
    }
    return await read(connection, _CHANGED_WITH, last)


async def _sizes(connection: AsyncConnection, person_ids: Iterable[str]) -> dict[str, int]:
    """Return how many others are seen as each; of more than MOVED_MAX one more than that."""
    batch = batch_of([(person_id,) for person_id in sorted(person_ids)])
    rows = await connection.execute(_SIZES[connection.dialect.name], batch)
    return {str(person_id): size for person_id, size in rows}


async def _move(
    connection: AsyncConnection,
    winners: Mapping[str, str],
    known: Mapping[str, Override],
    tenants: dict[str, int],
) -> None:
    """See those that others are seen as, and these others with them, as another one."""
    tenants |= {found.canonical_id: found.tenant_id for found in known.values()}
    moved = {found.person_id: found for found in await seen_as(connection, winners)}
    version = next_version([*known.values(), *moved.values()])
    changed = [Override(tenants[loser], loser, winner, version) for loser, winner in winners.items()]
    changed += [
        Override(old.tenant_id, old.person_id, winners[old.canonical_id], version)
        for old in moved.values()
        if old.person_id not in winners
    ]
    await put(connection, changed)


def unite(
    merges: Iterable[Merge], seen_as: Mapping[str, str], sizes: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Return, of the persons that others are seen as, those that are now seen as another, and as which.

    `seen_as` has what each person of the merges is seen as, where it is not itself; `sizes`, as how many
    each is seen: the one with more stays. Merges that go round in a circle are as good as any: the first
    one decides.
    """
    into: dict[str, str] = {}
    size = dict(sizes or {})

    def root(person_id: str) -> str:
        person_id = seen_as.get(person_id, person_id)
        while person_id in into:
            person_id = into[person_id]
        return person_id

    for merge in merges:
        loser, winner = root(merge.person_id), root(merge.into)
        if loser == winner:
            continue
        if size.get(loser, 0) > size.get(winner, 0):
            loser, winner = winner, loser
        if size.get(loser, 0) > MOVED_MAX:
            log.warning("two persons of tenant %d with over %d devices each stay two", merge[0], MOVED_MAX)
            continue
        into[loser] = winner
        size[winner] = size.get(winner, 0) + size.get(loser, 0) + 1
    return {loser: root(loser) for loser in into}


def next_version(overrides: Iterable[Override]) -> int:
    """Return a version above all of these: the time in Unix ms, as a rule."""
    return max(time.time_ns() // 1_000_000, *(o.version + 1 for o in overrides), 0)
