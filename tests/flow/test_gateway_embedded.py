"""The gateway on the embedded default: SQLite bus, SQLite registry, limits in memory; and outages of each."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus import open_bus
from bus.base import Bus
from gateway.app import create_app
from gateway.operations import Operations
from schemas.envelope import decode_envelope, decode_rejected
from schemas.settings import Settings
from schemas.topics import RAW, REJECTED
from stores.keys import MemoryKeys
from stores.migrations import migrate_registry
from stores.registry import SqlRegistry, demo, open_registry
from tests.contract.dialect_examples import Example, load
from tests.unit.gateway.rig import BATCH, INSTALL, RELO, batch

SAMPLES = [e for e in load() if e.name.startswith("source_") and e.problem is None]


class Embedded:
    """A gateway and its real parts."""

    def __init__(self, settings: Settings, bus: Bus, registry: SqlRegistry) -> None:
        self.bus = bus
        self.registry = registry
        app = create_app(settings, bus, registry, MemoryKeys())
        self.operations: Operations = app.state.operations
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")

    async def values(self, topic: str) -> list[bytes]:
        """All that was published to a topic."""
        return [
            taken.value
            for partition, (start, end) in (await self.bus.ends(topic)).items()
            for taken in await self.bus.read(partition, start=start, end=end)
        ]


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Embedded]:
    settings = Settings(home=str(tmp_path))
    await migrate_registry(settings)
    async with open_bus(settings) as bus, open_registry(settings) as registry:
        await demo.seed_demo(registry)
        yield Embedded(settings, bus, registry)


async def send(gateway: Embedded, example: Example) -> httpx.Response:
    return await gateway.http.request(
        example.method,
        example.path,
        content=example.body,
        headers=example.headers,
        params=example.query,
    )


async def test_the_sources_own_samples_are_durable(embedded: Embedded) -> None:
    sent: dict[str, int] = {}
    for example in SAMPLES:
        answer = await send(embedded, example)
        assert answer.status_code == example.expected["status"]
        body = json.loads(example.body)
        sent[example.dialect] = sent.get(example.dialect, 0) + len(body.get("events", [body]))
    assert sent.keys() == {"alana", "redo", "relo", "tracker"}
    stored: dict[str, int] = {}
    for value in await embedded.values(RAW):
        envelope = decode_envelope(value)
        stored[envelope.dialect] = stored.get(envelope.dialect, 0) + 1
        assert envelope.tenant == demo.TENANT_ID
    assert stored == sent


async def test_rejected_events_are_durable_too(embedded: Embedded) -> None:
    answer = await embedded.http.post(BATCH, json=batch(INSTALL, {"t": "?"}), headers=RELO)
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 1)
    (rejected,) = [decode_rejected(value) for value in await embedded.values(REJECTED)]
    assert (rejected.code, rejected.index) == ("unknown_event_type", 1)


async def test_a_new_product_is_noticed(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), registry_cache_s=0.001)
    await migrate_registry(settings)
    async with open_bus(settings) as bus, open_registry(settings) as registry:
        await demo.seed_demo(registry)
        gateway = Embedded(settings, bus, registry)
        click: dict[str, Any] = {"tenant_id": "mi-negocio", "type": "call", "product_id": 777}
        assert (await gateway.http.post("/api/v1/analytics/track", json=click)).status_code == 422
        await registry.add_product(demo.TENANT_ID, 777)
        await gateway.http.post("/api/v1/analytics/track", json=click)  # makes it look again
        assert (await gateway.http.post("/api/v1/analytics/track", json=click)).status_code == 202


async def test_health_of_the_real_parts(embedded: Embedded) -> None:
    await embedded.operations.health.probe_all()
    told = (await embedded.http.get("/health")).json()
    assert (told["bus"], told["supabase"], told["dragonfly"]) == ("ok", "ok", "ok")
    assert told["clickhouse"] in {"ok", "down"}
    assert (await embedded.http.get("/ready")).status_code == 200
