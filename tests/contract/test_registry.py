"""The registry on SQLite, the embedded default."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.settings import Settings
from schemas.tenants import Tenant, TenantRef
from schemas.topics import Coordinates
from stores.base import StoreMisconfigured, StoreUnavailable
from stores.migrations import migrate_registry
from stores.registry import KeyClaim, SqlRegistry, open_registry
from stores.registry.database import open_database
from stores.registry.demo import seed_demo
from stores.registry.tokens import secret_sha256
from tests.contract import registry_contract
from tests.contract.deliveries_contract import HOUR_MS, new, take
from tests.contract.filters_contract import hooked
from tests.contract.registry_statements import plan_of, statements

registry = registry_contract.registry
shop = registry_contract.shop
rival = registry_contract.rival


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=str(tmp_path))
    await migrate_registry(settings)
    return settings


@pytest.fixture
def writer(settings: Settings) -> Iterator[sqlite3.Connection]:
    """Another process that holds the write lock."""
    connection = sqlite3.connect(Path(settings.home) / "registry.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


class TestSqlite(registry_contract.RegistryContract):
    async def everything_stored(self, registry: SqlRegistry) -> bytes:
        path = Path(str(registry._database.engine.url.database))
        return b"".join(file.read_bytes() for file in path.parent.glob("registry.db*"))


async def test_writes_wait_for_another_writer_and_reads_do_not(
    settings: Settings, writer: sqlite3.Connection
) -> None:
    claim = KeyClaim(1, "7f0f3c0e-0d0c-4a3e-9b1a-5a5f0c1d2e3f", Coordinates(1, "events.raw", 0, 0))
    async with SqlRegistry(open_database(settings, lock_wait_s=0.2)) as registry:
        assert await registry.tenant(TenantRef("id", "1")) is None
        for write in (registry.add_tenant("shop", "Shop"), registry.claim_keys([claim])):
            with pytest.raises(StoreUnavailable, match="locked"):
                await write
        writer.execute("ROLLBACK")
        assert (await registry.add_tenant("shop", "Shop")).id == 1


async def test_a_registry_that_was_never_migrated(tmp_path: Path) -> None:
    async with open_registry(Settings(home=str(tmp_path))) as registry:
        with pytest.raises(StoreMisconfigured, match="penstock migrate"):
            await registry.list_tenants()
        with pytest.raises(StoreMisconfigured, match="penstock migrate"):
            await registry.add_tenant("shop", "Shop")
        # The gateway must serve on, whatever the reason.
        with pytest.raises(StoreUnavailable, match="penstock migrate"):
            await registry.token(secret_sha256("x"))
        with pytest.raises(StoreUnavailable, match="penstock migrate"):
            await registry.probe()


@pytest.mark.parametrize("content", [b"this is no database, whatever its name says" * 100])
async def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "registry.db").write_bytes(content)
    async with open_registry(Settings(home=str(tmp_path))) as registry:
        with pytest.raises(StoreMisconfigured, match="not a database"):
            await registry.list_tenants()
        with pytest.raises(StoreUnavailable, match="not a database"):
            await registry.tenant(TenantRef("id", "1"))


@pytest.mark.parametrize("named", [True, False])
async def test_dead_deliveries_are_found_without_the_delivered(
    registry: SqlRegistry, shop: Tenant, rival: Tenant, named: bool
) -> None:
    """Postgres chooses its way by what it knows of the rows; SQLite has only the statement to go by."""
    filter_, other = await hooked(registry, shop), await hooked(registry, rival)
    await take(registry, new(filter_), new(other), for_ms=-1)
    await registry.sweep_deliveries(keep_ms=HOUR_MS)
    with statements(registry) as told:
        [found] = await registry.list_deliveries(
            shop.id, filter_id=filter_.filter_id if named else "", state="dead"
        )
    assert found.filter_id == filter_.filter_id
    assert await registry.list_deliveries(shop.id, filter_id=other.filter_id, state="dead") == []
    assert "INDEX ix_deliveries_due (filter_id=? AND state=?)" in await plan_of(registry, told[-1])


async def test_a_path_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "registry.db").mkdir()
    async with open_registry(Settings(home=str(tmp_path))) as registry:
        with pytest.raises(StoreUnavailable, match="unable to open"):
            await registry.probe()
    while any("connection_worker" in thread.name for thread in threading.enumerate()):
        await asyncio.sleep(0.01)  # the driver's thread must not outlive the loop


async def test_entries_survive_a_new_process(settings: Settings, registry: SqlRegistry, shop: Tenant) -> None:
    async with open_registry(settings) as other:
        assert await other.tenant(TenantRef("slug", "shop")) == shop


async def test_many_lookups_at_once(registry: SqlRegistry) -> None:
    await seed_demo(registry)
    found = await asyncio.gather(*(registry.token(secret_sha256("ak_dev")) for _ in range(100)))
    assert all(token is not None for token in found)
