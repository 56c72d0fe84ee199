"""Workers that share the partitions: killed, frozen, replaced, and thawed again."""

import asyncio
import os
import signal
from pathlib import Path

from bus import open_bus
from schemas.topics import RAW
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.worker_child import complete, ended, settings, start
from tests.unit.workers.running import event_id, record


async def test_killed_and_frozen_workers_are_replaced(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> None:
    database = "ownership"
    await clickhouse.migrate(database)
    use = settings(tmp_path, clickhouse.url_of(database))
    workers = [start(use) for _ in range(2)]
    published = 0
    async with open_bus(use) as bus:
        for act in ("", "freeze", "kill", "thaw", "", ""):
            for _ in range(10):
                await bus.publish(RAW, [record(n) for n in range(published, published + 40)])
                published += 40
                await asyncio.sleep(0.05)
            if act == "freeze":
                os.kill(workers[0].pid or 0, signal.SIGSTOP)
                workers.append(start(use))
                await asyncio.sleep(2)  # longer than a lease
            elif act == "kill":
                workers[1].kill()
            elif act == "thaw":
                os.kill(workers[0].pid or 0, signal.SIGCONT)
        async with asyncio.timeout(30):
            while not await complete(bus):
                await asyncio.sleep(0.1)
    for worker in workers:
        worker.terminate()
    assert [await ended(worker) for worker in workers] == [0, -signal.SIGKILL, 0]
    async with clickhouse.warehouse(database) as warehouse:
        rows = await warehouse.query("SELECT toString(event_id) AS id FROM events")
        assert sorted(row["id"] for row in rows) == [event_id(n) for n in range(published)]
        # The order that is promised: within a subject, as published.
        (disorder,) = await warehouse.query(
            "SELECT countIf(NOT arrayIsSorted) AS subjects FROM (SELECT subject, arr = arraySort(arr) AS "
            "arrayIsSorted FROM (SELECT subject, groupArray(ko) AS arr FROM "
            "(SELECT subject, ko FROM events ORDER BY received_at) GROUP BY subject))"
        )
        assert disorder == {"subjects": 0}
