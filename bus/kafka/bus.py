"""The bus over Apache Kafka."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from bus.base import BusUnavailable, Owner, Record, Taken
from bus.kafka.cluster import Cluster
from bus.kafka.compression import compress_fast
from bus.kafka.connection import is_loopback
from bus.kafka.consumer import as_taken, lone_consumer, named, stop
from bus.kafka.producer import connector, discard
from bus.kafka.publisher import Publisher
from bus.kafka.quiet import quieten
from bus.kafka.subscription import KafkaSubscription
from bus.kafka.topics import create_topics, in_sync_min, retention_ms, verify_topics
from schemas.settings import Settings
from schemas.topics import ALL, Partition

log = logging.getLogger(__name__)

PROBE_S = 1.2
UNACKNOWLEDGED_S = 1.5
FAILED_S = 3.0
"""How long one failed publish speaks against the bus: with no traffic, nothing else would clear it."""
READ_S = 30.0
RETRY_S = 1.0


class KafkaBus:
    """Implements Bus. Entering it returns at once: without Kafka, publishing says so until Kafka is there."""

    def __init__(self, settings: Settings) -> None:
        quieten()
        compress_fast()
        self._settings = settings
        self._cluster = Cluster(settings)
        self._publisher = Publisher(connector(settings), discard, bytes_budget=settings.publish_bytes_budget)
        self._checking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._publisher.start()
        self._checking = asyncio.create_task(self._check_topics())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait([self._checking])
        await self._publisher.close()
        await self._cluster.close()

    async def publish(self, topic: str, records: Sequence[Record], *, deadline_s: float = 5.0) -> None:
        """Return when every record is durable. Raises RecordTooLarge or BusUnavailable."""
        await self._publisher.publish(topic, records, deadline_s=deadline_s)

    async def subscribe(self, topic: str, *, group: str, owner: Owner) -> KafkaSubscription:
        """Join `group` on `topic`. Raises BusUnavailable."""
        subscription = KafkaSubscription(self._settings, self._cluster, topic, group, owner)
        await subscription.join()
        return subscription

    async def ends(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """First offset and one past the last, for every partition. Raises BusUnavailable."""
        return await self._cluster.ends(topic)

    async def committed(self, topic: str, *, group: str) -> Mapping[Partition, tuple[int, str]]:
        """Offset and note last committed by `group`, where there is one. Raises BusUnavailable."""
        leaders = (await self._cluster.leaders([topic])).get(topic, [])
        return await self._cluster.committed(group, [leader.partition for leader in leaders])

    async def read(self, partition: Partition, *, start: int, end: int) -> Sequence[Taken]:
        """Read records [start, end) outside any group; fewer if the log is shorter. Raises BusUnavailable."""
        ends = await self._cluster.ends(partition.topic)
        if partition not in ends:
            raise BusUnavailable(f"{partition} does not exist")
        first, last = ends[partition]
        start, end = max(start, first), min(end, last)
        if start >= end:
            return []
        consumer = lone_consumer(self._settings)
        try:
            async with asyncio.timeout(READ_S):
                await consumer.start()
                return await _read(consumer, named(partition), start, end)
        except (KafkaError, TimeoutError) as error:
            raise BusUnavailable(f"{partition} cannot be read: {error!r}") from error
        finally:
            await stop(consumer)

    async def expire(self, topic: str) -> int | None:
        """See Bus. Kafka deletes by itself."""
        return await retention_ms(self._settings, topic)

    async def probe(self) -> None:
        """Return if Kafka would take a record now, else raise BusUnavailable within 1.5 s."""
        _, oldest_s = self._publisher.in_flight()
        if oldest_s > UNACKNOWLEDGED_S:
            raise BusUnavailable(f"Kafka has not acknowledged a batch for {oldest_s:.1f} s")
        failed_at = self._publisher.failed_at
        if failed_at is not None and time.monotonic() - failed_at < FAILED_S:
            raise BusUnavailable("the last publish failed")
        if self._publisher.keeper.producer is None:
            raise BusUnavailable("there is no connection to Kafka")
        found = await self._cluster.leaders(ALL, answer_s=PROBE_S)
        for topic in ALL:
            if topic not in found:
                raise BusUnavailable(f"topic {topic} does not exist; `penstock topics create` makes it")
            for leader in found[topic]:
                if leader.node is None:
                    raise BusUnavailable(f"{leader.partition} has no leader")
                if leader.in_sync < in_sync_min(self._settings):
                    raise BusUnavailable(f"{leader.partition} has {leader.in_sync} replicas in sync, too few")

    async def _check_topics(self) -> None:
        """Say what is wrong with the topics. On a development machine, make those that are missing first."""
        while True:
            try:
                if is_loopback(self._settings):
                    for sentence in await create_topics(self._settings):
                        log.info("%s", sentence)
                for sentence in await verify_topics(self._settings):
                    log.warning("%s", sentence)
                return
            except BusUnavailable:
                await asyncio.sleep(RETRY_S)


async def _read(consumer: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int) -> list[Taken]:
    consumer.assign([tp])
    consumer.seek(tp, start)
    taken: list[Taken] = []
    while await consumer.position(tp) < end:
        fetched = await consumer.getmany(tp, timeout_ms=200, max_records=end - start)
        taken += as_taken([record for record in fetched.get(tp, []) if record.offset < end])
    return taken
