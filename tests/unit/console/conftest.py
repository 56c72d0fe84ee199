"""The api over a real registry and a real ClickHouse, with two tenants that each have events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from bus.memory import MemoryBus, open_memory
from console.app import create_app
from console.auditor import Auditor
from console.guard import Guard
from console.inflight import InFlight
from console.use import Use
from schemas.event import Event
from schemas.rows import EVENTS, LANDING, columns, event_row
from schemas.settings import Settings
from schemas.topics import RAW, Partition
from stores.keys import MemoryKeys
from stores.migrations import migrate_registry
from stores.registry import SqlRegistry, open_registry
from stores.warehouse import ClickHouse
from tests.embedded_clickhouse import EmbeddedClickHouse

EVENT_IDS = {1: [UUID(int=n) for n in (11, 12, 13)], 2: [UUID(int=n) for n in (21, 22)]}
RECEIVED_AT = 1_790_000_000_000


@dataclass(frozen=True)
class Api:
    """A client of the api, what is behind it, and the secrets of its tokens."""

    client: httpx.AsyncClient
    registry: SqlRegistry
    bus: MemoryBus
    secrets: dict[str, str]
    key_ids: dict[str, str]

    async def get(self, path: str, token: str = "", **params: str) -> httpx.Response:
        """Ask with the named token, or with none."""
        headers = {"Authorization": f"Bearer {self.secrets.get(token, token)}"} if token else {}
        return await self.client.get(path, params=params, headers=headers)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[SqlRegistry]:
    settings = Settings(home=str(tmp_path))
    await migrate_registry(settings)
    async with open_registry(settings) as opened:
        yield opened


@pytest.fixture
async def warehouse(
    clickhouse: EmbeddedClickHouse, request: pytest.FixtureRequest
) -> AsyncIterator[ClickHouse]:
    """A database of the test's file, so that no other file's rows are seen, with both tenants' events."""
    database = request.path.stem.replace("test_", "console_")
    await clickhouse.migrate(database)
    async with clickhouse.warehouse(database) as opened:
        for tenant_id in EVENT_IDS:
            await _store(opened, tenant_id)
        yield opened


@pytest.fixture
async def api(registry: SqlRegistry, warehouse: ClickHouse) -> AsyncIterator[Api]:
    secrets, key_ids = {}, {}
    for tenant_id, slug in ((1, "one"), (2, "two")):
        await registry.add_tenant(slug, slug.title(), id=tenant_id)
        for scope in ("read", "write", "admin"):
            token, secret = await registry.add_token(tenant_id, "", scopes=(scope,))
            secrets[f"{slug}-{scope}"] = secret
            key_ids[f"{slug}-{scope}"] = token.key_id
    bus = open_memory(Settings(bus_partitions=2))
    guard = Guard(registry, MemoryKeys())
    app = create_app(Use(warehouse, registry, guard, Auditor(bus, warehouse, 1), InFlight(bus)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield Api(client, registry, bus, secrets, key_ids)


async def _store(warehouse: ClickHouse, tenant_id: int) -> None:
    events = [_event(tenant_id, event_id, index) for index, event_id in enumerate(EVENT_IDS[tenant_id])]
    offsets = range(len(events))
    await warehouse.insert(
        LANDING[EVENTS],
        columns(Partition(RAW, tenant_id), 1, list(offsets), [event_row(event) for event in events]),
        token=f"console-{tenant_id}",
        query_id=f"console-{tenant_id}-{id(warehouse)}",
    )


def _event(tenant_id: int, event_id: UUID, index: int) -> Event:
    return Event(
        event_id=str(event_id),
        tenant_id=tenant_id,
        dialect="relo",
        source="3",
        received_at=RECEIVED_AT + index * 1000,
        sent_at=None,
        request_id=f"request-{tenant_id}",
        flags=[],
        event_name="purchase",
        event_type="order_completed" if index else "page_viewed",
        occurred_at=RECEIVED_AT,
        subject="o'clock\\ %(tenant_id)s",
        value="9007199254740993.123456",
        currency="MXN",
        properties='{"order_id":"A-1","n":9007199254740993}',
    )
