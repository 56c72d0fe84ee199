"""Random acknowledgements, failures, cancellations and lost producers: what publishing still keeps to."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from aiokafka.errors import RequestTimedOutError
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.base import BusUnavailable, Record
from bus.kafka import keeper
from bus.kafka.publisher import WORTHWHILE_BYTES, Publisher
from tests.unit.bus_kafka.conftest import FakeProducer, Kafka, SentBatch, until

KEYS = [b"k%d" % number for number in range(6)]
BUDGET_BYTES = 400_000


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Without the waits of a real Kafka."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "SETTLE_S", 0.005)
        patch.setattr(keeper, "RETRY_FIRST_S", 0.001)
        patch.setattr(keeper, "LOOK_S", 0.01)
        yield


class Watching(FakeProducer):
    """A producer that tells the run what it was given, and when."""

    def __init__(self, run: "Run") -> None:
        super().__init__()
        self._run = run

    def _take(self, taken: SentBatch) -> None:
        assert not self.discarded, "sent to a producer that was thrown away"
        super()._take(taken)
        self._run.sent(taken)


class Run(Kafka):
    """A publisher, its publishes, and what became of each record; the number in a value names it."""

    def __init__(self) -> None:
        super().__init__()
        self.publisher = Publisher(self.connect, self.discard, bytes_budget=BUDGET_BYTES, sequence_max=60)
        self.tasks: list[asyncio.Task[None]] = []
        self.owner: list[int] = []
        self.clock = count()
        self.begun: list[int] = []
        self.ended: dict[int, int] = {}
        self.records: list[Record] = []
        self.batches: list[SentBatch] = []
        self.numbers: list[int] = []
        self.wrong: list[str] = []

    async def connect(self) -> Any:
        await super().connect()
        producer = Watching(self)
        producer.auto = self.auto
        self.producers[-1] = producer
        return producer

    def publish(self, keys: list[int], size_bytes: int, deadline_s: float) -> None:
        records = []
        for key in keys:
            number = len(self.owner)
            self.owner.append(len(self.tasks))
            records.append(Record(KEYS[key], b"%08d" % number + bytes(size_bytes)))
        self.records += records
        place = len(self.tasks)
        task = asyncio.create_task(self.publisher.publish("t", records, deadline_s=deadline_s))
        task.add_done_callback(lambda _: self.ended.setdefault(place, next(self.clock)))
        self.tasks.append(task)
        self.begun.append(next(self.clock))

    def sent(self, batch: SentBatch) -> None:
        self.batches.append(batch)
        for value in batch.values:
            assert value is not None
            number = int(value[:8])
            self.numbers.append(number)
            if self.tasks[self.owner[number]].done():
                self.wrong.append(f"{number} was sent after its publish had ended")

    def open_batches(self) -> list[SentBatch]:
        return [batch for batch in self.batches if not batch.acknowledged.done()]

    async def finish(self) -> None:
        """Kafka is well again: every publish must end, and nothing may be left over."""
        self.down, self.auto = False, True
        for producer in self.producers:
            producer.auto = True
        async with asyncio.timeout(10):
            while any(not task.done() for task in self.tasks) or self.open_batches():
                for batch in self.open_batches():
                    batch.acknowledged.set_result(None)
                await asyncio.sleep(0.001)
        await until(lambda: self.publisher.held_bytes == 0)
        await self.publisher.close()
        assert all(producer.discarded for producer in self.producers)

    def _check_order(self, numbers: list[int]) -> None:
        """Records of one key keep their order, but for those of publishes that ran at the same time."""
        for place, later in enumerate(numbers):
            for earlier in numbers[place + 1 :]:
                if earlier < later:
                    first, second = self.owner[earlier], self.owner[later]
                    assert first != second, f"{later} went before {earlier}"
                    assert self.begun[second] < self.ended[first], f"{later} went before {earlier}"

    def check(self) -> None:
        assert self.wrong == []
        assert len(set(self.numbers)) == len(self.numbers), "a record was sent twice"
        for key in KEYS:
            self._check_order([number for number in self.numbers if self.records[number].key == key])
        durable = {
            int(value[:8])
            for batch in self.batches
            if not batch.acknowledged.cancelled() and batch.acknowledged.exception() is None
            for value in batch.values
            if value is not None
        }
        for number, owner in enumerate(self.owner):
            task = self.tasks[owner]
            if task.cancelled() or task.exception() is not None:
                assert task.cancelled() or isinstance(task.exception(), BusUnavailable)
            else:
                assert number in durable, f"{number} was reported durable and is not"
        lanes = self.publisher._lanes.values()
        assert [lane.waiting_bytes for lane in lanes] == [0] * len(lanes)
        assert self.publisher.in_flight() == (0, 0.0)


numbers = st.integers(0, 99)
steps = st.one_of(
    st.tuples(
        st.just("publish"),
        st.lists(st.integers(0, len(KEYS) - 1), min_size=1, max_size=6),
        st.sampled_from([10, 1000, WORTHWHILE_BYTES // 2]),
        st.sampled_from([0.003, 0.02, 60.0]),
    ),
    st.tuples(st.sampled_from(["ack", "ack", "ack", "fail", "cancel"]), numbers),
    st.tuples(st.sampled_from(["distrust", "break", "down", "up", "turn", "rest"])),
)


async def take(run: Run, step: tuple[Any, ...]) -> None:
    """Let one thing happen."""
    match step:
        case ("publish", keys, size_bytes, deadline_s):
            run.publish(keys, size_bytes, deadline_s)
        case ("cancel", which) if run.tasks:
            run.tasks[which % len(run.tasks)].cancel()
        case (("ack" | "fail") as what, which) if found := run.open_batches():
            acknowledged = found[which % len(found)].acknowledged
            if what == "ack":
                acknowledged.set_result(None)
            else:
                acknowledged.set_exception(RequestTimedOutError())
        case ("distrust",) if (producer := run.publisher.keeper.producer) is not None:
            run.publisher.keeper.distrust(producer, "the test says so")
        case ("break",) if run.producers:
            run.producer.broken = ZeroDivisionError("a bug")
        case ("down",):
            run.down = True
        case ("up",):
            run.down = False
        case ("rest",):
            await asyncio.sleep(0.006)  # longer than the pace, and than the shortest deadline
        case _:
            await asyncio.sleep(0)


@given(plan=st.lists(steps, max_size=60))
@settings(max_examples=150, deadline=None)
async def test_whatever_happens_nothing_is_sent_twice_or_late_and_every_byte_comes_back(
    plan: list[tuple[Any, ...]],
) -> None:
    run = Run()
    run.publisher.start()
    for step in plan:
        await take(run, step)
    await run.finish()
    run.check()


@given(plan=st.lists(steps, max_size=30))
@settings(max_examples=50, deadline=None)
async def test_closed_at_any_moment_every_publish_ends(plan: list[tuple[Any, ...]]) -> None:
    run = Run()
    run.publisher.start()
    for step in plan:
        await take(run, (*step[:3], 0.02) if step[0] == "publish" else step)
    await run.publisher.close()
    async with asyncio.timeout(10):
        await asyncio.gather(*run.tasks, return_exceptions=True)
        await until(lambda: run.publisher.held_bytes == 0)
    run.check()
    assert all(producer.discarded for producer in run.producers)


async def test_what_waits_for_the_pace_is_sent_by_the_next_producer() -> None:
    run = Run()
    run.auto = True
    run.publisher.start()
    run.publish([0], 10, 60.0)
    await run.tasks[0]
    run.publish([1, 2], 10, 60.0)  # within the pace of the first
    await until(lambda: run.publisher.held_bytes > 0)
    first = run.publisher.keeper.producer
    assert first is not None
    run.publisher.keeper.distrust(first, "the test says so")
    await run.tasks[1]
    assert len(run.producers) == 2
    assert sorted(run.numbers) == [0, 1, 2]
    await run.finish()
    run.check()
