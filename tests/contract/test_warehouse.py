"""The warehouse over the embedded ClickHouse, and a real one where PENSTOCK_TEST_CLICKHOUSE_URL names it."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv6Address
from uuid import UUID, uuid4

import pytest

from schemas.rows import (
    BATCHES,
    EVENT_PARTS,
    EVENTS,
    LANDING,
    OUTCOMES,
    batch_row,
    columns,
    event_row,
    outcome_row,
)
from schemas.settings import Settings
from schemas.topics import RAW, Partition
from stores.base import InsertRefused, QueryRefused, StoreMisconfigured, StoreUnavailable
from stores.migrate import migrate
from stores.warehouse import ClickHouse, open_warehouse
from tests.contract.warehouse_rows import PERSON, RECEIVED_MS, changed, event, full_event
from tests.embedded_clickhouse import EmbeddedClickHouse

REAL = os.environ.get("PENSTOCK_TEST_CLICKHOUSE_URL")

_numbers = itertools.count(1)


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


@pytest.fixture(scope="module", params=["embedded", *(["real"] if REAL else [])])
def url(request: pytest.FixtureRequest, clickhouse: EmbeddedClickHouse) -> Iterator[str]:
    """A migrated database of this module's own."""
    server = clickhouse.url if request.param == "embedded" else str(REAL)
    address = server.rpartition("/")[0] + f"/penstock_{uuid4().hex}"

    async def prepare() -> None:
        async with open_warehouse(Settings(clickhouse_url=address)) as warehouse:
            await migrate(warehouse, cluster="")

    asyncio.run(prepare())
    yield address

    async def drop() -> None:
        async with open_warehouse(Settings(clickhouse_url=address)) as warehouse:
            await warehouse.execute(f"DROP DATABASE {address.rpartition('/')[2]} SYNC")

    asyncio.run(drop())


@pytest.fixture
async def warehouse(url: str) -> AsyncIterator[ClickHouse]:
    async with open_warehouse(Settings(clickhouse_url=url)) as opened:
        yield opened


@pytest.fixture
def partition() -> Partition:
    """A partition that no other test writes."""
    return Partition(RAW, next(_numbers))


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


TYPED = {
    "u": ("UUID", UUID(PERSON)),
    "t": ("DateTime64(3, 'UTC')", moment(RECEIVED_MS)),
    "d": ("Date32", date(2199, 12, 31)),
    "lc": ("LowCardinality(String)", "é"),
    "ln": ("LowCardinality(Nullable(String))", None),
    "n": ("Nullable(UInt8)", None),
    "m": ("Map(String, UInt64)", {"a": 2**63}),
    "a": ("Array(Nullable(String))", ["x", None]),
    "c": ("Decimal(38, 6)", Decimal("12345678901234567890123456789012.123456")),
    "b": ("Bool", True),
    "i": ("Int64", -(2**63)),
    "f": ("Float64", 0.1),
    "ip": ("IPv6", IPv6Address("2001:db8::1")),
    "e": ("Enum8('x' = 1)", "x"),
    "tp": ("Tuple(UInt8, String)", (1, "y")),
}


async def test_types_come_back_as_they_went(warehouse: ClickHouse) -> None:
    kinds = ", ".join(f"{name} {kind}" for name, (kind, _) in TYPED.items())
    await warehouse.execute(f"CREATE TABLE typed ({kinds}) ENGINE = MergeTree ORDER BY tuple()")
    values = {name: [value] for name, (_, value) in TYPED.items()}
    await warehouse.insert("typed", values, token="t", query_id="typed")
    (row,) = await warehouse.query("SELECT * FROM typed")
    assert row == {name: value for name, (_, value) in TYPED.items()}


@pytest.mark.parametrize(
    "values",
    [
        {"kp": [2**32]},
        {"ko": [-1]},
        {"kp": [None]},
        {"kp": [1.5]},
        {"row": [b"\xff"]},
        {"row": ["\ud800"]},
        {"row": []},
        {"ko": [1, 2]},
    ],
)
async def test_values_that_do_not_fit_are_refused(
    warehouse: ClickHouse, partition: Partition, values: dict[str, list[object]]
) -> None:
    block = {**columns(partition, 1, [0], [event_row(event())]), **values}
    with pytest.raises(InsertRefused):
        await warehouse.insert(LANDING[EVENTS], block, token="x", query_id=uuid4().hex)
    assert await count(warehouse, partition) == 0


