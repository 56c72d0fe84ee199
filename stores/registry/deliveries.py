"""Deliveries: matches on their way to filters' URLs. Each id is taken once, and claimed by one worker.

States: `waiting` (until `due_at`, which a claim puts off for as long as it lasts), `delivered`, `dead`, and
`erased`: it will never be sent, because its person was erased.
"""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import uuid4

import msgspec
from msgspec import Struct
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.erasures import SUPPRESSED
from stores.registry.database import AnyRow, Database
from stores.registry.tenants import now_ms

State = Literal["waiting", "delivered", "dead", "erased"]

NOBODY = "00000000-0000-0000-0000-000000000000"


class NewDelivery(Struct, frozen=True):
    """A match to be sent: lower-case UUIDs, and the body of the request.

    One that is `suppressed` is only noted: its person was erased before it came here.
    """

    match_id: str
    filter_id: str
    body: str
    suppressed: bool = False


class Due(Struct, frozen=True):
    """A filter that has something to be sent now, and where to."""

    filter_id: str
    tenant_id: int
    url: str
    secret: str


class Delivery(Struct, frozen=True):
    """Where a match stands; `status` is the last HTTP status or 0, the times are Unix ms."""

    match_id: str
    filter_id: str
    tenant_id: int
    state: State
    attempts: int
    due_at: int
    expires_at: int
    claim: str
    status: int
    reason: str
    created_at: int
    ended_at: int | None
    body: str


class Ended(Struct, frozen=True):
    """How an attempt of a claimed delivery ended; `waiting` tries again at `due_at`."""

    delivery: Delivery
    state: State
    status: int = 0
    reason: str = ""
    due_at: int = 0


# A batch travels as one JSON text. Only what a filter with a URL waits for is taken. The filter is held
# meanwhile: one that is removed at the same time takes all of its deliveries along, and none stays behind.
_TAKE = {
    "sqlite": text("""
        INSERT INTO deliveries (match_id, filter_id, tenant_id, state, attempts, due_at, expires_at, claim,
            status, reason, created_at, ended_at, body)
        SELECT json_extract(b.value, '$[0]'), f.filter_id, f.tenant_id, json_extract(b.value, '$[3]'), 0,
            :now, :expires_at, '', 0, json_extract(b.value, '$[4]'), :now, json_extract(b.value, '$[5]'),
            json_extract(b.value, '$[2]')
        FROM json_each(:batch) AS b JOIN filters AS f ON f.filter_id = json_extract(b.value, '$[1]')
        WHERE f.url != '' AND f.active
        ON CONFLICT (match_id) DO NOTHING"""),
    "postgresql": text("""
        INSERT INTO deliveries (match_id, filter_id, tenant_id, state, attempts, due_at, expires_at, claim,
            status, reason, created_at, ended_at, body)
        SELECT CAST(b.value->>0 AS uuid), f.filter_id, f.tenant_id, b.value->>3, 0, CAST(:now AS bigint),
            CAST(:expires_at AS bigint), '', 0, b.value->>4, CAST(:now AS bigint),
            CAST(b.value->>5 AS bigint), b.value->>2
        FROM json_array_elements(CAST(:batch AS json)) AS b(value)
        JOIN filters AS f ON f.filter_id = CAST(b.value->>1 AS uuid)
        WHERE f.url != '' AND f.active
        ORDER BY 1
        FOR KEY SHARE OF f
        ON CONFLICT (match_id) DO NOTHING"""),
}
_DUE = text("""
    SELECT f.filter_id, f.tenant_id, f.url, f.secret FROM filters AS f
    WHERE f.url != '' AND f.active AND EXISTS (SELECT 1 FROM deliveries AS d
        WHERE d.filter_id = f.filter_id AND d.state = 'waiting' AND d.due_at <= :now)
    ORDER BY f.filter_id""")


def _claiming(lock: str) -> TextClause:
    return text(f"""
        UPDATE deliveries SET due_at = :until, claim = :claim
        WHERE match_id IN (SELECT match_id FROM deliveries
            WHERE filter_id = :filter_id AND state = 'waiting' AND due_at <= :now
            ORDER BY due_at LIMIT :count {lock})
        RETURNING *""")  # noqa: S608 - two texts of our own


