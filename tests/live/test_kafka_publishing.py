"""What the publisher asks of a real producer."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

from bus.base import Record
from bus.kafka import create_topics
from bus.kafka.bus import KafkaBus
from bus.kafka.produce import ProduceBatches
from bus.kafka.producer import Producer, connector, discard
from bus.kafka.publisher import Publisher
from schemas.settings import Settings
from schemas.topics import ALL
from tests.contract.bus_members import PARTITIONS, all_values, read_all
from tests.live.servers import LiveServer


class Watch:
    """Counts the batches that a real producer's connections have open, by partition."""

    def __init__(self, producer: Producer) -> None:
        self.open: Counter[tuple[str, int]] = Counter()
        self.most_open = 0
        self.batches = 0
        self.requests = 0
        self._send = producer._client.send
        producer._client.send = self.send

    async def send(self, node: int, request: Any) -> Any:
        if not isinstance(request, ProduceBatches):
            return await self._send(node, request)
        places = [(topic, index) for topic, rows in request._topics.items() for index, _ in rows]
        self.requests += 1
        self.batches += len(places)
        self.open.update(places)
        self.most_open = max(self.most_open, *self.open.values())
        try:
            return await self._send(node, request)
        finally:
            self.open.subtract(places)


async def new_topic(settings: Settings) -> str:
    topic = f"publishing.{uuid4().hex[:12]}"
    await create_topics(settings, (*ALL, topic))
    return topic


async def test_one_batch_a_partition_is_outstanding_and_many_publishes_share_it(kafka: LiveServer) -> None:
    settings = Settings(bus_url=kafka.url, bus_partitions=PARTITIONS)
    topic = await new_topic(settings)
    watches: list[Watch] = []

    async def connect() -> Producer:
        producer: Producer = await connector(settings)()
        watches.append(Watch(producer))
        return producer

    publisher = Publisher(connect, discard, bytes_budget=2**24)
    publisher.start()
    sent = [[Record(b"1|%d" % (i % 50), b"%d:%d" % (i, j)) for j in range(5)] for i in range(1000)]
    await asyncio.gather(*(publisher.publish(topic, records, deadline_s=20) for records in sent))
    await publisher.close()
    assert watches[0].most_open == 1
    assert watches[0].batches < 500
    assert watches[0].requests < watches[0].batches
    async with KafkaBus(settings) as bus:
        values = all_values(await read_all(bus, topic))
    assert values == sorted(record.value for records in sent for record in records)


async def test_a_worn_producer_is_replaced_under_load(kafka: LiveServer) -> None:
    settings = Settings(bus_url=kafka.url, bus_partitions=PARTITIONS)
    topic = await new_topic(settings)
    publisher = Publisher(connector(settings), discard, bytes_budget=2**24, sequence_max=200)
    publisher.start()

    async def publish(number: int) -> None:
        for i in range(40):
            await publisher.publish(topic, [Record(b"1|%d" % number, b"%d:%d" % (number, i))], deadline_s=20)

    await asyncio.gather(*(publish(number) for number in range(50)))
    await publisher.close()
    assert publisher.keeper.replaced >= 2
    async with KafkaBus(settings) as bus:
        values = all_values(await read_all(bus, topic))
    assert values == sorted(b"%d:%d" % (number, i) for number in range(50) for i in range(40))
