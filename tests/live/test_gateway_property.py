"""No body whatever gives a 5xx or an uncounted event, over a real Kafka, Postgres and Redis."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus import open_bus
from bus.base import Bus, BusUnavailable
from gateway.app import create_app
from gateway.operations import Operations
from schemas.settings import Settings
from schemas.topics import RAW, REJECTED
from stores.keys import open_keys
from stores.migrations import migrate_registry
from stores.registry import demo, open_registry
from tests.flow.test_gateway_property import HEADERS, bodies
from tests.live.servers import LiveServer

DATABASE = "gateway_property"


class Gateway:
    """One gateway over real servers, driven from a thread that has the loop to itself."""

    def __init__(self, use: Settings) -> None:
        self.loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        started = self.loop.create_future()
        self._running = self.loop.create_task(self._run(use, started))
        self.loop.run_until_complete(started)

    async def _run(self, use: Settings, started: "asyncio.Future[None]") -> None:
        await migrate_registry(use)
        async with open_bus(use) as bus, open_registry(use) as registry, open_keys(use) as keys:
            await demo.seed_demo(registry)
            await _until_it_takes_records(bus)
            app = create_app(use, bus, registry, keys)
            self.bus: Bus = bus
            self.operations: Operations = app.state.operations
            self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
            started.set_result(None)
            await self._stop.wait()

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self.loop.run_until_complete(self._running)
        self.loop.close()

    async def post(self, path: str, body: bytes) -> httpx.Response:
        """Send one body."""
        return await self.http.post(path, content=body, headers=HEADERS[path])

    async def published(self, topic: str) -> int:
        """Count the records of a topic."""
        return sum(end for _, end in (await self.bus.ends(topic)).values())

    def counted(self, name: str) -> float:
        """Return a counter of the gateway, summed over its labels."""
        samples = (s for family in self.operations.metrics.registry.collect() for s in family.samples)
        return sum(s.value for s in samples if s.name == f"penstock_gateway_{name}")


@pytest.fixture(scope="module")
def gateway(
    kafka: LiveServer, postgres: LiveServer, redis: LiveServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    home: Path = tmp_path_factory.mktemp("gateway")
    asyncio.run(_make_database(postgres.url))
    registry_url = postgres.url.rpartition("/")[0] + f"/{DATABASE}"
    running = Gateway(
        Settings(home=str(home), bus_url=kafka.url, registry_url=registry_url, keys_url=redis.url)
    )
    yield running
    running.close()


async def _until_it_takes_records(bus: Bus) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await bus.probe()
            except BusUnavailable:
                await asyncio.sleep(0.1)


async def _make_database(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(sorted(HEADERS)), body=bodies)
def test_any_body_is_answered_and_counted(gateway: Gateway, path: str, body: bytes) -> None:
    raw, rejected = gateway.counted("events_accepted_total"), gateway.counted("events_rejected_total")
    ends = [gateway.loop.run_until_complete(gateway.published(topic)) for topic in (RAW, REJECTED)]
    answer = gateway.loop.run_until_complete(gateway.post(path, body))
    assert answer.status_code < 500, answer.text
    after = [gateway.loop.run_until_complete(gateway.published(topic)) for topic in (RAW, REJECTED)]
    assert after[0] - ends[0] == gateway.counted("events_accepted_total") - raw
    assert after[1] - ends[1] == gateway.counted("events_rejected_total") - rejected
