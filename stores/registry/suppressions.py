"""Identifiers of erased persons, by digest: a list only added to, so that workers read just what is new."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.erasures import digest
from schemas.persons import Identifier, person_id
from stores.registry import person_merges
from stores.registry.database import Database
from stores.registry.errors import EntryRefused
from stores.registry.person_unlinking import NEXT_EPOCH
from stores.registry.tables import erasures, person_links, suppressions
from stores.registry.tenants import now_ms
from stores.registry.upsert import insert_new

NOBODY = "00000000-0000-0000-0000-000000000000"
NAMED_MAX = 500
"""Digests in one statement."""

# One writer at a time, until its transaction ends: who reads up to a number has all that lies below it.
_ALONE = text("SELECT pg_advisory_xact_lock(7311145580146058097)")
_NEW = (
    select(suppressions.c.seq, suppressions.c.tenant_id, suppressions.c.digest, suppressions.c.suppressed)
    .where(suppressions.c.seq > bindparam("after"))
    .order_by(suppressions.c.seq)
    .limit(bindparam("rows_max"))
)


class Suppression(NamedTuple):
    """From change `seq` on, events with this identifier are dropped, or taken again."""

    seq: int
    tenant_id: int
    digest: bytes
    suppressed: bool


class Suppressions:
    """The part of the registry that knows whose events are dropped. Every call raises StoreUnavailable."""

    _database: Database

    async def suppressions_after(self, seq: int, rows_max: int) -> Sequence[Suppression]:
        """Return the changes after change `seq`, in their order."""
        rows = await self._database.read(_NEW, {"after": seq, "rows_max": rows_max})
        return [Suppression(*row) for row in rows]

    async def suppressed_among(self, digests: Sequence[tuple[int, bytes]]) -> set[tuple[int, bytes]]:
        """Return which of these (tenant, digest) are suppressed now."""

        async def run(connection: AsyncConnection) -> set[tuple[int, bytes]]:
            return await suppressed_now(connection, digests)

        return await self._database.single(run)

    async def unsuppress(self, identifier: Identifier, reason: str) -> None:
        """Take events with this identifier again: they make a person who has nothing of the erased one.

        Raises EntryRefused where it is not suppressed, or its erasure is not done.
        """
        named = (identifier.tenant_id, digest(identifier))

        async def run(connection: AsyncConnection) -> None:
            await alone(connection)
            row = (await connection.execute(_newest([named]))).first()
            if row is None or not row.suppressed:
                raise EntryRefused("This identifier is not suppressed.")
            state = await connection.scalar(
                select(erasures.c.state).where(erasures.c.erasure_id == row.erasure_id)
            )
            if state != "done":
                raise EntryRefused(
                    f"Its erasure {row.erasure_id} is not done: what came now would be erased too."
                )
            await add(connection, row.erasure_id, [(*named, row.generation)], suppressed=False, reason=reason)
            if identifier.kind != "device":
                await _part_from_the_erased(connection, identifier, row.generation)
            await connection.execute(NEXT_EPOCH, {"tenant_id": identifier.tenant_id})

        await self._database.write(run)


async def alone(connection: AsyncConnection) -> None:
    """Keep all others from adding until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        await connection.execute(person_merges.BOUNDED)
        await connection.execute(_ALONE)


async def add(
    connection: AsyncConnection,
    erasure_id: str,
    digests: Iterable[tuple[int, bytes, int]],
    *,
    suppressed: bool,
    reason: str = "",
) -> None:
    """Add a change for each (tenant, digest, generation); only after `alone`."""
    seq = await connection.scalar(select(func.coalesce(func.max(suppressions.c.seq), 0))) or 0
    rows = [
        {
            "seq": seq + number,
            "tenant_id": tenant_id,
            "digest": named,
            "suppressed": suppressed,
            "generation": generation,
            "erasure_id": erasure_id,
            "reason": reason,
            "changed_at": now_ms(),
        }
        for number, (tenant_id, named, generation) in enumerate(digests, 1)
    ]
    if rows:
        await connection.execute(insert(suppressions), rows)


async def suppressed_now(
    connection: AsyncConnection, digests: Sequence[tuple[int, bytes]]
) -> set[tuple[int, bytes]]:
    """Return which of these (tenant, digest) are suppressed."""
    found: dict[tuple[int, bytes], bool] = {}
    for start in range(0, len(digests), NAMED_MAX):
        for row in await connection.execute(_newest(digests[start : start + NAMED_MAX])):
            found.setdefault((row.tenant_id, row.digest), row.suppressed)
    return {named for named, suppressed in found.items() if suppressed} & set(digests)


def _newest(digests: Sequence[tuple[int, bytes]]) -> Select[tuple[Any, ...]]:
    return (
        select(suppressions)
        .where(
            suppressions.c.tenant_id.in_({tenant_id for tenant_id, _ in digests}),
            suppressions.c.digest.in_({named for _, named in digests}),
        )
        .order_by(suppressions.c.seq.desc())
    )


async def _part_from_the_erased(connection: AsyncConnection, identifier: Identifier, generation: int) -> None:
    """Leave links that were undone, so that the next event does not make the erased person's id anew."""
    now = now_ms()
    made_by_nobody = {"event_id": NOBODY, "inc": 0, "topic": "", "kp": 0, "ko": 0}
    for number in range(generation + 1):
        values = {
            **identifier._asdict(),
            **made_by_nobody,
            "generation": number,
            "person_id": person_id(identifier, number),
            "reason": "unlinked",
            "linked_at": now,
            "unlinked_at": now,
        }
        await connection.execute(insert_new(connection, person_links).values(**values))