_CLAIM = {"sqlite": _claiming(""), "postgresql": _claiming("FOR UPDATE SKIP LOCKED")}
_DELIVERED = text("""
    UPDATE deliveries SET state = 'delivered', attempts = :attempts, status = :status, reason = :reason,
        claim = '', ended_at = :now, body = ''
    WHERE match_id = :match_id AND state = 'waiting'""")
_FAILED = text("""
    UPDATE deliveries SET state = :state, attempts = :attempts, status = :status, reason = :reason,
        claim = '', due_at = :due_at, ended_at = :ended_at
    WHERE match_id = :match_id AND state = 'waiting' AND claim = :claim""")


class Deliveries:
    """The part of the registry that holds deliveries."""

    _database: Database

    async def take_deliveries(self, batch: Sequence[NewDelivery], *, keep_trying_ms: int) -> int:
        """Enter those that were never entered and whose filter has a URL, and return how many.

        One statement, however many. Raises StoreUnavailable: then enter the batch again.
        """
        if not batch:
            return 0
        now = now_ms()
        waits, noted = ("waiting", "", None), ("erased", SUPPRESSED, now)
        rows = [
            (one.match_id, one.filter_id, "" if one.suppressed else one.body)
            + (noted if one.suppressed else waits)
            for one in batch
        ]
        params = {
            "batch": msgspec.json.encode(rows).decode(),
            "now": now,
            "expires_at": now + keep_trying_ms,
        }

        async def run(connection: AsyncConnection) -> int:
            return (await connection.execute(_TAKE[connection.dialect.name], params)).rowcount

        return await self._database.write(run)

    async def due_filters(self) -> Sequence[Due]:
        """Return the filters that have something to be sent now. Raises StoreUnavailable."""
        rows = await self._database.lookup(_DUE, {"now": now_ms()})
        return [Due(str(row.filter_id), row.tenant_id, row.url, row.secret) for row in rows]

    async def claim_deliveries(self, filter_id: str, *, count: int, lease_ms: int) -> Sequence[Delivery]:
        """Take up to `count` due deliveries of a filter for this caller alone, until the lease ends."""
        now = now_ms()
        params = {
            "filter_id": filter_id,
            "now": now,
            "until": now + lease_ms,
            "claim": str(uuid4()),
            "count": count,
        }

        async def run(connection: AsyncConnection) -> Sequence[AnyRow]:
            return (await connection.execute(_CLAIM[connection.dialect.name], params)).all()

        return [delivery_of(row) for row in await self._database.write(run)]

    async def end_deliveries(self, ended: Sequence[Ended]) -> int:
        """Note how attempts ended, in one transaction; return of how many that counts.

        It does not where a claim had ended before and another has it now. A delivered one counts whoever
        has the claim, and its body is no longer kept.
        """
        now = now_ms()
        delivered = [_params(one, now) for one in ended if one.state == "delivered"]
        others = [_params(one, now) for one in ended if one.state != "delivered"]

        async def run(connection: AsyncConnection) -> int:
            count = 0
            for statement, some in ((_DELIVERED, delivered), (_FAILED, others)):
                for params in some:  # one by one, because drivers do not count a batch
                    count += (await connection.execute(statement, params)).rowcount
            return count

        return await self._database.write(run) if ended else 0


def delivery_of(row: AnyRow) -> Delivery:
    """Return what a row says."""
    values = {field: getattr(row, field) for field in Delivery.__struct_fields__}
    return Delivery(**{**values, "match_id": str(row.match_id), "filter_id": str(row.filter_id)})


def _params(ended: Ended, now: int) -> dict[str, Any]:
    delivery = ended.delivery
    params: dict[str, Any] = {
        "match_id": delivery.match_id,
        "attempts": delivery.attempts + 1,
        "status": ended.status,
        "reason": ended.reason,
    }
    if ended.state == "delivered":
        return params | {"now": now}
    waits = ended.state == "waiting"
    return params | {
        "state": ended.state,
        "claim": delivery.claim,
        "due_at": ended.due_at if waits else delivery.due_at,
        "ended_at": None if waits else now,
    }
