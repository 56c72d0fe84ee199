"""What `events` knows of requests that this worker cannot: it has just taken over, or had to forget."""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.rows import EVENTS
from schemas.topics import Coordinates
from stores.base import QueryRefused, StoreUnavailable, Warehouse
from workers.attempts import SKEW_MS, WINDOW_MS, Seen
from workers.replicas import Replicas

REQUESTS_MAX = 100_000
"""Of one partition. More requests in a window are not listed; then every event is asked for by its id."""

IDS_MAX = 5_000
"""In one question: a statement is parsed up to 256 KiB, and an id takes 39 bytes of it."""

_OF_PARTITION = "topic = %(topic)s AND kp = %(kp)s AND inc = %(inc)s AND ko < %(before)s"
_WITHIN = (
    "received_at >= fromUnixTimestamp64Milli(toInt64(%(from_ms)s))"
    " AND received_at <= fromUnixTimestamp64Milli(toInt64(%(to_ms)s))"
)
_REQUESTS = f"""
SELECT DISTINCT substring(toString(event_id), 1, 28) AS request
FROM events
WHERE {_OF_PARTITION} AND {_WITHIN} AND substring(toString(event_id), 15, 1) = '8'
LIMIT %(limit)s
"""  # noqa: S608 - put together from the constants above
_BY_ID = f"""
SELECT toString(event_id) AS id, ko, toUnixTimestamp64Milli(received_at) AS received_ms
FROM events
WHERE {_OF_PARTITION} AND {_WITHIN} AND event_id IN %(ids)s
ORDER BY ko
"""  # noqa: S608 - put together from the constants above
_STORED = """
SELECT toString(event_id) AS id, inc, topic, kp, ko
FROM events
WHERE tenant_id IN %(tenants)s AND event_id IN %(ids)s
"""


class Earlier:
    """Questions to the warehouse. All raise StoreUnavailable."""

    def __init__(self, warehouse: Warehouse, cluster: str = "") -> None:
        self._warehouse = warehouse
        self._replicas = Replicas(warehouse, cluster)

    async def requests(self, before: Coordinates, received_ms: int) -> frozenset[bytes] | None:
        """Return the requests stored below an offset within the window, or None if they are too many."""
        params = _params(before, received_ms, received_ms)
        rows = await self._query(_REQUESTS, params | {"limit": REQUESTS_MAX})
        if len(rows) == REQUESTS_MAX:
            return None
        return frozenset(request_of(row["request"]) for row in rows)

    async def events(
        self, before: Coordinates, from_ms: int, to_ms: int, ids: Sequence[str]
    ) -> Mapping[bytes, list[Seen]]:
        """Return the stored events with these ids, by request."""
        params = _params(before, from_ms, to_ms)
        found: dict[bytes, list[Seen]] = {}
        for row in await self._by_portions(_BY_ID, params, ids):
            seen = Seen(index_of(row["id"]), row["ko"], row["received_ms"])
            found.setdefault(request_of(row["id"]), []).append(seen)
        return found

    async def stored(self, tenants: Sequence[int], ids: Sequence[str]) -> list[tuple[str, Coordinates]]:
        """Return where events with these ids are stored, wherever and whenever."""
        rows = await self._by_portions(_STORED, {"tenants": list(tenants)}, ids)
        return [(row["id"], Coordinates(row["inc"], row["topic"], row["kp"], row["ko"])) for row in rows]

    async def _by_portions(
        self, sql: str, params: Mapping[str, object], ids: Sequence[str]
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for start in range(0, len(ids), IDS_MAX):
            rows += await self._query(sql, {**params, "ids": list(ids[start : start + IDS_MAX])})
        return rows

    async def _query(self, sql: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
        await self._replicas.catch_up(EVENTS)
        try:
            return await self._warehouse.query(sql, params)
        except QueryRefused as error:
            # Our own statement cannot be wrong: a limit was hit, or a table is being altered.
            raise StoreUnavailable(str(error)) from error


def request_of(event_id: str) -> bytes:
    """Return the 12 bytes that name the request of a version 8 id."""
    return bytes.fromhex(event_id[:28].replace("-", ""))


def index_of(event_id: str) -> int:
    """Return the event's index in its request, from a version 8 id."""
    return int(event_id[28:], 16)


def _params(before: Coordinates, from_ms: int, to_ms: int) -> dict[str, object]:
    return {
        "topic": before.topic,
        "kp": before.kp,
        "inc": before.inc,
        "before": before.ko,
        "from_ms": from_ms - WINDOW_MS - SKEW_MS,
        "to_ms": to_ms + WINDOW_MS + SKEW_MS,
    }
