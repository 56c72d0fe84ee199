"""The whole way of an event over the embedded parts, in this process: gateway, log, workers, ClickHouse."""

import asyncio
import io
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from bus import open_bus
from bus.base import Bus
from cli import main
from console.ledger import Books, ledger
from gateway.app import create_app
from schemas.rows import LANDING
from schemas.settings import Settings
from schemas.topics import MATCHED, READERS
from stores.keys import MemoryKeys
from stores.migrations import migrate_registry
from stores.registry import demo
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.planted import check_identity
from workers.pipelines import PIPELINES
from workers.resources import Resources, open_resources
from workers.run import run_pipeline

RELO = {"Authorization": f"Bearer {demo.RELO_SECRET}"}
REDO = {"Authorization": f"Bearer {demo.REDO_SECRET}"}


@dataclass
class Whole:
    """One log, one registry with the demo's entries, one database."""

    settings: Settings
    bus: Bus
    use: Resources

    async def send(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send JSON to a gateway."""
        async with self.client() as client:
            return await client.post(path, json=body, headers=headers)

    def client(self) -> httpx.AsyncClient:
        """Return a client of a new gateway."""
        app = create_app(self.settings, self.bus, self.use.registry, MemoryKeys())
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")

    async def settle(self) -> None:
        """Run the workers until nothing is in flight, then stop them."""
        stop = asyncio.Event()
        running = [asyncio.create_task(self._work(name, stop)) for name in ("events", "quarantine")]
        try:
            async with asyncio.timeout(30):
                while not await self._complete():
                    assert not any(task.done() for task in running), [task.result() for task in running]
                    await asyncio.sleep(0.05)
        finally:
            stop.set()
            await asyncio.gather(*running)

    async def _work(self, name: str, stop: asyncio.Event) -> None:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        async with open_bus(self.settings) as bus:
            pipeline = PIPELINES[name](self.use)
            await run_pipeline(pipeline, bus=bus, warehouse=self.use.warehouse, stop=stop, sock=sock)

    async def _complete(self) -> bool:
        # events.dead last: what the workers do with the other two ends there.
        for topic in (topic for topic in READERS if topic != MATCHED):
            committed = await self.bus.committed(topic, group=READERS[topic])
            for partition, (_, end) in (await self.bus.ends(topic)).items():
                offset, note = committed.get(partition, (0, ""))
                if offset != end or ";e=" in note:
                    return False
        return True

    async def query(self, sql: str) -> list[dict[str, Any]]:
        return await self.use.warehouse.query(sql)

    async def books(self) -> Books:
        """Return the books, which balance."""
        books = await ledger(self.bus, self.use.warehouse, 1)
        for line in books.lines:
            check_identity(line)
        assert books.balanced, books.complaints()
        return books

    async def penstock(self, *words: str) -> tuple[int, list[Any], str]:
        """Run the command over the same parts: its status, the JSON lines it prints, its stderr."""
        use = self.settings
        environ = {
            "PENSTOCK_HOME": use.home,
            "PENSTOCK_CLICKHOUSE_URL": use.clickhouse_url,
            "PENSTOCK_BUS_PARTITIONS": str(use.bus_partitions),
        }
        told, errors = io.TextIOWrapper(io.BytesIO()), io.StringIO()  # bytes are written to it, too
        with patch.dict(os.environ, environ), redirect_stdout(told), redirect_stderr(errors):
            status = await asyncio.to_thread(_status, words)  # it has an event loop of its own
        told.seek(0)
        return status, [json.loads(line) for line in told], errors.getvalue()


def _status(words: Sequence[str]) -> int:
    try:
        main(words)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@asynccontextmanager
async def open_whole(
    clickhouse: EmbeddedClickHouse, database: str, home: Path, *, tables: Sequence[str] = tuple(LANDING)
) -> AsyncIterator[Whole]:
    """Begin with an empty log, empty tables, and the demo's tenant and tokens."""
    settings = Settings(
        home=str(home), clickhouse_url=clickhouse.url_of(database), bus_partitions=2, worker_wait_ms=20
    )
    await clickhouse.migrate(database)
    await migrate_registry(settings)
    async with open_bus(settings) as bus, open_resources(settings) as use:
        await demo.seed_demo(use.registry)
        for table in tables:
            await use.warehouse.execute(f"TRUNCATE TABLE {table}")
        yield Whole(settings, bus, use)
