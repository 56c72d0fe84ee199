"""The conditions of a filter as queries of the warehouse: which events that came lately meet them."""

from console.segments.compile import Query, compile_event
from schemas.conditions import Condition

_SINCE = "fromUnixTimestamp64Milli(toInt64(%(since)s), 'UTC')"

_OF_STORE = " AND dialect = 'redo' AND source = %(store)s"

_COUNT = """\
SELECT count() AS looked_at, countIf({condition}) AS matched
FROM events
WHERE tenant_id = %(tenant_id)s AND received_at >= {since}{of_store}"""

_NEWEST = """\
SELECT event_id, event_name, dialect, occurred_at, received_at
FROM events
WHERE tenant_id = %(tenant_id)s AND received_at >= {since}{of_store} AND {condition}
ORDER BY received_at DESC, event_id
LIMIT {size}"""


def count_events(condition: Condition, *, tenant_id: int, since_ms: int, store: str = "") -> Query:
    """Return the query for how many of the tenant's events there are, and how many meet the condition."""
    return _query(_COUNT, condition, tenant_id, since_ms, store)


def newest_events(
    condition: Condition, *, tenant_id: int, since_ms: int, size: int, store: str = ""
) -> Query:
    """Return the query for the newest events that meet the condition."""
    return _query(_NEWEST.replace("{size}", str(int(size))), condition, tenant_id, since_ms, store)


def _query(sql: str, condition: Condition, tenant_id: int, since_ms: int, store: str) -> Query:
    tested = compile_event(condition)
    params = {**tested.params, "tenant_id": tenant_id, "since": since_ms}
    if store:
        params["store"] = store
    return Query(sql.format(condition=tested.sql, since=_SINCE, of_store=_OF_STORE if store else ""), params)
