"""The receipt of a request: what became of every event of every attempt to send it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from bus.base import BusUnavailable
from console.attempts import Receipt, attempt_key, attempts_of, place_of
from console.customers import STORES
from console.inflight import InFlight
from console.reach import LETTER_SOURCE, OF_STORE
from schemas.rows import GATEWAY_STAGE
from stores.base import Warehouse

ROWS_MAX = 20_000
"""Two attempts of the largest request; a receipt that holds more says `complete: false`."""

NAMED_MAX = 100
"""So many events are looked up by name, through an index. For more, a tenant's rows are read."""

OTHERS_MAX = 50
"""So many other requests with the same events are told of, completely."""

RETRIED_WITHIN = timedelta(days=1)
"""How far around a large request other attempts are looked for, so that not all of its tenant is read."""

# A dead letter's raw is the envelope, which tells its place; a letter can be there twice.
_FATES = f"""
SELECT * FROM
(
    SELECT event_id, tenant_id, request_id, request_index AS index, request_of AS of, received_at,
        'stored' AS outcome, stored_at AS at, topic, kp, ko, inc, NULL AS first_event_id, '' AS reason,
        '' AS pointer, '' AS message, replay_of, concat(dialect, '/', source) AS came_from
    FROM events WHERE {{condition}}
    UNION ALL
    SELECT event_id, tenant_id, request_id, request_index, request_of, received_at,
        outcome, stored_at, topic, kp, ko, inc, first_event_id, reason, '', '', '', ''
    FROM outcomes WHERE {{condition}}
    UNION ALL
    SELECT event_id, tenant_id, request_id, if(rejected, request_index, JSONExtractUInt(raw, 'index')),
        if(rejected, 0, JSONExtractUInt(raw, 'of')), received_at, if(rejected, 'rejected', 'dead'),
        stored_at, src_topic, src_kp, src_ko, src_inc, NULL, code, pointer, message,
        if(rejected, replay_of, JSONExtractString(raw, 'replay_of')),
        concat(dialect, '/', {LETTER_SOURCE})
    FROM
    (
        SELECT *, stage = '{GATEWAY_STAGE}' AS rejected
        FROM quarantine WHERE {{condition}}
        ORDER BY inc, topic, kp, ko
        LIMIT 1 BY src_inc, src_topic, src_kp, src_ko
    )
)
ORDER BY received_at, request_id, tenant_id, index, at
LIMIT %(limit)s
"""  # noqa: S608 - put together from our own text

_TABLES = ("events", "outcomes", "quarantine")
_OF_REQUESTS = "request_id IN %(requests)s"
_OF_TENANTS = " AND tenant_id IN %(tenants)s"
_OTHERS = "SELECT DISTINCT request_id FROM ({rows}) LIMIT %(others)s"
_ELSEWHERE = "request_id NOT IN %(requests)s AND event_id IN "
_EVENTS_OF_REQUEST = " UNION ALL ".join(
    f"SELECT toNullable(event_id) FROM {table} WHERE {_OF_REQUESTS}"  # noqa: S608 - as above
    for table in _TABLES
)
_OF_STORE = f"SELECT event_id FROM events WHERE event_id IN %(ids)s {_OF_TENANTS} AND {OF_STORE}"  # noqa: S608
_AROUND = (
    " AND received_at BETWEEN fromUnixTimestamp64Milli(toInt64(%(from_ms)s))"
    " AND fromUnixTimestamp64Milli(toInt64(%(to_ms)s))"
)


async def receipt(
    warehouse: Warehouse, in_flight: InFlight, request_id: str, tenant_id: int | None, *, store: str = ""
) -> Receipt | None:
    """Return the receipt, or None if nothing is known of the request.

    `tenant_id` limits it to one tenant's events, None is the operator; `store` to one store's. Raises
    StoreUnavailable, BusUnavailable, and QueryRefused where it would take too long.
    """
    found = await _decided(warehouse, request_id, tenant_id, store)
    if found is not None and all(attempt.is_settled for attempt in found.attempts):
        return found
    try:
        under_way = await in_flight.of(request_id, tenant_id)
    except BusUnavailable:
        if found is None:
            raise
        return found
    # Asked again: what was decided while we read the log is not in flight any more.
    return await _decided(warehouse, request_id, tenant_id, store, under_way)


async def _decided(
    warehouse: Warehouse,
    request_id: str,
    tenant_id: int | None,
    store: str,
    under_way: Sequence[dict[str, Any]] = (),
) -> Receipt | None:
    tenants = () if tenant_id is None else (tenant_id,)
    rows = await _fates(warehouse, (request_id,), tenants)
    decided = {place_of(row) for row in rows}
    rows += [row for row in under_way if place_of(row) not in decided]
    if not rows:
        return None
    tenants = tuple({row["tenant_id"] for row in rows})
    others = await _others(warehouse, request_id, tenants, rows)
    if others:
        rows += await _fates(warehouse, others, tenants)
    complete = len(rows) <= ROWS_MAX
    if store and not (rows := await _of_store(warehouse, tenants, store, rows)):
        return None
    rows.sort(key=attempt_key)
    return Receipt(request_id, complete, attempts_of(rows[:ROWS_MAX]))


async def _fates(
    warehouse: Warehouse, requests: Sequence[str], tenants: Sequence[int]
) -> list[dict[str, Any]]:
    condition = _OF_REQUESTS + (_OF_TENANTS if tenants else "")
    params = {"requests": tuple(requests), "tenants": tuple(tenants), "limit": ROWS_MAX + 1}
    return await warehouse.query(_FATES.format(condition=condition), params)


async def _others(
    warehouse: Warehouse, request_id: str, tenants: Sequence[int], rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return the ids of other requests that carried some of the same events."""
    ids = tuple({row["event_id"] for row in rows if row["event_id"] is not None})
    if not ids:
        return []
    params = {"requests": (request_id,), "tenants": tuple(tenants), "others": OTHERS_MAX}
    if len(ids) <= NAMED_MAX:
        condition = f"{_ELSEWHERE} %(ids)s {_OF_TENANTS}"
        params["ids"] = ids
    else:
        condition = f"{_ELSEWHERE} ({_EVENTS_OF_REQUEST}) {_OF_TENANTS} {_AROUND}"
        times = [row["received_at"] for row in rows]
        bounds = {"from_ms": min(times) - RETRIED_WITHIN, "to_ms": max(times) + RETRIED_WITHIN}
        params |= {name: round(moment.timestamp() * 1000) for name, moment in bounds.items()}
    found = " UNION ALL ".join(
        f"SELECT request_id FROM {table} WHERE {condition}"  # noqa: S608 - our own text
        for table in _TABLES
    )
    return [row["request_id"] for row in await warehouse.query(_OTHERS.format(rows=found), params)]


async def _of_store(
    warehouse: Warehouse, tenants: Sequence[int], store: str, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows that are known to be of a store.

    An outcome does not say where its event came from. It is the store's if others of its attempt are, which
    came in by the same path, or if its event is one of the store's, or repeats one.
    """
    own = f"{STORES}/{store}"
    named = {row[name] for row in rows if not row["came_from"] for name in ("event_id", "first_event_id")}
    params = {"tenants": tuple(tenants), "store": store, "ids": tuple(named - {None})}
    known = {row["event_id"] for row in await warehouse.query(_OF_STORE, params)} if params["ids"] else set()
    attempts = {
        attempt_key(row)
        for row in rows
        if row["came_from"] == own or not known.isdisjoint((row["event_id"], row["first_event_id"]))
    }
    return [row for row in rows if row["came_from"] in ("", own) and attempt_key(row) in attempts]
