"""Rows through the landing tables: what arrives, once, and what is refused."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from schemas.rows import BATCHES, EVENT_PARTS, EVENTS, OUTCOMES, batch_row, event_row, outcome_row
from schemas.topics import RAW, Partition
from stores.base import InsertRefused
from stores.warehouse import ClickHouse
from tests.contract.warehouse_rows import (
    PERSON,
    RECEIVED_MS,
    changed,
    count,
    event,
    full_event,
    moment,
    put,
    stored,
)


async def test_an_event_arrives_as_it_was(warehouse: ClickHouse, partition: Partition) -> None:
    given = full_event()
    await put(warehouse, EVENTS, partition, [event_row(given, retention_days=65_535)], start=41)
    (row,) = await stored(warehouse, partition)
    assert isinstance(row.pop("stored_at"), datetime)
    assert row == {
        "event_id": UUID(given.event_id),
        "tenant_id": 1,
        "dialect": "relo",
        "source": "store é",
        "event_name": 'na"me\\\n\u2028',
        "event_type": "order_completed",
        "occurred_at": moment(RECEIVED_MS - 5),
        "received_at": moment(RECEIVED_MS),
        "sent_at": moment(RECEIVED_MS - 1),
        "subject": "device-1",
        "person_id": UUID(PERSON),
        "user_id": "u-1",
        "anonymous_id": "a-1",
        "url": "https://shop.example/ü?q=1",
        "referrer": "https://ref.example/",
        "ip": "2001:db8::1",
        "ip_source": "event",
        "country": "MX",
        "city": "Mérida",
        "user_agent": "agent/1.0 'x'",
        "ua_source": "event",
        "browser": "Firefox",
        "os": "Linux",
        "device_type": "desktop",
        "value": Decimal("-99999999999999999999999999999999.123456"),
        "currency": "MXN",
        "order_id": "order-1",
        "product_ids": ["p-1", "p,2", ""],
        "consent": 254,
        "fraud_score": 100,
        "fraud_reasons": ["velocity"],
        "flags": ["defaulted:value", "late"],
        "clock": "late",
        "properties": '{"a":"\\u00e9\\n"}',
        "extra": '{ "b" : 1.0 }',
        "raw": '{"c":[1,2,{"d":null}]}',
        "request_id": "request-1",
        "request_index": 3,
        "request_of": 7,
        "replay_of": "1/events.raw/0/5",
        "retention_days": 65_535,
        "row_version": 1,
        "topic": RAW,
        "kp": partition.index,
        "ko": 41,
        "inc": 1,
    }


async def test_what_was_not_given_is_null_or_empty(warehouse: ClickHouse, partition: Partition) -> None:
    await put(warehouse, EVENTS, partition, [event_row(event())])
    (row,) = await stored(warehouse, partition)
    names = ("sent_at", "person_id", "value", "fraud_score", "product_ids", "user_id", "extra")
    assert [row[name] for name in names] == [None, None, None, None, [], "", ""]


async def test_a_block_is_stored_once_per_token(warehouse: ClickHouse, partition: Partition) -> None:
    """The token is remembered behind the view, where the rows end up."""
    rows = [event_row(event(number)) for number in range(3)]
    for _ in range(3):
        await put(warehouse, EVENTS, partition, rows, token="first")
    assert await count(warehouse, partition) == 3
    await put(warehouse, EVENTS, partition, rows, token="second")
    assert await count(warehouse, partition) == 6


async def test_a_large_block_is_one_part(warehouse: ClickHouse, partition: Partition) -> None:
    rows = [event_row(event(number)) for number in range(1000)] * 70
    for _ in range(2):
        await put(warehouse, EVENTS, partition, rows, token="large")
    (row,) = await warehouse.query(
        "SELECT count() AS n, uniqExact(_part) AS parts FROM events WHERE kp = %(kp)s",
        {"kp": partition.index},
    )
    assert row == {"n": 70_000, "parts": 1}


REFUSED = {
    "not JSON": "nope",
    "an object": "{}",
    "an empty list": "[]",
    "cut short": changed()[:-1],
    "something after it": changed() + "x",
    "one part more": changed()[:-1] + ",1]",
    "one part less": changed().rpartition(",")[0] + "]",
    "half a surrogate pair": changed(city="MARK").replace("MARK", "\\ud800"),
    "a bad UUID": changed(event_id="zz"),
    "a UUID with a letter too far": changed(event_id="00000000-0000-4000-8000-00000000000g"),
    "no event_id": changed(event_id=""),
    "a bad person_id": changed(person_id="zz"),
    "300 in a UInt8": changed(consent=300),
    "a negative UInt8": changed(consent=-1),
    "a tenant above UInt32": changed(tenant_id=2**32),
    "a negative index": changed(request_index=-1),
    "a time before 1973": changed(occurred_at=94_694_399_999),
    "a time of 2200": changed(occurred_at=7_258_118_400_000),
    "seconds for milliseconds": changed(received_at=RECEIVED_MS // 1000),
    "microseconds for milliseconds": changed(received_at=RECEIVED_MS * 1000),
    "a time beyond Int64": changed(sent_at=2**63),
    "a time that is text": changed(occurred_at="2026-01-01 00:00:00"),
    "a time that was never sent": changed(sent_at=5),
    "33 digits before the point": changed(value="1" * 33),
    "7 digits after the point": changed(value="1.1234567"),
    "a decimal with an exponent": changed(value="1e40"),
    "a decimal that is a word": changed(value="abc"),
    "a score above 100": changed(fraud_score=101),
    "a retention of no days": changed(retention_days=0),
    "a null list": changed(product_ids=None),
    "a text for a list": changed(product_ids="p-1"),
    "a null in a list": changed(product_ids=["p-1", None, ""]),
    "a longer list than counted": changed(flags=["a", "b", "c"]),
    "no count of the lists": changed(elements=None),
    **{f"null for {name}": changed(**{name: None}) for name in EVENT_PARTS},
}
"""Rows that JSONExtract alone would store as something else."""


@pytest.mark.parametrize("reason", REFUSED)
async def test_a_bad_row_is_refused_with_its_block(
    warehouse: ClickHouse, partition: Partition, reason: str
) -> None:
    with pytest.raises(InsertRefused) as refused:
        await put(warehouse, EVENTS, partition, [event_row(event()), REFUSED[reason]], token="bad")
    assert "zz" not in str(refused.value)
    assert await count(warehouse, partition) == 0
    # The token of the refused block is not spent.
    await put(warehouse, EVENTS, partition, [event_row(event())], token="bad")
    assert await count(warehouse, partition) == 1


async def test_outcomes(warehouse: ClickHouse, partition: Partition) -> None:
    rows = [
        outcome_row(event(1), "duplicate", first_event_id=PERSON, retention_days=9),
        outcome_row(event(2, index=1, of=2), "dropped", reason="consent"),
    ]
    await put(warehouse, OUTCOMES, partition, rows)
    first, second = await stored(warehouse, partition, OUTCOMES)
    assert (first["outcome"], first["first_event_id"], first["retention_days"]) == (
        "duplicate",
        UUID(PERSON),
        9,
    )
    assert (second["outcome"], second["reason"], second["first_event_id"]) == ("dropped", "consent", None)
    assert (second["request_index"], second["request_of"], second["ko"]) == (1, 2, 1)
    assert second["received_at"] == moment(RECEIVED_MS)


@pytest.mark.parametrize(
    "row",
    [
        outcome_row(event(), "forgotten"),  # type: ignore[arg-type]
        outcome_row(event(), "duplicate", first_event_id="zz"),
        outcome_row(event(event_id="zz"), "dropped"),
        outcome_row(event(received_at=5), "dropped"),
    ],
)
async def test_a_bad_outcome_is_refused(warehouse: ClickHouse, partition: Partition, row: str) -> None:
    with pytest.raises(InsertRefused):
        await put(warehouse, OUTCOMES, partition, [row])
    assert await count(warehouse, partition, OUTCOMES) == 0


def batch(**changes: int) -> str:
    counts = {"end": 110, "stored": 4, "duplicate": 3, "dropped": 2, "dead": 1} | changes
    return batch_row(**counts, worker="events-1", written_at=RECEIVED_MS)


async def test_a_batch_accounts_for_its_whole_range(warehouse: ClickHouse, partition: Partition) -> None:
    for token in ("a", "b"):
        await put(warehouse, BATCHES, partition, [batch()], start=100, token=token)
    for wrong in (batch(stored=5), batch(end=109), batch(end=100, stored=0, duplicate=0, dropped=0, dead=0)):
        with pytest.raises(InsertRefused, match="add up"):
            await put(warehouse, BATCHES, partition, [wrong], start=100)
    (row,) = await warehouse.query("SELECT * FROM batches FINAL WHERE kp = %(kp)s", {"kp": partition.index})
    assert row == {
        "topic": RAW,
        "kp": partition.index,
        "inc": 1,
        "start": 100,
        "end": 110,
        "stored": 4,
        "duplicate": 3,
        "dropped": 2,
        "dead": 1,
        "worker": "events-1",
        "written_at": moment(RECEIVED_MS),
        "row_version": 1,
    }
