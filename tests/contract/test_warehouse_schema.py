"""The migrations of the warehouse, and what the tables and views they make promise."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from schemas.envelope import VERSION, DeadLetter, Rejected
from schemas.rows import EVENTS, LANDING, QUARANTINE, columns, event_row, quarantine_row
from schemas.topics import DEAD, RAW, REJECTED, Coordinates, Partition
from stores.base import StoreMisconfigured
from stores.migrate import migrate, migrations
from stores.warehouse import ClickHouse
from tests.contract.warehouse_rows import PERSON, RECEIVED_MS, event
from tests.embedded_clickhouse import EmbeddedClickHouse

PROMISED = {
    "events": "event_id tenant_id dialect source event_name event_type occurred_at received_at sent_at "
    "subject person_id user_id anonymous_id url referrer ip ip_source country city user_agent ua_source "
    "browser os device_type value currency order_id product_ids consent fraud_score fraud_reasons flags "
    "clock properties extra raw request_id topic kp ko inc",
    "outcomes": "event_id tenant_id topic kp ko inc outcome reason first_event_id",
    "quarantine": "event_id tenant_id dialect stage code pointer message received_at request_id raw "
    "truncated topic kp ko inc src_topic src_kp src_ko src_inc",
    "quarantine_current": "event_id tenant_id src_topic src_kp src_ko src_inc",
    "batches": "topic kp inc start end stored duplicate dropped dead worker written_at",
    "customers": "tenant_id source person_id customer_id email phone first_name last_name location "
    "custom_fields created_at updated_at",
    "events_resolved": "event_id tenant_id person_id stored_person_id",
    "transaction_conflicts": "tenant_id transaction_id event_name amounts events",
    "duplicate_orders": "tenant_id order_id product_id events",
}
"""What docs/protocols.md lets queries rely on."""


@pytest.fixture
async def warehouse(clickhouse: EmbeddedClickHouse) -> AsyncIterator[ClickHouse]:
    """A database that is not there yet, for each test."""
    async with clickhouse.warehouse(f"schema_{uuid4().hex}") as opened:
        yield opened


async def put(warehouse: ClickHouse, table: str, topic: str, rows: list[str], start: int = 0) -> None:
    block = columns(Partition(topic, 0), 1, range(start, start + len(rows)), rows)
    await warehouse.insert(LANDING[table], block, token=uuid4().hex, query_id=uuid4().hex)


async def names(warehouse: ClickHouse, table: str) -> set[str]:
    """Return the columns that are written; what the table computes itself is not."""
    rows = await warehouse.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = %(table)s "
        "AND default_kind = ''",
        {"table": table},
    )
    return {row["name"] for row in rows}


async def test_migrating_twice_changes_nothing(warehouse: ClickHouse) -> None:
    assert await migrate(warehouse, cluster="") == [migration.name for migration in migrations()]
    assert await migrate(warehouse, cluster="") == []


async def test_two_processes_may_migrate_at_once(
    warehouse: ClickHouse, clickhouse: EmbeddedClickHouse
) -> None:
    async with clickhouse.warehouse(warehouse.address.database) as second:
        await asyncio.gather(migrate(warehouse, cluster=""), migrate(second, cluster=""))
    assert await migrate(warehouse, cluster="") == []


async def test_an_interrupted_migration_goes_on(warehouse: ClickHouse) -> None:
    await migrate(warehouse, cluster="")
    await warehouse.execute("DROP VIEW transaction_conflicts SYNC")
    await warehouse.execute("ALTER TABLE schema_migrations DELETE WHERE number = 5")
    assert await migrate(warehouse, cluster="") == ["005_reports"]
    assert await warehouse.query("SELECT * FROM transaction_conflicts") == []


async def test_a_newer_schema_is_refused(warehouse: ClickHouse) -> None:
    await migrate(warehouse, cluster="")
    await warehouse.execute("INSERT INTO schema_migrations SELECT 999, '999_later', 'x', now64(3)")
    with pytest.raises(StoreMisconfigured, match="999"):
        await migrate(warehouse, cluster="")


async def test_an_edited_migration_is_refused(warehouse: ClickHouse) -> None:
    await migrate(warehouse, cluster="")
    await warehouse.execute(
        "INSERT INTO schema_migrations SELECT 2, '002_outcomes', 'other', now64(3) + toIntervalSecond(1)"
    )
    with pytest.raises(StoreMisconfigured, match="002_outcomes is not the one"):
        await migrate(warehouse, cluster="")


async def test_tables_have_what_is_promised(warehouse: ClickHouse) -> None:
    await migrate(warehouse, cluster="")
    for table, promised in PROMISED.items():
        assert set(promised.split()) - await names(warehouse, table) == set()


@pytest.mark.parametrize("table", LANDING)
async def test_a_landing_view_fills_every_column(warehouse: ClickHouse, table: str) -> None:
    """A column that the view leaves out would be stored as its default, in silence."""
    await migrate(warehouse, cluster="")
    view = LANDING[table].replace("_in_", "_from_")
    assert await names(warehouse, view) == await names(warehouse, table) != set()


async def test_rows_leave_after_their_own_retention(warehouse: ClickHouse) -> None:
    """Counted from when they were stored: a row that comes very late stays that long too."""
    await migrate(warehouse, cluster="")
    late_ms = RECEIVED_MS - 3000 * 86_400_000
    for days in (5, 400, 65_535):
        await put(warehouse, EVENTS, RAW, [event_row(event(received_at=late_ms), retention_days=days)])
    await warehouse.execute("OPTIMIZE TABLE events FINAL")
    retention = "SELECT retention_days AS days FROM events ORDER BY days"
    assert [row["days"] for row in await warehouse.query(retention)] == [5, 400, 65_535]
    await warehouse.execute(
        "INSERT INTO events SELECT * REPLACE (stored_at - toIntervalDay(10) AS stored_at) FROM events"
    )
    await warehouse.execute("OPTIMIZE TABLE events FINAL")
    assert [row["days"] for row in await warehouse.query(retention)] == [5, 400, 400, 65_535, 65_535]


def rejected(number: int) -> Rejected:
    return Rejected(
        v=VERSION,
        id=f"00000000-0000-7000-8000-{number:012}",
        dialect="relo",
        endpoint="batch",
        received_at=RECEIVED_MS,
        request="request-1",
        code="not_given",
        message="give it",
        raw='{"a":1}',
    )


def dead(number: int, **changes: object) -> DeadLetter:
    given: dict[str, object] = {
        "v": VERSION,
        "id": PERSON,
        "tenant": 1,
        "received_at": RECEIVED_MS,
        "stage": "map",
        "code": "stage_error",
        "message": "it failed",
        "raw": "not JSON \u0000",
        "truncated": True,
        "src_topic": RAW,
        "src_kp": 3,
        "src_ko": number,
        "src_inc": 2,
    }
    return DeadLetter(**(given | changes))  # type: ignore[arg-type]


async def test_one_row_per_source_counts_in_the_quarantine(warehouse: ClickHouse) -> None:
    await migrate(warehouse, cluster="")
    letters = [dead(5), dead(6), dead(5)]
    rows = [quarantine_row(letter, Coordinates(1, DEAD, 0, n)) for n, letter in enumerate(letters)]
    await put(warehouse, QUARANTINE, DEAD, rows)
    rows = [quarantine_row(rejected(n), Coordinates(1, REJECTED, 0, n)) for n in range(2)]
    await put(warehouse, QUARANTINE, REJECTED, rows)
    (all_of_them,) = await warehouse.query("SELECT count() AS n FROM quarantine")
    current = await warehouse.query("SELECT * FROM quarantine_current ORDER BY topic, ko")
    assert all_of_them["n"] == 5
    assert [(row["stage"], row["topic"], row["ko"], row["src_topic"], row["src_ko"]) for row in current] == [
        ("map", DEAD, 0, RAW, 5),
        ("map", DEAD, 1, RAW, 6),
        ("gateway", REJECTED, 0, REJECTED, 0),
        ("gateway", REJECTED, 1, REJECTED, 1),
    ]
    assert (current[0]["truncated"], current[0]["raw"], current[0]["src_inc"]) == (True, "not JSON \u0000", 2)


async def test_the_quarantine_takes_what_names_no_event(warehouse: ClickHouse) -> None:
    await migrate(warehouse, cluster="")
    letters = [
        dead(1, id="", tenant=2**70),
        dead(2, id="zz", tenant=-1, received_at=-5),
        dead(3, received_at=2**62),
    ]
    rows = [quarantine_row(letter, Coordinates(1, DEAD, 0, n)) for n, letter in enumerate(letters)]
    await put(warehouse, QUARANTINE, DEAD, rows)
    stored = await warehouse.query(
        "SELECT event_id, tenant_id, toYear(received_at) AS year FROM quarantine ORDER BY ko"
    )
    assert [row["event_id"] for row in stored[:2]] == [None, None]
    assert [row["tenant_id"] for row in stored] == [0, 0, 1]
    assert [row["year"] for row in stored[1:]] == [1973, 2199]


async def test_conversions_with_other_amounts_are_reported(warehouse: ClickHouse) -> None:
    await migrate(warehouse, cluster="")
    sale = {
        "dialect": "tracker",
        "source": "conversion",
        "event_name": "purchase",
        "event_type": "order_completed",
    }
    amounts = [
        ("t-1", "10.000000", "HNL"),
        ("t-1", "10.000000", "USD"),
        ("t-2", "5.000000", "HNL"),
        ("", None, ""),
    ]
    rows = [
        event_row(event(n, **sale, order_id=order, value=value, currency=currency))
        for n, (order, value, currency) in enumerate(amounts * 2)
    ]
    await put(warehouse, EVENTS, RAW, rows)
    (conflict,) = await warehouse.query("SELECT * FROM transaction_conflicts")
    assert (conflict["transaction_id"], conflict["events"], len(conflict["amounts"])) == ("t-1", 4, 2)


async def test_orders_that_came_twice_are_reported(warehouse: ClickHouse) -> None:
    await migrate(warehouse, cluster="")
    lines = [("o-1", "p-1"), ("o-1", "p-2"), ("o-1", "p-1"), ("o-2", "p-1"), ("", "p-1"), ("", "p-1")]
    rows = [
        event_row(event(n, event_type="order_completed", order_id=order, product_ids=(product,)))
        for n, (order, product) in enumerate(lines)
    ]
    await put(warehouse, EVENTS, RAW, rows)
    (twice,) = await warehouse.query("SELECT * FROM duplicate_orders")
    assert (twice["order_id"], twice["product_id"], twice["events"]) == ("o-1", "p-1", 2)
