"""The letters in the quarantine, as an operator picks them: rejected events and dead ones.

A letter can be there twice; one per source coordinates counts.
"""

# ruff: noqa: S608 - statements are put together from our own text; every value is a parameter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import asdict

from schemas.rows import GATEWAY_STAGE
from schemas.topics import Coordinates
from stores.base import Warehouse

PICKED_MAX = 500_000
"""So many can be picked at once."""

PORTION_ROWS = 4_000  # naming them makes statements of under 256 KiB, the engine's limit
PORTION_BYTES = 8 * 2**20


class Choice(Struct, frozen=True, kw_only=True):
    """What letters are picked by; None: whatever it is. Times are Unix ms, of receipt by the gateway."""

    reason: str | None = None
    dialect: str | None = None
    stage: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    event_id: UUID | None = None
    source: Coordinates | None = None
    tenant_id: int | None = None


class Letter(Struct, frozen=True):
    """One rejected or dead event. `source` names the record it is about: a rejection is about itself."""

    event_id: str
    tenant_id: int
    dialect: str
    endpoint: str
    event_source: str
    stage: str
    code: str
    received_at: int
    ip: str
    user_agent: str
    request_id: str
    request_index: int
    raw: str
    truncated: bool
    source: Coordinates

    @property
    def is_rejection(self) -> bool:
        """Whether the gateway refused the event, so that no worker ever saw it."""
        return self.stage == GATEWAY_STAGE


class Picked(Struct, frozen=True):
    """Where a letter stands, and the bytes of its raw text."""

    at: Coordinates
    received_at: int
    raw_bytes: int


_CONDITIONS = {
    "reason": "code = %(reason)s",
    "dialect": "dialect = %(dialect)s",
    "stage": "stage = %(stage)s",
    "since_ms": "quarantine.received_at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))",
    "until_ms": "quarantine.received_at < fromUnixTimestamp64Milli(toInt64(%(until_ms)s))",
    "event_id": "event_id = %(event_id)s",
    "source": "src_inc = %(inc)s AND src_topic = %(topic)s AND src_kp = %(kp)s AND src_ko = %(ko)s",
    "tenant_id": "tenant_id = %(tenant_id)s",
}

_SOURCE = "concat(toString(src_inc), '/', src_topic, '/', toString(src_kp), '/', toString(src_ko))"

_LISTED = f"""
SELECT event_id, tenant_id, dialect, stage, code, pointer, message, received_at, request_id, truncated,
    {_SOURCE} AS source
FROM quarantine WHERE {{condition}}
ORDER BY quarantine.received_at DESC, inc, topic, kp, ko
LIMIT 1 BY src_inc, src_topic, src_kp, src_ko LIMIT %(limit)s
"""

_SHOWN = f"""
SELECT event_id, tenant_id, dialect, endpoint, quarantine.source AS event_source, stage, code, pointer,
    message, received_at, stored_at, ip, user_agent, request_id, request_index, replay_of, truncated,
    {_SOURCE} AS source, raw
FROM quarantine WHERE {{condition}}
ORDER BY quarantine.received_at DESC, inc, topic, kp, ko
LIMIT 1 BY src_inc, src_topic, src_kp, src_ko LIMIT %(limit)s
"""

# In the order of their records, so that the events of a subject keep theirs.
_PICKED = """
SELECT inc, topic, kp, ko, toUnixTimestamp64Milli(received_at) AS received_at, length(raw) AS raw_bytes
FROM quarantine WHERE {condition}
ORDER BY src_inc, src_topic, src_kp, src_ko, inc, topic, kp, ko
LIMIT 1 BY src_inc, src_topic, src_kp, src_ko LIMIT %(limit)s
"""

