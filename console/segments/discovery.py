"""Which properties a tenant's events have: names, types, when they were last seen, some values."""

import time
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from console.rendering import moment
from console.segments.typed import BUCKETS
from stores.base import Warehouse

DAY_MS = 86_400_000
EVENTS_READ = 5_000
"""Of each event name the newest so many are looked at, to five minutes of more."""

NAMES_MAX = 200
ROWS_MAX = 20_000
SAMPLES = 5
SAMPLE_CHARACTERS_MAX = 100
THREADS_MAX = 4

PropertyType = Literal["string", "number", "boolean", "date"]


class Property(Struct, frozen=True):
    """One property of one type; `count` of the events that were looked at have it."""

    name: str
    type: PropertyType
    count: int
    last_seen: datetime
    samples: list[Any]


class SeenEvent(Struct, frozen=True):
    """One event name; `count` of them came in the window, `looked_at` of them were looked at."""

    event: str
    count: int
    looked_at: int
    last_seen: datetime
    properties: list[Property]


# A slot is five minutes; `newer` are the events of that name which came in later slots.
_NAMES = """
SELECT
    event_name,
    sum(n) AS events,
    sumIf(n, newer < %(events_read)s) AS looked_at,
    max(last) AS last_seen,
    toInt64(toUnixTimestamp(minIf(slot, newer < %(events_read)s))) AS start_s
FROM
(
    SELECT event_name, slot, n, last, sum(n) OVER (
        PARTITION BY event_name ORDER BY slot DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer
    FROM
    (
        SELECT event_name, toStartOfFiveMinutes(received_at) AS slot, count() AS n, max(received_at) AS last
        FROM events
        WHERE tenant_id = %(tenant_id)s AND {chosen}
        GROUP BY event_name, slot
    )
)
GROUP BY event_name
ORDER BY last_seen DESC, event_name
LIMIT %(names_max)s"""

_PROPERTIES = """
SELECT
    event_name,
    pair.1 AS name,
    multiIf(startsWith(pair.2, 's'), 'string', startsWith(pair.2, 'd'), 'date',
        pair.2 IN ('true', 'false'), 'boolean', 'number') AS type,
    count() AS events,
    max(received_at) AS last_seen,
    arraySort(groupUniqArray({samples})(substringUTF8(pair.2, 1, {characters}))) AS samples
FROM
(
    SELECT event_name, received_at, arrayJoin(arrayConcat({pairs})) AS pair
    FROM events
    WHERE tenant_id = %(tenant_id)s AND {chosen}
        AND toUnixTimestamp64Milli(received_at) >= transform(
            toString(event_name), %(names)s, %(starts_ms)s, 9223372036854775807)
)
GROUP BY event_name, name, type
ORDER BY event_name, name, type
LIMIT %(rows_max)s"""

_PAIRS = ", ".join(f"CAST({bucket}, 'Array(Tuple(String, String))')" for bucket in BUCKETS)


async def discover(
    warehouse: Warehouse, tenant_id: int, *, days: int, event: str | None = None, store: str = ""
) -> list[SeenEvent]:
    """Return what came in the last `days`, the event seen last first; only of `event`, or of a redo store.

    Raises StoreUnavailable, and QueryRefused where it would take too long.
    """
    params: dict[str, Any] = {
        "tenant_id": tenant_id,
        "from_ms": time.time_ns() // 1_000_000 - days * DAY_MS,
        "events_read": EVENTS_READ,
        "names_max": NAMES_MAX,
        "rows_max": ROWS_MAX,
    }
    chosen = "received_at >= fromUnixTimestamp64Milli(toInt64(%(from_ms)s), 'UTC')"
    if event is not None:
        chosen += " AND event_name = %(event)s"
        params["event"] = event
    if store:
        chosen += " AND dialect = 'redo' AND source = %(store)s"
        params["store"] = store
    names = await warehouse.query(_NAMES.format(chosen=chosen), params, threads_max=THREADS_MAX)
    if not names:
        return []
    params["names"] = [row["event_name"] for row in names]
    params["starts_ms"] = [row["start_s"] * 1000 for row in names]
    sql = _PROPERTIES.format(
        chosen=chosen, pairs=_PAIRS, samples=SAMPLES, characters=SAMPLE_CHARACTERS_MAX + 1
    )
    rows = await warehouse.query(sql, params, threads_max=THREADS_MAX)
    found = {
        name: [_property(row) for row in group]
        for name, group in groupby(rows, key=lambda row: str(row["event_name"]))
    }
    return [
        SeenEvent(
            event=row["event_name"],
            count=row["events"],
            looked_at=row["looked_at"],
            last_seen=row["last_seen"],
            properties=found.get(row["event_name"], []),
        )
        for row in names
    ]


def _property(row: dict[str, Any]) -> Property:
    return Property(
        name=row["name"],
        type=row["type"],
        count=row["events"],
        last_seen=row["last_seen"],
        samples=[_value(text, row["type"]) for text in row["samples"]],
    )


def _value(text: str, type: PropertyType) -> Any:
    """Return a value as JSON has it; of a long string its beginning, of a date the time in UTC."""
    if type == "string":
        return text[1:]
    if type == "date":
        return moment(int(text[1:]))
    return Raw(text.encode()) if type == "number" else msgspec.json.decode(text)
