"""The receipt of a request: what became of every event of every attempt to send it."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from stores.base import Warehouse

ROWS_MAX = 20_000
"""Two attempts of the largest request; a receipt that holds more says `complete: false`."""


class Fate(Struct, frozen=True, omit_defaults=True):
    """What became of one event. `at` is when it was decided, the coordinates are its record's."""

    event_id: str | None
    index: int
    outcome: Literal["stored", "duplicate", "dropped", "erased", "dead", "rejected"]
    at: Any
    topic: str
    partition: int
    offset: int
    first_event_id: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class Attempt(Struct, frozen=True):
    """One request as it came in. `accepted` is how many events the gateway took, as far as it is known."""

    request_id: str
    received_at: Any
    accepted: int
    in_flight: int
    events: list[Fate]


class Receipt(Struct, frozen=True):
    """All attempts that carried the request's id, or the same events under another id."""

    request_id: str
    complete: bool
    attempts: list[Attempt]


_FATES = """
SELECT toString(event_id) AS event_id, request_id, request_index AS index, request_of AS of, received_at,
    'stored' AS outcome, stored_at AS at, topic, kp, ko, '' AS first, '' AS reason, tenant_id
FROM events WHERE {condition}
UNION ALL
SELECT toString(event_id), request_id, request_index, request_of, received_at,
    outcome, stored_at, topic, kp, ko, ifNull(toString(first_event_id), ''), reason, tenant_id
FROM outcomes WHERE {condition}
UNION ALL
SELECT ifNull(toString(event_id), ''), request_id, request_index, 0, received_at,
    if(stage = 'gateway', 'rejected', 'dead'), stored_at, src_topic, src_kp, src_ko, '', code, tenant_id
FROM quarantine_current WHERE {condition}
"""

_BY_REQUEST = "request_id = %(request_id)s"
_SAME_EVENTS = (
    "event_id IN (SELECT event_id FROM events WHERE request_id = %(request_id)s"
    " UNION ALL SELECT event_id FROM outcomes WHERE request_id = %(request_id)s)"
)


async def receipt(warehouse: Warehouse, request_id: str, tenant_id: int | None) -> Receipt | None:
    """Return the receipt, or None if nothing is known of the request (yet).

    `tenant_id` limits it to one tenant's events; None is the operator. Raises StoreUnavailable.
    """
    condition = f"({_BY_REQUEST} OR {_SAME_EVENTS})"
    if tenant_id is not None:
        condition += " AND tenant_id = %(tenant_id)s"
    sql = (
        f"SELECT * FROM ({_FATES.format(condition=condition)}) "  # noqa: S608 - our own text
        "ORDER BY received_at, request_id, index LIMIT %(limit)s"
    )
    params = {"request_id": request_id, "tenant_id": tenant_id, "limit": ROWS_MAX + 1}
    rows = await warehouse.query(sql, params)
    if not rows:
        return None
    attempts = [
        _attempt(list(group))
        for _, group in groupby(rows[:ROWS_MAX], key=lambda row: (row["received_at"], row["request_id"]))
    ]
    return Receipt(request_id, len(rows) <= ROWS_MAX, attempts)


def _attempt(rows: list[dict[str, Any]]) -> Attempt:
    # A dead letter does not repeat how many were accepted; any other row of the request does.
    accepted = max(row["of"] for row in rows) or _count(rows, {"dead"})
    settled = _count(rows, {"stored", "duplicate", "dropped", "erased", "dead"})
    return Attempt(
        request_id=rows[0]["request_id"],
        received_at=rows[0]["received_at"],
        accepted=accepted,
        in_flight=max(accepted - settled, 0),
        events=[_fate(row) for row in rows],
    )


def _count(rows: Iterable[dict[str, Any]], outcomes: set[str]) -> int:
    return sum(row["outcome"] in outcomes for row in rows)


def _fate(row: dict[str, Any]) -> Fate:
    return Fate(
        event_id=row["event_id"] or None,
        index=row["index"],
        outcome=row["outcome"],
        at=row["at"],
        topic=row["topic"],
        partition=row["kp"],
        offset=row["ko"],
        first_event_id=row["first"] or UNSET,
        reason=row["reason"] or UNSET,
    )
