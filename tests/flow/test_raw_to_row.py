"""From a record of events.raw to a row, over the real parts: every dialect, and every bad record."""

import asyncio
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus import open_bus
from bus.base import Bus, Record
from schemas.envelope import Envelope, encode
from schemas.settings import Settings
from schemas.topics import DEAD, RAW, REJECTED
from stores.migrations import migrate_registry
from stores.warehouse import ClickHouse
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.worker_child import complete
from tests.unit.workers.running import RECEIVED_AT, event_id
from tests.unit.workers.test_quarantine import rejected
from workers.pipelines import PIPELINES
from workers.resources import open_resources
from workers.run import run_pipeline

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)

SENT: dict[str, tuple[str, dict[str, Any]]] = {
    "relo": (
        "batch",
        {
            "t": "purchase",
            "ts": RECEIVED_AT - 5,
            "cid": 3,
            "did": "device-9",
            "props": {
                "order_id": "o-1",
                "revenue": 499.8,
                "product_id": "SKU-1",
                "quantity": 2,
                "currency": "MXN",
            },
        },
    ),
    "alana": ("events", {"eventType": "search", "visitorId": "v-1", "query": "árbol 🌳"}),
    "redo": (
        "event",
        {
            "eventName": "Subscribed",
            "customer": {"email": "Ana@Example.com"},
            "eventTimestamp": "2025-06-15T15:00:00Z",
            "data": {"plan": "gold", "$extra": {"a": [1, 2]}},
        },
    ),
    "tracker": ("conversion", {"tenant_slug": "mi-negocio", "transaction_id": "t-1", "value": 12.5}),
}


def envelope(n: int, dialect: str, endpoint: str, event: bytes, **changes: object) -> Record:
    made = Envelope(
        v=1,
        id=event_id(n),
        dialect=dialect,
        endpoint=endpoint,
        tenant=1,
        source="3",
        received_at=RECEIVED_AT,
        ip="8.8.8.8",
        ua=CHROME,
        request=f"request-{n}",
        of=1,
        event=msgspec.Raw(event),
    )
    return Record(b"1|%d" % n, encode(msgspec.structs.replace(made, **changes)))


async def run(name: str, settings: Settings, bus: Bus, topics: tuple[str, ...]) -> None:
    """Run a pipeline until its topics are complete."""
    stop = asyncio.Event()
    sock = socket.create_server(("127.0.0.1", 0))
    async with open_resources(settings) as use:
        running = asyncio.create_task(
            run_pipeline(PIPELINES[name](use), bus=bus, warehouse=use.warehouse, stop=stop, sock=sock)
        )
        async with asyncio.timeout(30):
            while not all([await complete(bus, topic, f"penstock-{name}") for topic in topics]):
                assert not running.done(), running.result()
                await asyncio.sleep(0.05)
        stop.set()
        await running


@pytest.fixture
async def settings(
    clickhouse: EmbeddedClickHouse, tmp_path: Path, request: pytest.FixtureRequest
) -> Settings:
    database = "raw_" + request.node.name[:40].replace("[", "_").replace("]", "_").replace("-", "_")
    await clickhouse.migrate(database)
    made = Settings(
        home=str(tmp_path), clickhouse_url=clickhouse.url_of(database), bus_partitions=2, worker_wait_ms=20
    )
    await migrate_registry(made)
    return made


async def rows(warehouse: ClickHouse, table: str) -> list[dict[str, Any]]:
    return await warehouse.query(f"SELECT * FROM {table} ORDER BY kp, ko")


async def test_an_event_of_each_dialect_becomes_a_row(
    settings: Settings, clickhouse: EmbeddedClickHouse
) -> None:
    async with open_bus(settings) as bus:
        records = [
            envelope(n, dialect, endpoint, msgspec.json.encode(event))
            for n, (dialect, (endpoint, event)) in enumerate(SENT.items())
        ]
        await bus.publish(RAW, records)
        await run("events", settings, bus, (RAW,))
    async with clickhouse.warehouse(settings.clickhouse_url.rpartition("/")[2]) as warehouse:
        stored = {row["dialect"]: row for row in await rows(warehouse, "events")}
        (batch,) = await warehouse.query(
            "SELECT sum(stored) AS stored, sum(end - start) AS taken FROM batches"
        )
    assert set(stored) == set(SENT)
    assert batch == {"stored": 4, "taken": 4}
    for n, (dialect, (_, event)) in enumerate(SENT.items()):
        row = stored[dialect]
        assert str(row["event_id"]) == event_id(n)
        assert msgspec.json.decode(row["raw"]) == event
        assert (row["country"], row["browser"], row["device_type"]) == ("US", "Chrome", "desktop")
        assert row["topic"] == RAW
    relo = stored["relo"]
    assert (relo["event_type"], relo["order_id"]) == ("order_completed", "o-1")
    assert relo["value"] == Decimal("499.8")
    assert msgspec.json.decode(stored["redo"]["extra"]) == {"a": [1, 2]}
    assert stored["tracker"]["order_id"] == "t-1"


GOOD = {"eventType": "home-page-view", "visitorId": "v-1"}
HOME = msgspec.json.encode(GOOD)

BAD = {
    "not_an_envelope": Record(b"k", b"\x00 no envelope \xff"),
    "envelope_version": envelope(90, "alana", "events", HOME, v=7),
    "unknown_endpoint": envelope(91, "morse", "key", HOME),
    "row_refused": envelope(92, "alana", "events", HOME, id="zzzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzzz"),
    "row_refused_time": envelope(93, "alana", "events", HOME, received_at=5),
    "row_refused_tenant": envelope(94, "alana", "events", HOME, tenant=2**40),
}


async def test_bad_records_end_in_the_quarantine_and_the_rest_is_stored(
    settings: Settings, clickhouse: EmbeddedClickHouse
) -> None:
    good = [envelope(n, "alana", "events", HOME) for n in range(20)]
    async with open_bus(settings) as bus:
        await bus.publish(RAW, [*good[:10], *BAD.values(), *good[10:]])
        await bus.publish(REJECTED, [rejected(50)])
        await run("events", settings, bus, (RAW,))
        await run("quarantine", settings, bus, (DEAD, REJECTED))
    async with clickhouse.warehouse(settings.clickhouse_url.rpartition("/")[2]) as warehouse:
        stored = await rows(warehouse, "events")
        quarantine = await rows(warehouse, "quarantine")
        (batch,) = await warehouse.query(
            "SELECT sum(stored) AS stored, sum(dead) AS dead, sum(end - start) AS taken FROM batches "
            "WHERE topic = %(topic)s",
            {"topic": RAW},
        )
    assert sorted(str(row["event_id"]) for row in stored) == [event_id(n) for n in range(20)]
    assert batch == {"stored": 20, "dead": len(BAD), "taken": 20 + len(BAD)}
    dead = [row for row in quarantine if row["stage"] != "gateway"]
    codes = [code.partition("_t")[0] if code.startswith("row") else code for code in BAD]
    assert sorted(row["code"] for row in dead) == sorted(codes)
    taken = {(row["topic"], row["kp"], row["ko"]) for row in stored}
    assert not taken & {(row["src_topic"], row["src_kp"], row["src_ko"]) for row in dead}
    assert {row["src_topic"] for row in dead} == {RAW}
    (gateway,) = [row for row in quarantine if row["stage"] == "gateway"]
    assert (gateway["code"], str(gateway["event_id"]), gateway["src_topic"]) == (
        "ts_in_seconds",
        event_id(50),
        REJECTED,
    )
