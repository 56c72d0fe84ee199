"""When a partition rests, and when it goes on."""

import asyncio

import pytest

from bus.base import Record, Taken
from schemas.topics import RAW, Partition
from tests.unit.workers.running import System, events_only
from workers import breaker
from workers.breaker import DEAD_MAX, TRIAL_EVENTS, WINDOW_EVENTS, Breaker, Breakers
from workers.partitions import Limits


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_fewer_dead_never_stop_a_partition() -> None:
    closed = Breaker()
    for _ in range(1000):
        assert not closed.record(1000, DEAD_MAX // 10 - 1)
    assert closed.may_take() is None


def test_500_dead_among_the_last_10000_open_it() -> None:
    opened = Breaker()
    for _ in range(4):
        assert not opened.record(2000, 100)
    assert opened.room == 100
    assert opened.record(2000, 100)
    assert opened.may_take() == 0


def test_old_ranges_leave_the_window() -> None:
    closed = Breaker()
    closed.record(1000, DEAD_MAX - 1)
    closed.record(WINDOW_EVENTS, 0)
    assert not closed.record(1000, DEAD_MAX - 1)


def test_while_it_is_open_one_small_trial_passes_a_minute() -> None:
    clock = Clock()
    opened = Breaker(clock)
    opened.record(1000, DEAD_MAX)
    clock.now = 61
    assert opened.may_take() == TRIAL_EVENTS == opened.room
    opened.begin_trial()
    assert opened.may_take() == 0
    opened.record(TRIAL_EVENTS, TRIAL_EVENTS)
    clock.now = 100
    assert opened.may_take() == 0
    clock.now = 130
    opened.begin_trial()
    opened.record(TRIAL_EVENTS, 3)
    assert opened.may_take() is None


def test_an_operator_lifts_all() -> None:
    breakers = Breakers()
    first = breakers.of(Partition(RAW, 0))
    first.record(1000, DEAD_MAX)
    breakers.of(Partition(RAW, 1))
    assert breakers.resting() == [Partition(RAW, 0)]
    assert breakers.lift() == [Partition(RAW, 0)]
    assert breakers.resting() == []
    assert first.room == DEAD_MAX


async def test_a_bad_deploy_buries_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "DEAD_MAX", 20)
    monkeypatch.setattr(breaker, "TRIAL_EVENTS", 20)
    system = System()
    system.log.partitions = 1
    pipeline = events_only(limits=Limits(records_max=100, bytes_max=2**20, wait_ms=1))
    await system.publish(0)
    await system.drain(pipeline)  # the first range is small
    await system.bus.publish(RAW, [Record(b"k", b"no envelope")] * 300)
    await system.publish(*range(1, 50))
    stop = asyncio.Event()
    worker = system.worker(pipeline, stop=stop)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.2)
    assert len(system.dead()) == 20
    assert not system.complete()
    worker._partitions.breakers.lift()
    await asyncio.sleep(0.1)
    assert len(system.dead()) == 40
    while not system.complete():
        worker._partitions.breakers.lift()
        await asyncio.sleep(0.005)
    stop.set()
    await running
    assert len(system.dead()) == 300
    system.check_books()


async def test_an_open_breaker_leaves_the_other_partitions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "DEAD_MAX", 5)
    system = System()
    await system.publish(*range(100))
    bad, good = system.log.topic(RAW)
    assert len(bad) != 0 != len(good)
    bad[:] = [Taken(n, b"k", b"no envelope") for n in range(20)]
    stop = asyncio.Event()
    running = asyncio.create_task(system.worker(stop=stop).run())
    await asyncio.sleep(0.1)
    assert len(system.dead()) == 5
    assert len(system.warehouse.ids()) == len(good)
    stop.set()
    await running