async def test_a_time_without_zone_or_out_of_range_is_refused(warehouse: ClickHouse) -> None:
    for bad in (datetime(2026, 1, 1), datetime(9999, 1, 1, tzinfo=UTC), date(1960, 1, 1)):  # noqa: DTZ001
        with pytest.raises(InsertRefused):
            await warehouse.insert("typed", {"t": [bad]}, token="x", query_id="bad-time")


HOSTILE = [
    "'); DROP TABLE events; --",
    "\\'; DROP TABLE events; --",
    "\\",
    "a\0b\nc\td\b",
    "%(other)s %s %%",
    "` \" ' \\ \u2028 é 漢 😀",
    "{x:String}",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_parameter_is_never_read_as_sql(warehouse: ClickHouse, text: str) -> None:
    sql = "SELECT %(text)s AS text, %(list)s AS list, 'a' LIKE 'a%%' AS percent"
    (row,) = await warehouse.query(sql, {"text": text, "list": [text, text], "other": "x"})
    assert row == {"text": text, "list": [text, text], "percent": 1}
    assert await warehouse.query("SELECT count() AS n FROM events WHERE subject = %(text)s", {"text": text})


async def test_parameters_of_other_types(warehouse: ClickHouse) -> None:
    given = {"i": 2**63 - 1, "u": UUID(PERSON), "n": None, "t": (1, 2)}
    (row,) = await warehouse.query("SELECT %(i)s AS i, %(u)s AS u, %(n)s AS n, 2 IN %(t)s AS t", given)
    assert row == {"i": 2**63 - 1, "u": PERSON, "n": None, "t": 1}
    for value in (datetime.now(UTC), {"a": 1}, Decimal("1.5"), object(), "\ud800"):
        with pytest.raises(QueryRefused):
            await warehouse.query("SELECT %(v)s", {"v": value})


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT * FROM nowhere",
        "CREATE TABLE mine (a UInt8) ENGINE = Memory",
        "INSERT INTO schema_migrations SELECT 9, 'x', 'x', now64()",
        "DROP TABLE events",
        "ALTER TABLE events DELETE WHERE 1",
        "SELECT * FROM file('/etc/hosts', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString', 'a String')",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT throwIf(1, 'no')",
    ],
)
async def test_a_query_only_reads(warehouse: ClickHouse, sql: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        await warehouse.query(sql)
    assert "Stack trace" not in str(refused.value)


async def test_a_result_without_rows(warehouse: ClickHouse) -> None:
    assert await warehouse.query("SELECT 1 AS a WHERE 0 -- a comment at the end") == []
    assert await warehouse.query("EXISTS TABLE events") == [{"result": 1}]


async def test_wrong_installations_stop(warehouse: ClickHouse, url: str) -> None:
    for table, column in (("nowhere", "row"), (LANDING[EVENTS], "nothing")):
        with pytest.raises(StoreMisconfigured, match="penstock migrate"):
            await warehouse.insert(table, {column: ["x"]}, token="x", query_id=uuid4().hex)
    async with open_warehouse(Settings(clickhouse_url=url + "_not")) as other:
        with pytest.raises(StoreMisconfigured, match="penstock migrate"):
            await other.probe()


async def test_nobody_there(unused_port: int) -> None:
    async with open_warehouse(Settings(clickhouse_url=f"clickhouse://127.0.0.1:{unused_port}")) as warehouse:
        calls = (
            warehouse.probe(),
            warehouse.query("SELECT 1"),
            warehouse.execute("SELECT 1"),
            warehouse.insert("t", {"a": [1]}, token="t", query_id="q"),
        )
        for call in calls:
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await call


async def test_a_long_query_does_not_hold_up_inserts(warehouse: ClickHouse, partition: Partition) -> None:
    marker = uuid4().hex
    long = asyncio.create_task(
        warehouse.query(f"SELECT count() AS n FROM numbers(1000000000000) WHERE number != 7 /* {marker} */")
    )
    rows = [event_row(event(number)) for number in range(10)]
    inserts = (put(warehouse, EVENTS, partition, rows, start=start) for start in range(0, 200, 10))
    await asyncio.gather(*inserts)
    assert not long.done()
    assert await count(warehouse, partition) == 200
    await warehouse.execute(
        "KILL QUERY WHERE position(query, %(marker)s) > 0 AND query LIKE 'SELECT%%' SYNC", {"marker": marker}
    )
    with pytest.raises(StoreUnavailable):
        await long


async def test_a_closed_warehouse(url: str) -> None:
    async with open_warehouse(Settings(clickhouse_url=url)) as warehouse:
        await warehouse.probe()
    with pytest.raises(StoreUnavailable):
        await warehouse.probe()
