"""Group commit: what shares a batch, what fails together, and what is never sent."""

import asyncio

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.base import RECORD_BYTES_MAX, BusUnavailable, Record, RecordTooLarge
from bus.kafka.lanes import BATCH_BYTES_MAX
from bus.kafka.pace import Pace
from bus.kafka.publisher import WORTHWHILE_BYTES, Publisher
from bus.partitioner import partition_of
from tests.unit.bus_kafka.conftest import PARTITIONS, Kafka, until

KEYS = {
    index: next(b"k%d" % i for i in range(99) if partition_of(b"k%d" % i, PARTITIONS) == index)
    for index in range(PARTITIONS)
}


def start(
    publisher: Publisher, *values: bytes, partition: int = 0, deadline_s: float = 5.0
) -> asyncio.Task[None]:
    records = [Record(KEYS[partition], value) for value in values]
    return asyncio.create_task(publisher.publish("t", records, deadline_s=deadline_s))


async def test_publishes_of_one_moment_share_a_batch(fake: Kafka, publisher: Publisher) -> None:
    tasks = [start(publisher, b"%d" % i) for i in range(10)]
    await until(lambda: fake.producers and fake.producer.sent)
    assert fake.producer.sent[0].values == [b"%d" % i for i in range(10)]
    fake.producer.sent[0].acknowledged.set_result(None)
    await asyncio.gather(*tasks)
    assert publisher.held_bytes == 0


async def test_the_next_batch_holds_all_that_waited_for_the_last(fake: Kafka, publisher: Publisher) -> None:
    first = start(publisher, b"a")
    await until(lambda: fake.producers and fake.producer.sent)
    later = [start(publisher, b"b%d" % i, b"c%d" % i) for i in range(3)]
    other = start(publisher, b"o", partition=1)
    await until(lambda: len(fake.producer.sent) == 2)
    assert fake.producer.sent[1].values == [b"o"]
    fake.producer.sent[0].acknowledged.set_result(None)
    await first
    await until(lambda: len(fake.producer.sent) == 3)
    assert fake.producer.sent[2].values == [b"b0", b"c0", b"b1", b"c1", b"b2", b"c2"]
    for batch in fake.producer.sent[1:]:
        batch.acknowledged.set_result(None)
    await asyncio.gather(other, *later)


