"""Who may write: a replaced worker writes no more, and what moves on is finished or left to be verified."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from prometheus_client import REGISTRY

from bus.base import Batch, LogChanged, Taken
from bus.memory import MemoryBus, MemoryLog
from schemas.topics import RAW, Partition
from tests.unit.workers.recorder import Recorder
from tests.unit.workers.running import System, claim, event_id, events_only, make_worker
from workers.breaker import Breaker
from workers.gauges import Gauges
from workers.intent import Intent, Note
from workers.lane import Lane
from workers.resume import Start

GROUP = "penstock-events"


def lane(start: Start | None = None) -> Lane:
    return Lane(claim(log_end=100), start or Start(0), Breaker())


def batch(*offsets: int) -> Batch:
    return Batch(claim(), [Taken(offset, b"", b"value") for offset in offsets])


def test_offsets_follow_each_other() -> None:
    one = lane()
    one.add(batch(0, 1, 2))
    with pytest.raises(LogChanged, match="offset 3 should come next, 4 came"):
        one.add(batch(4))


def test_a_batch_is_cut_and_its_end_put_back() -> None:
    one = lane()
    one.add(batch(*range(10)))
    first = one.cut(6)
    assert first is not None
    assert (first.start, first.end) == (0, 6)
    one.put_back(first.records[4:])
    second = one.cut(100)
    assert second is not None
    assert (second.start, second.end) == (4, 10)
    assert not one.has_backlog
    assert one.cut(100) is None


async def test_a_worker_that_was_replaced_writes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.partitions.CONFIRMED_S", 0.02)
    monkeypatch.setattr("workers.partitions.CONFIRM_EVERY_S", 0.01)
    system = System(log=MemoryLog(partitions=1, inc=1))
    system.warehouse.faults.extend(["before"] * 1000)
    await system.publish(*range(30))
    bus = MemoryBus(system.log)
    stop = asyncio.Event()
    first = asyncio.create_task(
        make_worker(events_only(), bus=bus, warehouse=system.warehouse, stop=stop).run()
    )
    while len(system.warehouse.inserts) < 3:
        await asyncio.sleep(0.001)
    # It hears nothing of losing its place, as if it had been frozen.
    (subscription,) = bus._subscriptions
    subscription._tending.cancel()
    group = system.log.group(RAW, GROUP)
    group.members.remove(subscription)
    group.owners.clear()
    await asyncio.sleep(0.05)
    system.warehouse.faults.clear()
    written = len(system.warehouse.inserts)
    await asyncio.sleep(0.1)
    assert len(system.warehouse.inserts) == written
    await system.drain()
    stop.set()
    await first
    assert sorted(system.warehouse.ids()) == [event_id(n) for n in range(30)]
    system.check_books()


async def test_what_is_being_written_when_the_partition_moves_is_complete() -> None:
    class Slow(Recorder):
        async def insert(self, table: str, columns: Mapping[str, Any], *, token: str, query_id: str) -> None:
            await asyncio.sleep(0.05)
            await super().insert(table, columns, token=token, query_id=query_id)

    system = System(log=MemoryLog(partitions=1, inc=1), warehouse=Slow())
    await system.publish(*range(10))
    bus = MemoryBus(system.log)
    running = asyncio.create_task(
        make_worker(events_only(), bus=bus, warehouse=system.warehouse, stop=asyncio.Event()).run()
    )
    while Note.parse(system.log.group(RAW, GROUP).offsets.get(0, (0, "v1;inc=1"))[1]).intent is None:
        await asyncio.sleep(0.001)
    (subscription,) = bus._subscriptions
    await subscription.close()  # revokes, as a rebalance does
    assert system.complete()
    assert len(system.warehouse.ids()) == 10
    running.cancel()


async def test_a_range_that_takes_too_long_is_left_to_the_next_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.partitions.REVOKE_S", 0.02)
    system = System(log=MemoryLog(partitions=1, inc=1))
    system.warehouse.faults.extend(["half", *["before"] * 1000])  # type: ignore[list-item]
    await system.publish(*range(10))
    bus = MemoryBus(system.log)
    running = asyncio.create_task(
        make_worker(events_only(), bus=bus, warehouse=system.warehouse, stop=asyncio.Event()).run()
    )
    while not system.warehouse.ids():
        await asyncio.sleep(0.001)
    (subscription,) = bus._subscriptions
    await subscription.close()
    assert not system.complete()
    running.cancel()
    system.warehouse.faults.clear()
    await system.drain()
    system.check_books()


def test_what_was_taken_is_in_hand_until_it_is_complete() -> None:
    taken = lane(Start(4))
    assert taken.in_hand == 0
    taken.add(batch(4, 5, 6))
    assert taken.in_hand == 3
    taken.cut(2)
    assert taken.in_hand == 3
    # A range that an earlier owner left open is in hand as well: it has to be verified.
    assert lane(Start(4, intent=Intent(end=9, received_from=0, received_to=0, token="q"))).in_hand == 5


class Hand(NamedTuple):
    """What is in hand of one partition."""

    in_hand: int = 0


class Lagging:
    """A subscription of which only the lag is asked."""

    def __init__(self, **lag: int) -> None:
        self._lag = {Partition("a_topic", int(index[1:])): records for index, records in lag.items()}

    async def lag(self) -> Mapping[Partition, int]:
        return self._lag


async def test_lag_is_shown_for_what_is_owned_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.gauges.EVERY_S", 0.0)

    def shown(index: int) -> float | None:
        labels = {"topic": "a_topic", "partition": str(index)}
        return REGISTRY.get_sample_value("penstock_worker_lag_records", labels)

    gauges = Gauges("a_topic")
    first, second = Partition("a_topic", 0), Partition("a_topic", 1)
    both = {first: Hand(), second: Hand(in_hand=500)}
    await gauges.show(Lagging(p0=7, p1=9), both, [second])  # type: ignore[arg-type]
    assert (shown(0), shown(1)) == (7, 509)
    await gauges.show(Lagging(p1=3), {second: Hand()}, [])  # type: ignore[arg-type]
    assert (shown(0), shown(1)) == (None, 3)
