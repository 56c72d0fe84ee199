"""The bus contract over a real Kafka."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import pytest

from bus.base import Bus
from bus.kafka import create_topics, open_kafka
from schemas.settings import Settings
from schemas.topics import ALL
from tests.contract.bus_contract import PARTITIONS, BusContract
from tests.live.servers import LiveServer


class TestKafka(BusContract):
    @pytest.fixture
    def settings(self, kafka: LiveServer) -> Settings:
        return Settings(bus_url=kafka.url, bus_partitions=PARTITIONS)

    @pytest.fixture
    async def topic(self, settings: Settings) -> str:
        name = f"contract.{uuid4().hex[:12]}"
        await create_topics(settings, (*ALL, name))
        return name

    @pytest.fixture
    def open_handle(self, settings: Settings) -> Callable[[], Bus]:
        return lambda: open_kafka(settings)

    @pytest.fixture
    def outage(self, kafka: LiveServer) -> Callable[[Bus], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def frozen(bus: Bus) -> AsyncIterator[None]:
            kafka.freeze()
            try:
                yield
            finally:
                kafka.thaw()

        return frozen