async def test_a_little_waits_for_its_turn_and_enough_takes_all_of_it_along(
    fake: Kafka, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here no second turn comes. What waits counts together, and no more once it was withdrawn."""
    monkeypatch.setattr(publisher, "_pace", Pace(publisher._send_all, every_s=3600))
    await until(lambda: fake.producers)
    fake.producer.auto = True
    await start(publisher, b"the first one goes at once")
    quarter = b"x" * (WORTHWHILE_BYTES // 4)
    gone = [start(publisher, quarter) for _ in range(3)]
    await asyncio.sleep(0.02)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    assert publisher.held_bytes == 0
    waiting = [start(publisher, quarter) for _ in range(3)]
    other = start(publisher, b"little", partition=1)
    await asyncio.sleep(0.02)
    assert len(fake.producer.sent) == 1
    await asyncio.gather(start(publisher, quarter), *waiting)
    assert [(batch.partition, batch.count) for batch in fake.producer.sent] == [(0, 1), (0, 4), (1, 1)]
    await other


async def test_what_waits_for_a_broker_with_a_request_can_be_withdrawn_and_goes_when_it_has_answered(
    fake: Kafka, publisher: Publisher
) -> None:
    await until(lambda: fake.producers)
    first = start(publisher, b"first")
    await until(lambda: fake.producer.sent)
    fake.producer.busy = {1}
    gone = start(publisher, b"gone", partition=1)
    waiting = [start(publisher, b"small", partition=1)]
    await asyncio.sleep(0.02)
    waiting.append(start(publisher, b"x" * WORTHWHILE_BYTES, partition=1))
    await asyncio.sleep(0.02)
    assert len(fake.producer.sent) == 1
    gone.cancel()
    fake.producer.busy = set()
    fake.producer.auto = True
    fake.producer.sent[0].acknowledged.set_result(None)
    await asyncio.gather(first, *waiting)
    assert [batch.count for batch in fake.producer.sent] == [1, 2]
    assert fake.producer.sent[1].values[0] == b"small"


async def test_a_publish_returns_when_its_last_partition_has_it(fake: Kafka, publisher: Publisher) -> None:
    task = asyncio.create_task(
        publisher.publish("t", [Record(KEYS[0], b"x"), Record(KEYS[1], b"y")], deadline_s=5)
    )
    await until(lambda: fake.producers and len(fake.producer.sent) == 2)
    fake.producer.sent[0].acknowledged.set_result(None)
    await asyncio.sleep(0.01)
    assert not task.done()
    fake.producer.sent[1].acknowledged.set_result(None)
    await task


async def test_a_failed_batch_fails_its_publishes_and_the_producer(fake: Kafka, publisher: Publisher) -> None:
    bad = [start(publisher, b"x"), start(publisher, b"y")]
    good = start(publisher, b"z", partition=1)
    await until(lambda: fake.producers and len(fake.producer.sent) == 2)
    waiting = start(publisher, b"w")
    await asyncio.sleep(0)
    fake.producer.sent[0].acknowledged.set_exception(MessageSizeTooLargeError())
    for task in bad:
        with pytest.raises(BusUnavailable, match="MessageSizeTooLarge"):
            await task
    fake.producer.sent[1].acknowledged.set_result(None)
    await good
    await until(lambda: len(fake.producers) == 2 and fake.producer.sent)
    assert fake.producers[0].discarded
    assert [batch.values for batch in fake.producer.sent] == [[b"w"]]
    fake.producer.sent[0].acknowledged.set_result(None)
    await waiting


async def test_an_unexpected_error_is_an_unknown_outcome(fake: Kafka, publisher: Publisher) -> None:
    await until(lambda: fake.producers)
    fake.producer.broken = ZeroDivisionError("a bug")
    with pytest.raises(BusUnavailable, match="a bug"):
        await start(publisher, b"x")
    assert publisher.held_bytes == 0


async def test_what_waited_too_long_is_withdrawn(fake: Kafka, publisher: Publisher) -> None:
    first = start(publisher, b"a")
    await until(lambda: fake.producers and fake.producer.sent)
    held_bytes = publisher.held_bytes
    with pytest.raises(BusUnavailable):
        await start(publisher, b"late", deadline_s=0.01)
    assert publisher.held_bytes == held_bytes
    after = start(publisher, b"b")
    await asyncio.sleep(0)
    fake.producer.sent[0].acknowledged.set_result(None)
    await until(lambda: len(fake.producer.sent) == 2)
    fake.producer.sent[1].acknowledged.set_result(None)
    await asyncio.gather(first, after)
    assert fake.producer.sent[1].values == [b"b"]


async def test_a_caller_that_goes_away_takes_its_records_back(fake: Kafka, publisher: Publisher) -> None:
    first = start(publisher, b"a")
    await until(lambda: fake.producers and fake.producer.sent)
    gone = start(publisher, b"gone")
    await asyncio.sleep(0)
    gone.cancel()
    fake.producer.sent[0].acknowledged.set_result(None)
    await asyncio.gather(first, gone, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert len(fake.producer.sent) == 1
    assert publisher.held_bytes == 0


async def test_bytes_are_given_back_with_the_batch_and_not_at_the_deadline(
    fake: Kafka, publisher: Publisher
) -> None:
    big = b"x" * 350_000
    with pytest.raises(BusUnavailable, match="in time"):
        await start(publisher, big, deadline_s=0.05)
    assert publisher.held_bytes > len(big)
    waiting = start(publisher, big)
    with pytest.raises(BusUnavailable, match="on their way"):
        await start(publisher, big, big)
    fake.producer.sent[0].acknowledged.set_result(None)
    await until(lambda: len(fake.producer.sent) == 2)
    fake.producer.sent[1].acknowledged.set_result(None)
    await waiting
    assert publisher.held_bytes == 0


async def test_one_record_too_large_queues_nothing(fake: Kafka, publisher: Publisher) -> None:
    with pytest.raises(RecordTooLarge):
        await start(publisher, b"x", b"y" * RECORD_BYTES_MAX)
    await asyncio.sleep(0.01)
    assert publisher.held_bytes == 0
    assert not fake.producer.sent


async def test_without_kafka_a_publish_waits_for_its_deadline(fake: Kafka) -> None:
    fake.down = True
    publisher = Publisher(fake.connect, fake.discard, bytes_budget=2**20)
    publisher.start()
    with pytest.raises(BusUnavailable):
        await start(publisher, b"x", deadline_s=0.05)
    fake.down = False
    fake.auto = True
    await start(publisher, b"y")
    assert [batch.values for batch in fake.producer.sent] == [[b"y"]]
    await publisher.close()


async def test_a_producer_is_replaced_before_its_counter_runs_out(fake: Kafka) -> None:
    fake.auto = True
    publisher = Publisher(fake.connect, fake.discard, bytes_budget=2**20, sequence_max=100)
    publisher.start()
    for i in range(30):
        await start(publisher, *(b"%d" % (i * 10 + j) for j in range(10)))
    await publisher.close()
    assert publisher.keeper.replaced == 2
    sent = [value for producer in fake.producers for batch in producer.sent for value in batch.values]
    assert sent == [b"%d" % i for i in range(300)]
    assert all(sum(batch.count for batch in producer.sent) <= 110 for producer in fake.producers)


async def test_a_stuck_batch_is_given_up(fake: Kafka) -> None:
    publisher = Publisher(fake.connect, fake.discard, bytes_budget=2**20, stuck_s=0.2)
    publisher.start()
    with pytest.raises(BusUnavailable, match="replaced"):
        await start(publisher, b"x")
    assert publisher.held_bytes == 0
    fake.auto = True
    await until(lambda: len(fake.producers) == 2)
    fake.producer.auto = True
    await start(publisher, b"y")
    await publisher.close()


sizes = st.lists(st.lists(st.integers(0, 200_000), max_size=8), max_size=6)


@given(publishes=sizes, headers=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
async def test_batches_are_never_too_large_and_keep_the_order(
    publishes: list[list[int]], headers: int
) -> None:
    fake = Kafka()
    fake.auto = True
    publisher = Publisher(fake.connect, fake.discard, bytes_budget=2**30)
    publisher.start()
    number = 0
    tasks = []
    for publish in publishes:
        records = []
        for size in publish:
            records.append(Record(b"k", b"%08d" % number + b"x" * size, (("header", b"content"),) * headers))
            number += 1
        tasks.append(asyncio.create_task(publisher.publish("t", records, deadline_s=5)))
    await asyncio.gather(*tasks)
    await publisher.close()
    sent = [batch for producer in fake.producers for batch in producer.sent]
    assert [int(value[:8]) for batch in sent for value in batch.values if value] == list(range(number))
    assert all(batch.size_bytes <= BATCH_BYTES_MAX for batch in sent)
