"""A producer under the test's hand: its batches are real, its acknowledgements come when the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from bus.kafka.keeper import BATCH_BYTES_MAX
from bus.kafka.publisher import Publisher

PARTITIONS = 4


class SentBatch:
    """One batch that reached the producer."""

    def __init__(self, batch: BatchBuilder, partition: int) -> None:
        self.partition = partition
        self.count = batch.record_count()
        data = bytes(batch._build())
        self.size_bytes = len(data)
        found = MemoryRecords(data).next_batch()
        assert found is not None
        self.values = [record.value for record in found]
        self.acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class FakeProducer:
    """Keeps what it is given; `auto` acknowledges at once."""

    def __init__(self) -> None:
        self.sent: list[SentBatch] = []
        self.auto = False
        self.broken: Exception | None = None
        self.discarded = False

    def create_batch(self) -> BatchBuilder:
        if self.broken:
            raise self.broken
        return BatchBuilder(BATCH_BYTES_MAX, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[None]:
        open_ones = [b for b in self.sent if b.partition == partition and not b.acknowledged.done()]
        assert not open_ones, "a second batch for a partition"
        self.sent.append(SentBatch(batch, partition))
        if self.auto:
            self.sent[-1].acknowledged.set_result(None)
        return self.sent[-1].acknowledged

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(PARTITIONS))


class Kafka:
    """Hands out producers, and refuses connections while `down`."""

    def __init__(self) -> None:
        self.producers: list[FakeProducer] = []
        self.down = False
        self.auto = False
        self.refused = 0

    @property
    def producer(self) -> FakeProducer:
        return self.producers[-1]

    async def connect(self) -> Any:
        if self.down:
            self.refused += 1
            raise KafkaConnectionError("down")
        producer = FakeProducer()
        producer.auto = self.auto
        self.producers.append(producer)
        return producer

    async def discard(self, producer: FakeProducer) -> None:
        assert not producer.discarded
        producer.discarded = True


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop run until `condition` holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def fake() -> Kafka:
    return Kafka()


@pytest.fixture
async def publisher(fake: Kafka) -> AsyncIterator[Publisher]:
    publisher = Publisher(fake.connect, fake.discard, bytes_budget=2**20)
    publisher.start()
    yield publisher
    await publisher.close()
    assert all(producer.discarded for producer in fake.producers)
