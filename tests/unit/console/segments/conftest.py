"""A database for segments, seeded once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from stores.warehouse import ClickHouse
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.unit.console.segments import people, population


@pytest.fixture(scope="session")
def seeded(clickhouse: EmbeddedClickHouse) -> str:
    """The name of a database with everyone in it."""

    async def seed() -> None:
        await clickhouse.migrate("segments")
        async with clickhouse.warehouse("segments") as warehouse:
            await population.settle(
                warehouse, [*people.by_value(), *people.by_history(), *people.of_others()]
            )
            for customer, into in people.merged():
                await population.merge(warehouse, customer, into)

    asyncio.run(seed())
    return "segments"


@pytest.fixture
async def warehouse(clickhouse: EmbeddedClickHouse, seeded: str) -> AsyncIterator[ClickHouse]:
    async with clickhouse.warehouse(seeded) as opened:
        yield opened
