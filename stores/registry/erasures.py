"""Requests to erase persons: recorded with the suppression of their identifiers, worked on under a lease."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.erasures import Progress, State, Subject
from stores.registry.database import AnyRow, Database
from stores.registry.errors import EntryRefused
from stores.registry.person_erasing import forget
from stores.registry.suppressions import NAMED_MAX, add, alone
from stores.registry.tables import erasures, person_links, suppressions
from stores.registry.tenants import now_ms, require_tenant
from stores.registry.undelivered import take_away

LISTED_MAX = 1000

_ONE = select(erasures).where(erasures.c.erasure_id == bindparam("erasure_id"))
_OPEN = select(erasures.c.erasure_id).where(erasures.c.state != "done").order_by(erasures.c.requested_at)
_LAST = (
    select(erasures)
    .where(erasures.c.tenant_id == bindparam("tenant_id"))
    .order_by(erasures.c.requested_at.desc(), erasures.c.erasure_id)
    .limit(LISTED_MAX)
)
_STATES = select(erasures.c.state, func.count()).group_by(erasures.c.state)

_encode = msgspec.json.Encoder().encode


class ErasureUnderWay(EntryRefused):
    """Somebody of these identifiers is being erased already, by `erasure_id`."""

    def __init__(self, erasure_id: str) -> None:
        super().__init__(f"This person is being erased already, as {erasure_id}.")
        self.erasure_id = erasure_id


class LeaseLost(Exception):
    """Another process works on the erasure by now: leave it alone."""


class Erasure(Struct, frozen=True):
    """One request; `subject` is gone when it is done, and `digests` stand for it. Times are Unix ms."""

    erasure_id: str
    tenant_id: int
    scope: str
    state: State
    asked_by: str
    subject: Subject | None
    digests: Sequence[str]
    progress: Progress
    requested_at: int
    finished_at: int | None


class Erasures:
    """The part of the registry that holds erasures. Every call raises StoreUnavailable."""

    _database: Database

    async def request_erasure(self, subject: Subject, *, asked_by: str, found: dict[str, int]) -> Erasure:
        """Record a request and suppress the identifiers, both or neither.

        Raises ErasureUnderWay, and EntryRefused where there is no such tenant.
        """
        made = Erasure(
            erasure_id=str(uuid4()),
            tenant_id=subject.tenant_id,
            scope=subject.scope,
            state="erasing",
            asked_by=asked_by,
            subject=subject,
            digests=[each.hex() for each in subject.digests],
            progress=Progress(found=found),
            requested_at=now_ms(),
            finished_at=None,
        )

        async def run(connection: AsyncConnection) -> None:
            await alone(connection)
            await require_tenant(connection, subject.tenant_id)
            await _refuse_second(connection, subject)
            await connection.execute(insert(erasures).values(**_row(made)))
            generations = await _generations(connection, subject)
            named = zip(subject.digests, generations, strict=True)
            rows = [(subject.tenant_id, each, generation) for each, generation in named]
            await add(connection, made.erasure_id, rows, suppressed=True)

        await self._database.write(run)
        return made

    async def erasure(self, erasure_id: str) -> Erasure | None:
        """Return one, of whichever tenant."""
        rows = await self._database.lookup(_ONE, {"erasure_id": erasure_id})
        return _erasure_of(rows[0]) if rows else None

    async def list_erasures(self, tenant_id: int) -> Sequence[Erasure]:
        """Return a tenant's last 1,000, the newest first."""
        return [_erasure_of(row) for row in await self._database.lookup(_LAST, {"tenant_id": tenant_id})]

    async def open_erasures(self) -> Sequence[str]:
        """Return the ids of those that are not done, the oldest first."""
        return [erasure_id for (erasure_id,) in await self._database.read(_OPEN)]

    async def count_erasures(self) -> dict[str, int]:
        """Return how many there are, by state."""
        rows = await self._database.read(_STATES)
        return {row[0]: row[1] for row in rows}

    async def lease_erasure(self, erasure_id: str, owner: str, lease_ms: int) -> Erasure | None:
        """Take an open one, or keep it, for so long; None where another has it, or it is done."""
        now = now_ms()
        free = or_(erasures.c.lease_owner == owner, erasures.c.lease_until < now)
        taken = (
            update(erasures)
            .where(erasures.c.erasure_id == erasure_id, erasures.c.state != "done", free)
            .values(lease_owner=owner, lease_until=now + lease_ms)
        )

        async def run(connection: AsyncConnection) -> AnyRow | None:
            if not (await connection.execute(taken)).rowcount:
                return None
            return (await connection.execute(_ONE, {"erasure_id": erasure_id})).first()

        row = await self._database.write(run)
        return None if row is None else _erasure_of(row)

    async def release_erasure(self, erasure_id: str, owner: str) -> None:
        """Let others take it at once."""
        await self._database.write(lambda c: _update(c, erasure_id, owner, {"lease_until": 0}))

    async def save_erasure(self, erasure_id: str, owner: str, state: State, progress: Progress) -> None:
        """Note how far it is. Raises LeaseLost."""
        values = {"state": state, "progress": _encode(progress).decode()}
        if not await self._database.write(lambda c: _update(c, erasure_id, owner, values)):
            raise LeaseLost(erasure_id)

    async def forget_person(self, erasure_id: str, owner: str, subject: Subject) -> int:
        """Delete all that the registry knows of a person; return how many facts. Raises LeaseLost.

        The progress counts them in the same transaction, so that no crash can make it wrong.
        """

        async def run(connection: AsyncConnection) -> int:
            progress = await _held(connection, erasure_id, owner)
            forgotten = await forget(connection, subject)
            counted = replace(progress, links=progress.links + forgotten)
            await _update(connection, erasure_id, owner, {"progress": _encode(counted).decode()})
            return forgotten

        return await self._database.write(run)

    async def erase_deliveries(self, erasure_id: str, owner: str, match_ids: Sequence[str]) -> int:
        """Take away what these still have to send; return of how many. Raises LeaseLost.

        Counted as in `forget_person`.
        """

        async def run(connection: AsyncConnection) -> int:
            progress = await _held(connection, erasure_id, owner)
            taken = await take_away(connection, match_ids, erasure_id)
            counted = replace(progress, deliveries=progress.deliveries + taken)
            await _update(connection, erasure_id, owner, {"progress": _encode(counted).decode()})
            return taken

        return await self._database.write(run)

    async def finish_erasure(self, erasure_id: str, owner: str, progress: Progress) -> None:
        """Write the certificate: from here on nothing says who it was. Raises LeaseLost."""
        values = {
            "state": "done",
            "progress": _encode(progress).decode(),
            "subject": None,
            "finished_at": now_ms(),
        }
        if not await self._database.write(lambda c: _update(c, erasure_id, owner, values)):
            raise LeaseLost(erasure_id)


