"""Kafka killed, frozen, absent or unwilling, while the bus is in use."""

import asyncio
import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bus.base import BusUnavailable, LogChanged, Record
from bus.kafka import create_topics
from bus.kafka.bus import KafkaBus
from bus.kafka.connection import arguments
from bus.kafka.subscription import KafkaSubscription
from schemas.settings import Settings
from schemas.topics import ALL
from tests.contract.bus_members import PARTITIONS, PATIENCE_S, Member, all_values, drain, read_all, records
from tests.live.kafka_load import Load
from tests.live.servers import LiveServer


@pytest.fixture
def settings(kafka: LiveServer) -> Settings:
    return Settings(bus_url=kafka.url, bus_partitions=PARTITIONS)


@pytest.fixture
async def topic(settings: Settings) -> str:
    name = f"faults.{uuid4().hex[:12]}"
    await create_topics(settings, (*ALL, name))
    return name


@pytest.fixture
async def bus(settings: Settings) -> AsyncIterator[KafkaBus]:
    async with KafkaBus(settings) as bus:
        yield bus


async def publish_at_last(bus: KafkaBus, topic: str, sent: list[Record]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await bus.probe()
                break
            except BusUnavailable:
                await asyncio.sleep(0.1)
    await bus.publish(topic, sent)


async def test_a_killed_broker_loses_and_doubles_nothing(
    kafka: LiveServer, settings: Settings, bus: KafkaBus, topic: str
) -> None:
    subscription = await bus.subscribe(topic, group=topic, owner=Member())
    load = Load(bus, topic)
    await load.more_acknowledged(2000)
    taken = sum(map(len, (await drain(subscription, 1000)).values()))
    kafka.kill()
    try:
        await load.a_refusal()
        async with KafkaBus(settings) as late:
            await refused_while_kafka_is_away(late, topic)
            await kafka.come_back()
            await publish_at_last(late, topic, [Record(b"late", b"late:0")])
    finally:
        kafka.start()
    await load.more_acknowledged(2000)
    await load.stop()
    await load.check()
    taken += await take_the_rest(subscription)
    assert taken == sum(end for _, end in (await bus.ends(topic)).values())
    await subscription.close()


async def refused_while_kafka_is_away(bus: KafkaBus, topic: str) -> None:
    """A process that starts without Kafka lives, and says what it cannot do."""
    for call in (
        bus.publish(topic, records(1), deadline_s=0.5),
        bus.probe(),
        bus.subscribe(topic, group="g", owner=Member()),
    ):
        with pytest.raises(BusUnavailable):
            await call


async def take_the_rest(subscription: KafkaSubscription) -> int:
    """Return how many records a member still gets, after the broker went and came."""
    count = 0
    async with asyncio.timeout(PATIENCE_S):
        while any((await subscription.lag()).values()):
            batches = await subscription.take(records_max=1000, bytes_max=2**20, wait_ms=200)
            count += sum(len(batch.records) for batch in batches)
    return count


async def test_a_frozen_broker_is_refused_in_time_and_doubles_nothing(
    kafka: LiveServer, bus: KafkaBus, topic: str
) -> None:
    load = Load(bus, topic, deadline_s=1)
    await load.more_acknowledged(2000)
    kafka.freeze()
    try:
        await load.a_refusal()
        with pytest.raises(BusUnavailable):
            await bus.probe()
        await asyncio.sleep(8)  # longer than aiokafka waits for an answer: it sends the batch again
    finally:
        kafka.thaw()
    await load.more_acknowledged(2000)
    await load.stop()
    await load.check()


async def test_what_waited_past_its_deadline_is_never_sent(
    kafka: LiveServer, bus: KafkaBus, topic: str
) -> None:
    await bus.publish(topic, [Record(b"k", b"before")])
    kafka.freeze()
    try:
        first = asyncio.create_task(bus.publish(topic, [Record(b"k", b"sent")], deadline_s=1))
        await asyncio.sleep(0.1)
        with pytest.raises(BusUnavailable):
            await bus.publish(topic, [Record(b"k", b"waited")], deadline_s=0.3)
        with pytest.raises(BusUnavailable):
            await first
    finally:
        kafka.thaw()
    await publish_at_last(bus, topic, [Record(b"k", b"after")])
    values = all_values(await read_all(bus, topic))
    assert b"waited" not in values
    assert {b"before", b"after"} <= set(values)


async def test_a_refused_record_fails_its_own_publish_and_the_bus_recovers(
    settings: Settings, bus: KafkaBus, topic: str
) -> None:
    narrow = f"narrow.{uuid4().hex[:12]}"
    admin = AIOKafkaAdminClient(**arguments(settings))
    await admin.start()
    await admin.create_topics([NewTopic(narrow, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    await admin.close()
    await bus.publish(narrow, [Record(b"k", b"small")])
    refused, accepted = await asyncio.gather(
        bus.publish(narrow, [Record(b"k", os.urandom(10_000))]),
        bus.publish(topic, records(100)),
        return_exceptions=True,
    )
    assert isinstance(refused, BusUnavailable)
    assert accepted is None
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await bus.publish(narrow, [Record(b"k", b"again")])
                break
            except BusUnavailable:
                await asyncio.sleep(0.1)
    values = all_values(await read_all(bus, narrow))
    assert values == [b"again", b"small"]
    assert len(all_values(await read_all(bus, topic))) == 100


async def test_a_topic_made_anew_is_not_read_on(settings: Settings, bus: KafkaBus, topic: str) -> None:
    await bus.publish(topic, records(400))
    subscription = await bus.subscribe(topic, group=topic, owner=Member())
    await drain(subscription, 400)
    admin = AIOKafkaAdminClient(**arguments(settings))
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()
    await asyncio.sleep(0.5)
    await create_topics(settings, (topic,))
    with pytest.raises(LogChanged):
        await take_until_refused(subscription)
    await subscription.close()


async def take_until_refused(subscription: KafkaSubscription) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await subscription.take(records_max=10, bytes_max=1000, wait_ms=500)
            # aiokafka would look at the topics once a minute.
            subscription._consumer._client.force_metadata_update()
