"""The connection to Kafka broken, or its answers lost, while every request still arrives."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from bus.base import BusUnavailable, Record
from bus.kafka import create_topics
from bus.kafka.bus import KafkaBus
from deploy.dev import kafka as kafka_server
from deploy.dev.server import ServerFailed, free_ports
from schemas.settings import Settings
from schemas.topics import ALL
from tests.chaos.proxy import Proxy
from tests.contract.bus_members import PARTITIONS, all_values, read_all
from tests.live.kafka_load import Load
from tests.live.servers import LiveServer, skip_or_fail


@pytest.fixture(scope="module")
def far_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveServer, int]]:
    """A broker, and the port that it tells its clients to come to."""
    folder = tmp_path_factory.mktemp("far")
    port, controller_port, proxy_port = free_ports(3)
    try:
        broker = LiveServer(
            lambda: kafka_server.prepare(folder, port, controller_port, advertised=proxy_port), folder / "log"
        )
    except ServerFailed as missing:
        skip_or_fail(missing)
    try:
        broker.start()
        yield broker, proxy_port
    finally:
        broker.stop()


@pytest.fixture
async def proxy(far_kafka: tuple[LiveServer, int]) -> AsyncIterator[Proxy]:
    broker, port = far_kafka
    proxy = Proxy("kafka", port, lambda: broker.port)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
def settings(far_kafka: tuple[LiveServer, int]) -> Settings:
    return Settings(bus_url=f"kafka://127.0.0.1:{far_kafka[1]}", bus_partitions=PARTITIONS)


@pytest.fixture
async def topic(settings: Settings, proxy: Proxy) -> str:
    name = f"cut.{uuid4().hex[:12]}"
    await create_topics(settings, (*ALL, name))
    return name


@pytest.fixture
async def bus(settings: Settings, proxy: Proxy) -> AsyncIterator[KafkaBus]:
    async with KafkaBus(settings) as bus:
        yield bus


async def test_a_lost_answer_is_asked_for_again_and_nothing_is_written_twice(
    bus: KafkaBus, proxy: Proxy, topic: str
) -> None:
    await bus.publish(topic, [Record(b"k", b"before")])
    proxy.break_with("drop_replies")
    publish = asyncio.create_task(bus.publish(topic, [Record(b"k", b"once")], deadline_s=20))
    await asyncio.sleep(0.5)  # the broker has it by now
    assert not publish.done()
    proxy.heal()
    await publish
    await bus.publish(topic, [Record(b"k", b"after")])
    assert all_values(await read_all(bus, topic)) == [b"after", b"before", b"once"]
    assert bus._publisher.keeper.replaced == 0


async def test_connections_that_break_under_load_refuse_lose_and_double_nothing(
    bus: KafkaBus, proxy: Proxy, topic: str
) -> None:
    load = Load(bus, topic, deadline_s=20)
    for _ in range(5):
        await load.more_acknowledged(300)
        proxy.break_with("cut")
        await asyncio.sleep(0.1)
        proxy.heal()
        await load.more_acknowledged(300)
        proxy.break_with("drop_replies")
        await asyncio.sleep(0.1)
        proxy.heal()
    await load.more_acknowledged(300)
    await load.stop()
    await load.check()
    assert load.refused == []
    assert bus._publisher.keeper.replaced == 0


async def test_while_answers_are_lost_publishes_fail_in_time_and_none_is_doubled(
    bus: KafkaBus, proxy: Proxy, topic: str
) -> None:
    load = Load(bus, topic, deadline_s=0.5)
    await load.more_acknowledged(300)
    proxy.break_with("drop_replies")
    await load.a_refusal()
    with pytest.raises(BusUnavailable):
        await bus.publish(topic, [Record(b"1|another", b"another:0")], deadline_s=0.5)
    await asyncio.sleep(6)  # longer than a request waits for its answer
    proxy.heal()
    await load.more_acknowledged(1000)
    await load.stop()
    await load.check()
