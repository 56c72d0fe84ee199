"""The outcome `erased`: on record before a row goes, so that the ledger never shows a gap.

Which record has one is asked, never assumed: a step that was killed is done again.
"""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec

from console.erasure.places import Place
from schemas.rows import LANDING, OUTCOMES
from schemas.topics import DEAD, Coordinates
from stores.base import StoreUnavailable, Warehouse

NOBODY = str(UUID(int=0))

ATTEMPTS = 3
"""An insert that is acknowledged without its rows shows that its token is spoilt: the next has another."""

_ON_RECORD = """
SELECT DISTINCT inc, topic, kp, ko
FROM outcomes
WHERE tenant_id = %(tenant_id)s
    AND received_at >= fromUnixTimestamp64Milli(toInt64(%(from_ms)s))
    AND received_at <= fromUnixTimestamp64Milli(toInt64(%(to_ms)s))
    AND (inc, topic, kp, ko) IN %(at)s"""

_COUNTED = """
SELECT topic, count() AS records FROM (
    SELECT DISTINCT inc, topic, kp, ko FROM outcomes WHERE tenant_id = %(tenant_id)s AND reason = %(reason)s
) GROUP BY topic"""

_encode = msgspec.json.Encoder().encode


class Outcomes:
    """Writes what became of the records of one erasure."""

    def __init__(self, warehouse: Warehouse, erasure_id: str, tenant_id: int) -> None:
        self._warehouse = warehouse
        self._erasure_id = erasure_id
        self._tenant_id = tenant_id

    async def kill_inserts(self) -> None:
        """End what a predecessor that was killed or frozen may still be inserting."""
        await self._warehouse.execute(
            "KILL QUERY WHERE startsWith(query_id, %(prefix)s) AND current_database = currentDatabase() SYNC",
            {"prefix": self._prefix},
        )

    async def record(self, places: Sequence[Place]) -> None:
        """Return when each record that these rows are about has an outcome. Raises StoreUnavailable."""
        rows = _rows(places, self._tenant_id, self._erasure_id)
        times = [place.received_at for place in places]
        missing = await self._missing(rows, min(times), max(times))
        for attempt in range(ATTEMPTS):
            if not missing:
                return
            await self._insert(missing, attempt)
            missing = await self._missing(rows, min(times), max(times))
        if missing:
            raise StoreUnavailable(f"{len(missing)} outcomes were acknowledged and are not there")

    async def counted(self) -> dict[str, int]:
        """Return how many records have the outcome by this erasure, by topic."""
        params = {"tenant_id": self._tenant_id, "reason": self._erasure_id}
        rows = await self._warehouse.query(_COUNTED, params)
        return {row["topic"]: row["records"] for row in rows}

    @property
    def _prefix(self) -> str:
        return f"penstock/erasure/{self._erasure_id}/"

    async def _missing(
        self, rows: dict[Coordinates, str], from_ms: int, to_ms: int
    ) -> dict[Coordinates, str]:
        at = [(place.inc, place.topic, place.kp, place.ko) for place in rows]
        params = {"tenant_id": self._tenant_id, "from_ms": from_ms, "to_ms": to_ms, "at": at}
        found = await self._warehouse.query(_ON_RECORD, params)
        there = {Coordinates(row["inc"], row["topic"], row["kp"], row["ko"]) for row in found}
        return {place: row for place, row in rows.items() if place not in there}

    async def _insert(self, rows: dict[Coordinates, str], attempt: int) -> None:
        named = " ".join(map(str, rows)).encode()
        columns: dict[str, list[Any]] = {
            "topic": [place.topic for place in rows],
            "kp": [place.kp for place in rows],
            "ko": [place.ko for place in rows],
            "inc": [place.inc for place in rows],
            "row": list(rows.values()),
        }
        token = f"{self._prefix}{hashlib.blake2b(named, digest_size=16).hexdigest()}-{attempt}"
        await self._warehouse.insert(
            LANDING[OUTCOMES], columns, token=token, query_id=f"{self._prefix}{uuid4().hex}"
        )


def _rows(places: Sequence[Place], tenant_id: int, reason: str) -> dict[Coordinates, str]:
    """Return a row for each record: a dead letter is one itself, and about another one."""
    rows = {}
    for place in sorted(places, key=lambda place: place.at):
        # The letter's own record is nobody's event: no receipt must show it.
        rows[place.at] = _row(place, tenant_id, reason, is_event=place.at.topic != DEAD)
        if place.about is not None:
            rows[place.about] = _row(place, tenant_id, reason, is_event=place.about.topic != DEAD)
    return rows


def _row(place: Place, tenant_id: int, reason: str, *, is_event: bool) -> str:
    """Return the row in the order of schemas.rows.OUTCOME_PARTS."""
    return _encode(
        (
            (place.event_id or NOBODY) if is_event else NOBODY,
            tenant_id,
            "erased",
            reason,
            "",
            place.received_at,
            place.request_id if is_event else "",
            place.request_index if is_event else 0,
            place.request_of if is_event else 0,
            place.retention_days,
        )
    ).decode()
