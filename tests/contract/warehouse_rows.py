"""Events and rows for the tests of the warehouse, put in and looked up."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from schemas.event import Event
from schemas.rows import EVENT_PARTS, EVENTS, LANDING, columns, event_row
from schemas.topics import Partition
from stores.warehouse import ClickHouse

RECEIVED_MS = int(time.time()) * 1000 + 123  # rows past their retention would not stay
PERSON = "00000000-0000-4000-8000-0000000000aa"


def event(number: int = 1, **changes: Any) -> Event:
    """Return an event with little in it."""
    given: dict[str, Any] = {
        "event_id": f"00000000-0000-7000-8000-{number:012}",
        "tenant_id": 1,
        "dialect": "relo",
        "source": "3",
        "received_at": RECEIVED_MS,
        "sent_at": None,
        "request_id": "request-1",
        "flags": [],
        "event_name": "page_view",
        "event_type": "page_viewed",
        "occurred_at": RECEIVED_MS - 5,
        "subject": "device-1",
    }
    return Event(**(given | changes))


def full_event() -> Event:
    """Return an event with a value in every field."""
    return event(
        source="store é",
        sent_at=RECEIVED_MS - 1,
        index=3,
        of=7,
        flags=["defaulted:value", "late"],
        event_name='na"me\\\n\u2028',
        event_type="order_completed",
        user_id="u-1",
        anonymous_id="a-1",
        url="https://shop.example/ü?q=1",
        referrer="https://ref.example/",
        ip="2001:db8::1",
        ip_source="event",
        user_agent="agent/1.0 'x'",
        ua_source="event",
        value="-99999999999999999999999999999999.123456",
        currency="MXN",
        order_id="order-1",
        product_ids=("p-1", "p,2", ""),
        consent=254,
        clock="late",
        properties='{"a":"\\u00e9\\n"}',
        extra='{ "b" : 1.0 }',
        raw='{"c":[1,2,{"d":null}]}',
        country="MX",
        city="Mérida",
        browser="Firefox",
        os="Linux",
        device_type="desktop",
        person_id=PERSON,
        fraud_score=100,
        fraud_reasons=("velocity",),
        replay_of="1/events.raw/0/5",
    )


def changed(**parts: Any) -> str:
    """Return the row of a full event with some parts put to other JSON values."""
    values = msgspec.json.decode(event_row(full_event()))
    for name, value in parts.items():
        values[EVENT_PARTS.index(name)] = value
    return msgspec.json.encode(values).decode()


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


async def put(
    warehouse: ClickHouse,
    table: str,
    partition: Partition,
    rows: list[str],
    *,
    token: str = "",
    start: int = 0,
) -> None:
    block = columns(partition, 1, range(start, start + len(rows)), rows)
    name = token or uuid4().hex
    await warehouse.insert(LANDING[table], block, token=f"{partition}/{name}", query_id=uuid4().hex)


async def count(warehouse: ClickHouse, partition: Partition, table: str = EVENTS) -> int:
    (row,) = await warehouse.query(
        f"SELECT count() AS n FROM {table} WHERE kp = %(kp)s", {"kp": partition.index}
    )
    return int(row["n"])


async def stored(warehouse: ClickHouse, partition: Partition, table: str = EVENTS) -> list[dict[str, object]]:
    return await warehouse.query(
        f"SELECT * FROM {table} WHERE kp = %(kp)s ORDER BY ALL", {"kp": partition.index}
    )
