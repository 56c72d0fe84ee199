"""Persons over a real Postgres."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from schemas.settings import Settings
from stores.migrations import migrate_registry
from stores.registry import SqlRegistry, open_registry
from tests.contract import customers_contract, devices_contract
from tests.contract.person_events import Desk, customer
from tests.live.servers import LiveServer
from workers.stage import Unavailable

desk = customers_contract.desk


@pytest.fixture(scope="module")
def migrated(postgres: LiveServer) -> Settings:
    async def make() -> Settings:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute("CREATE DATABASE persons")
        await connection.close()
        settings = Settings(registry_url=postgres.url.rpartition("/")[0] + "/persons")
        await migrate_registry(settings)
        return settings

    return asyncio.run(make())


@pytest.fixture
async def settings(postgres: LiveServer, migrated: Settings) -> AsyncIterator[Settings]:
    yield migrated
    postgres.start()
    connection = await asyncpg.connect(migrated.registry_url)
    await connection.execute("TRUNCATE person_links, person_pairs, person_overrides, person_epochs")
    await connection.close()


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[SqlRegistry]:
    async with open_registry(settings) as opened:
        yield opened


class TestCustomers(customers_contract.CustomersContract):
    pass


class TestDevices(devices_contract.DevicesContract):
    pass


async def test_while_the_registry_is_down_the_batch_waits(postgres: LiveServer, desk: Desk) -> None:
    worker = desk.worker()
    known = await desk.person(customer(1, "cust-1"), by=worker)
    postgres.stop()
    with pytest.raises(Unavailable):
        await desk.judge(customer(2, "cust-2"), by=worker)
    assert await desk.person(customer(3, "cust-1"), by=worker) == known
    postgres.start()
    assert await desk.person(customer(2, "cust-2"), by=worker) != known
