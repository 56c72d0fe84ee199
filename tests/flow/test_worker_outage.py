"""ClickHouse is killed again and again under load: each event is stored once."""

import asyncio
import socket
from pathlib import Path

from bus import open_bus
from schemas.topics import RAW
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.worker_child import complete, settings
from tests.unit.workers.running import event_id, events_only, record
from workers.partitions import Limits
from workers.run import run_pipeline

KILLS = 4


async def test_a_warehouse_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    server = EmbeddedClickHouse(tmp_path / "clickhouse")
    server.start()
    try:
        await server.migrate()
        published = await _load_and_kill(server, tmp_path)
        async with server.warehouse() as warehouse:
            rows = await warehouse.query("SELECT toString(event_id) AS id FROM events")
            assert sorted(row["id"] for row in rows) == [event_id(n) for n in range(published)]
            (batches,) = await warehouse.query(
                "SELECT sum(stored) AS stored, sum(end - start) AS taken FROM batches FINAL"
            )
            assert batches == {"stored": published, "taken": published}
    finally:
        server.kill()


async def _load_and_kill(server: EmbeddedClickHouse, home: Path) -> int:
    use = settings(home, server.url)
    stop = asyncio.Event()
    pipeline = events_only(limits=Limits(records_max=200, bytes_max=2**20, wait_ms=10))
    sock = socket.create_server(("127.0.0.1", 0))
    async with open_bus(use) as bus, server.warehouse() as warehouse:
        running = asyncio.create_task(
            run_pipeline(pipeline, bus=bus, warehouse=warehouse, stop=stop, sock=sock)
        )
        published = 0
        for kill in range(KILLS):
            for _ in range(20):
                await bus.publish(RAW, [record(n) for n in range(published, published + 50)])
                published += 50
                await asyncio.sleep(0.01 + kill * 0.002)
            server.kill()
            await asyncio.to_thread(server.start)
        async with asyncio.timeout(90):
            while not await complete(bus):
                await asyncio.sleep(0.05)
        stop.set()
        await running
    return published
