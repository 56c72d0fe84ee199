"""What a date is, Python, `properties_typed` and members of JSON objects decide alike."""

from uuid import uuid4

import msgspec

from console.segments.binding import Binding
from console.segments.typed import of_member, of_property
from schemas.conditions import date_ms
from schemas.rows import EVENTS, LANDING, columns, event_row
from schemas.topics import RAW, Partition
from stores.warehouse import ClickHouse
from tests.contract.warehouse_rows import event

TENANT = 77

TEXTS = (
    "1970-01-01T00:00:00Z",
    "2026-04-02t14:00:00.5z",
    "2026-04-02 14:00:00+02:00",
    "2026-04-02T12:00:00.1239999Z",
    "2026-04-02T12:00:00.123456789Z",
    "2026-04-02T12:00:00.1234567891Z",
    "1969-12-31T23:59:59.5Z",
    "1969-12-31T23:59:59.9999Z",
    "1900-01-02T00:00:00+23:59",
    "2299-12-31T00:00:00.999Z",
    "2024-02-29T00:00:00-00:00",
    "2026-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-00-10T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-04-02T24:00:00Z",
    "2026-04-02T12:60:00Z",
    "2026-04-02T12:00:60Z",
    "2026-04-02T12:00:00+24:00",
    "2026-04-02T12:00:00+02:60",
    "2026-04-02T12:00:00+0200",
    "2026-04-02T12:00:00",
    "2026-04-02T12:00Z",
    "2026-04-02",
    "20260402T120000Z",
    "1899-12-31T00:00:00Z",
    "2300-01-01T00:00:00Z",
    "9999-01-01T00:00:00Z",
    " 2026-04-02T12:00:00Z",
    "2026-04-02T12:00:00Z\n",
    "2026-04-02T12:00:00Z\t",
    "\u0662\u0660\u0662\u0666-04-02T12:00:00Z",
    "2026-04-02T12:00:00\\Z",
    '"2026-04-02T12:00:00Z"',
    "/a/path",
    "é\u2028\U0001f600\u007f\u001f",
    "",
)


def expected(text: str) -> str:
    ms = date_ms(text)
    return f"s{text}" if ms is None else f"d{ms}"


async def test_all_agree(warehouse: ClickHouse) -> None:
    rows = [
        event_row(event(number, tenant_id=TENANT, properties=msgspec.json.encode({"p": text}).decode()))
        for number, text in enumerate(TEXTS)
    ]
    block = columns(Partition(RAW, 9), 1, range(len(rows)), rows)
    await warehouse.insert(LANDING[EVENTS], block, token=uuid4().hex, query_id=uuid4().hex)
    bind = Binding()
    sql = (
        f"SELECT {of_property('p', bind)} AS stored, {of_member('properties', 'p', bind)} AS member "
        "FROM events WHERE tenant_id = %(tenant_id)s ORDER BY ko"
    )
    found = await warehouse.query(sql, bind.params | {"tenant_id": TENANT})
    assert [row["stored"] for row in found] == [expected(text) for text in TEXTS]
    assert [row["member"] for row in found] == [expected(text) for text in TEXTS]


async def test_rows_from_before_the_column_are_typed_when_read(warehouse: ClickHouse) -> None:
    """What a part does not have is computed from `properties`, so that no row has to be written again."""
    await warehouse.execute(
        "CREATE TABLE IF NOT EXISTS older (properties String) ENGINE = MergeTree ORDER BY ()"
    )
    await warehouse.execute('INSERT INTO older VALUES (\'{"p":"2026-04-02T12:00:00Z","q":[1]}\')')
    [made] = await warehouse.query(
        "SELECT type, default_expression AS expression FROM system.columns "
        "WHERE database = currentDatabase() AND table = 'events' AND name = 'properties_typed'"
    )
    added = f"ALTER TABLE older ADD COLUMN properties_typed {made['type']} MATERIALIZED {made['expression']}"
    await warehouse.execute(added.replace("%", "%%"), {})
    bind = Binding()
    sql = f"SELECT {of_property('p', bind)} AS p, {of_property('q', bind)} AS q FROM older"
    assert await warehouse.query(sql, bind.params) == [{"p": expected("2026-04-02T12:00:00Z"), "q": ""}]
    await warehouse.execute("DROP TABLE older")