_PORTION = """
SELECT toString(event_id) AS event_id, tenant_id, dialect, endpoint, source AS event_source, stage, code,
    toUnixTimestamp64Milli(quarantine.received_at) AS received_at, ip, user_agent, request_id, request_index,
    raw, truncated, src_inc, src_topic, src_kp, src_ko
FROM quarantine
WHERE quarantine.received_at BETWEEN fromUnixTimestamp64Milli(toInt64(%(from_ms)s))
        AND fromUnixTimestamp64Milli(toInt64(%(to_ms)s))
    AND ko BETWEEN %(first)s AND %(last)s AND (inc, topic, kp, ko) IN %(places)s
ORDER BY src_inc, src_topic, src_kp, src_ko
"""


_NAMES = {"reason": "code", "dialect": "dialect", "stage": "stage"}

_PRESENT = "SELECT DISTINCT {column} AS name FROM quarantine WHERE {column} != '' ORDER BY name LIMIT 100"


async def why_nothing(warehouse: Warehouse, choice: Choice) -> str:
    """Return the sentence for a choice that nothing matches; a name that no letter has is told apart.

    Raises StoreUnavailable.
    """
    told = "nothing in the quarantine matches"
    for option, column in _NAMES.items():
        given = getattr(choice, option)
        if given is None:
            continue
        present = [row["name"] for row in await warehouse.query(_PRESENT.format(column=column), {})]
        if given not in present:
            told += f"; no letter has the {option} {given!r}, there are: {', '.join(present) or 'none'}"
    return told


async def listed(warehouse: Warehouse, choice: Choice, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest letters without what they are about. Raises QueryRefused, StoreUnavailable."""
    return await _query(warehouse, _LISTED, choice, limit)


async def shown(warehouse: Warehouse, choice: Choice, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest letters whole. Raises QueryRefused, StoreUnavailable."""
    return await _query(warehouse, _SHOWN, choice, limit)


async def picked(warehouse: Warehouse, choice: Choice, *, limit: int) -> list[Picked]:
    """Return where the letters stand, by source; at most one more than PICKED_MAX.

    Raises QueryRefused, StoreUnavailable.
    """
    rows = await _query(warehouse, _PICKED, choice, min(limit, PICKED_MAX + 1))
    return [
        Picked(
            Coordinates(row["inc"], row["topic"], row["kp"], row["ko"]), row["received_at"], row["raw_bytes"]
        )
        for row in rows
    ]


async def portion(warehouse: Warehouse, places: Sequence[Picked]) -> list[Letter]:
    """Return the letters at these places, by source. Raises StoreUnavailable."""
    offsets = [place.at.ko for place in places]
    times = [place.received_at for place in places]
    params = {
        "from_ms": min(times),
        "to_ms": max(times),
        "first": min(offsets),
        "last": max(offsets),
        "places": tuple((p.at.inc, p.at.topic, p.at.kp, p.at.ko) for p in places),
    }
    return [_letter(row) for row in await warehouse.query(_PORTION, params)]


def portions(places: Sequence[Picked]) -> Iterator[Sequence[Picked]]:
    """Cut what was picked into portions of bounded rows and bytes."""
    start = size_bytes = 0
    for end, place in enumerate(places):
        if end - start == PORTION_ROWS or (end > start and size_bytes + place.raw_bytes > PORTION_BYTES):
            yield places[start:end]
            start, size_bytes = end, 0
        size_bytes += place.raw_bytes
    if start < len(places):
        yield places[start:]


async def _query(warehouse: Warehouse, sql: str, choice: Choice, limit: int) -> list[dict[str, Any]]:
    given = {name: value for name, value in asdict(choice).items() if value is not None}
    condition = " AND ".join(_CONDITIONS[name] for name in given) or "1"
    at = given.pop("source", None)
    params = given | (asdict(at) if at is not None else {})
    return await warehouse.query(sql.format(condition=condition), {**params, "limit": limit})


def _letter(row: Mapping[str, Any]) -> Letter:
    fields = dict(row)
    source = Coordinates(*(fields.pop(f"src_{name}") for name in ("inc", "topic", "kp", "ko")))
    fields["event_id"] = fields["event_id"] or ""
    return Letter(**fields, source=source)
