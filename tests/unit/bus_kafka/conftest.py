"""A producer under the test's hand: its batches are real, its acknowledgements come when the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.record.memory_records import MemoryRecords

from bus.kafka.lanes import Batch
from bus.kafka.publisher import Publisher

PARTITIONS = 4


class SentBatch:
    """One batch that reached the producer."""

    def __init__(self, batch: Batch, producer: "FakeProducer") -> None:
        self.partition = batch.place.partition
        self.count = batch.record_count
        data = bytes(batch.build(1, 0))
        self.size_bytes = len(data)
        found = MemoryRecords(data).next_batch()
        assert found is not None
        self.sequence = batch.sequence
        self.values = [record.value for record in found]
        self.acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.acknowledged.add_done_callback(self._settle)
        self._batch = batch
        self._producer = producer

    def _settle(self, acknowledged: asyncio.Future[None]) -> None:
        if not acknowledged.cancelled():
            error = acknowledged.exception()
            self._batch.settle(error if isinstance(error, Exception) else None)
            self._producer.freed()


class FakeProducer:
    """Keeps what it is given; `auto` acknowledges at once, and a partition in `busy` is not free."""

    def __init__(self) -> None:
        self.freed: Callable[[], None] = lambda: None
        self.sent: list[SentBatch] = []
        self.auto = False
        self.busy: set[int] = set()
        self.broken: Exception | None = None
        self.discarded = False

    def free(self, place: tuple[str, int]) -> bool:
        return place[1] not in self.busy

    def send(self, batches: Sequence[Batch]) -> None:
        if self.broken:
            raise self.broken
        for batch in batches:
            self._take(SentBatch(batch, self))

    def _take(self, taken: SentBatch) -> None:
        before = [batch for batch in self.sent if batch.partition == taken.partition]
        assert all(batch.acknowledged.done() for batch in before), "a second batch for a partition"
        assert taken.sequence == sum(batch.count for batch in before), "a gap in the count of a partition"
        self.sent.append(taken)
        if self.auto:
            taken.acknowledged.set_result(None)

    def give_up(self) -> None:
        """Nothing that is open will be acknowledged."""
        self.discarded = True
        for batch in self.sent:
            batch.acknowledged.cancel()

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
        producer.give_up()


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
