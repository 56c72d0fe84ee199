"""The operator's side of a worker, asked over HTTP."""

import asyncio
import socket

import httpx
import pytest

from bus.base import Record
from bus.memory import MemoryBus
from schemas.topics import RAW
from tests.unit.workers.running import System, events_only
from workers import breaker
from workers.run import run_pipeline


async def test_an_operator_sees_and_lifts_a_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "DEAD_MAX", 5)
    system = System()
    system.log.partitions = 1
    await system.bus.publish(RAW, [Record(b"k", b"no envelope")] * 8)
    stop = asyncio.Event()
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    bus = MemoryBus(system.log)
    running = asyncio.create_task(
        run_pipeline(events_only(), bus=bus, warehouse=system.warehouse, stop=stop, sock=sock)
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        await _until(client, "/ready", 200)
        while not (health := (await client.get("/health")).json())["resting"]:
            await asyncio.sleep(0.01)
        assert health["status"] == "degraded"
        assert health["partitions"] == health["resting"] == [f"{RAW}/0"]
        assert (await client.get("/live")).json() == {"status": "live"}
        assert "penstock_worker_events_total" in (await client.get("/metrics")).text
        assert (await client.get("/resume")).status_code == 405
        assert (await client.post("/resume")).json() == {"resumed": [f"{RAW}/0"]}
        assert (await client.post("/resume")).json() == {"resumed": []}
        async with asyncio.timeout(5):
            while not system.complete():
                await asyncio.sleep(0.01)
        assert (await client.get("/health")).json()["status"] == "ok"
        stop.set()
        assert (await client.get("/ready")).status_code == 503
    await asyncio.wait_for(running, 5)
    assert len(system.dead()) == 8


async def _until(client: httpx.AsyncClient, path: str, status: int) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                if (await client.get(path)).status_code == status:
                    return
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
