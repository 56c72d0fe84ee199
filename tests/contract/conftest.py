"""The warehouse of the contract tests: embedded, and a real one if PENSTOCK_TEST_CLICKHOUSE_URL names it."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from schemas.settings import Settings
from schemas.topics import RAW, Partition
from stores.migrate import migrate
from stores.warehouse import ClickHouse, open_warehouse
from tests.embedded_clickhouse import EmbeddedClickHouse

REAL = os.environ.get("PENSTOCK_TEST_CLICKHOUSE_URL")

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["embedded", *(["real"] if REAL else [])])
def clickhouse_url(request: pytest.FixtureRequest, clickhouse: EmbeddedClickHouse) -> Iterator[str]:
    """A migrated database of this module's own."""
    server = clickhouse.url if request.param == "embedded" else str(REAL)
    address = server.rpartition("/")[0] + f"/penstock_{uuid4().hex}"

    async def prepare() -> None:
        async with open_warehouse(Settings(clickhouse_url=address)) as warehouse:
            await migrate(warehouse, cluster="")

    asyncio.run(prepare())
    yield address

    async def drop() -> None:
        async with open_warehouse(Settings(clickhouse_url=address)) as warehouse:
            await warehouse.execute(f"DROP DATABASE {address.rpartition('/')[2]} SYNC")

    asyncio.run(drop())


@pytest.fixture
async def warehouse(clickhouse_url: str) -> AsyncIterator[ClickHouse]:
    async with open_warehouse(Settings(clickhouse_url=clickhouse_url)) as opened:
        yield opened


@pytest.fixture
def partition() -> Partition:
    """A partition that no other test writes."""
    return Partition(RAW, next(_numbers))
