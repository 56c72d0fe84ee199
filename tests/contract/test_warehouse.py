"""The warehouse's calls: types, parameters, errors, and several at once."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv6Address
from uuid import UUID, uuid4

import pytest

from schemas.rows import EVENTS, LANDING, columns, event_row
from schemas.settings import Settings
from schemas.topics import Partition
from stores.base import InsertRefused, QueryRefused, StoreMisconfigured, StoreUnavailable
from stores.warehouse import ClickHouse, open_warehouse
from tests.contract.warehouse_rows import PERSON, RECEIVED_MS, count, event, moment, put

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


async def test_wrong_installations_stop(warehouse: ClickHouse, clickhouse_url: str) -> None:
    for table, column in (("nowhere", "row"), (LANDING[EVENTS], "nothing")):
        with pytest.raises(StoreMisconfigured, match="penstock migrate"):
            await warehouse.insert(table, {column: ["x"]}, token="x", query_id=uuid4().hex)
    async with open_warehouse(Settings(clickhouse_url=clickhouse_url + "_not")) as other:
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


async def test_a_closed_warehouse(clickhouse_url: str) -> None:
    async with open_warehouse(Settings(clickhouse_url=clickhouse_url)) as warehouse:
        await warehouse.probe()
    with pytest.raises(StoreUnavailable):
        await warehouse.probe()