async def _held(connection: AsyncConnection, erasure_id: str, owner: str) -> Progress:
    """Return how far an erasure is that nobody else changes until the transaction ends."""
    if not await _update(connection, erasure_id, owner, {"lease_owner": owner}):
        raise LeaseLost(erasure_id)
    row = (await connection.execute(_ONE, {"erasure_id": erasure_id})).one()
    return _erasure_of(row).progress


async def _update(connection: AsyncConnection, erasure_id: str, owner: str, values: dict[str, Any]) -> int:
    held: tuple[ColumnElement[bool], ...] = (
        erasures.c.erasure_id == erasure_id,
        erasures.c.lease_owner == owner,
        erasures.c.state != "done",
    )
    return (await connection.execute(update(erasures).where(*held).values(**values))).rowcount


async def _refuse_second(connection: AsyncConnection, subject: Subject) -> None:
    digests = subject.digests
    for start in range(0, len(digests), NAMED_MAX):
        under_way = await connection.scalar(
            select(erasures.c.erasure_id)
            .join(suppressions, suppressions.c.erasure_id == erasures.c.erasure_id)
            .where(
                suppressions.c.tenant_id == subject.tenant_id,
                suppressions.c.digest.in_(digests[start : start + NAMED_MAX]),
                erasures.c.state != "done",
            )
        )
        if under_way:
            raise ErasureUnderWay(under_way)


async def _generations(connection: AsyncConnection, subject: Subject) -> list[int]:
    """Return of each identifier how often it was linked anew."""
    found = []
    for each in subject.identifiers:
        named = (person_links.c[name] == value for name, value in each._asdict().items())
        newest = select(func.coalesce(func.max(person_links.c.generation), 0)).where(*named)
        found.append(int(await connection.scalar(newest) or 0))
    return found


def _row(erasure: Erasure) -> dict[str, Any]:
    return {
        "erasure_id": erasure.erasure_id,
        "tenant_id": erasure.tenant_id,
        "scope": erasure.scope,
        "state": erasure.state,
        "asked_by": erasure.asked_by,
        "subject": _encode(erasure.subject).decode(),
        "digests": _encode(erasure.digests).decode(),
        "progress": _encode(erasure.progress).decode(),
        "requested_at": erasure.requested_at,
        "finished_at": None,
        "lease_owner": "",
        "lease_until": 0,
    }


def _erasure_of(row: AnyRow) -> Erasure:
    return Erasure(
        erasure_id=row.erasure_id,
        tenant_id=row.tenant_id,
        scope=row.scope,
        state=row.state,
        asked_by=row.asked_by,
        subject=None if row.subject is None else msgspec.json.decode(row.subject, type=Subject),
        digests=msgspec.json.decode(row.digests, type=list[str]),
        progress=msgspec.json.decode(row.progress, type=Progress),
        requested_at=row.requested_at,
        finished_at=row.finished_at,
    )
