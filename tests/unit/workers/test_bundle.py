"""Ranges share their inserts, and none of them loses or doubles a row by it."""

import asyncio
from collections import deque

import pytest

from bus.base import Batch, Claim, Fenced, Taken
from schemas.rows import BATCHES, EVENTS
from schemas.topics import RAW, Partition
from stores.base import InsertRefused, StoreUnavailable
from tests.unit.workers.recorder import Recorder
from tests.unit.workers.running import RECEIVED_AT, System, envelope, event_id, events_only
from workers import bundle as bundling
from workers.breaker import Breaker
from workers.bundle import Bundle, bundle_up, bundles
from workers.inserts import Inserts, Part
from workers.judging import decode, rows
from workers.ranges import Range
from workers.recovery import Written
from workers.sink import Sink


def range_of(kp: int, *numbers: int, token: str = "", resumed: bool = False) -> Range:
    """Offsets 0 to n of partition `kp`, which hold these events."""
    claim = Claim(Partition(RAW, kp), 1, 1, None, "", 0, len(numbers))
    batch = Batch(claim, [Taken(at, b"k", envelope(n)) for at, n in enumerate(numbers)])
    judged = decode(batch, events_only().read, {})
    return Range(
        claim=claim,
        start=0,
        end=len(numbers),
        table=EVENTS,
        stored=rows(judged, events_only().row),
        times=(RECEIVED_AT, RECEIVED_AT + 1_000),
        resumed=resumed,
        token=token,
        last_digest="",
    )


async def always() -> None:
    """Nobody else owns the partition."""


async def never() -> None:
    raise Fenced("another owner")


def sink(system: System) -> Sink:
    return Sink(
        warehouse=system.warehouse,
        inserts=Inserts(system.warehouse),
        bus=system.bus,
        written=Written(system.warehouse, EVENTS, outcomes=True),
        pipeline="events",
        worker="test",
    )


def made(warehouse: Recorder, *members: int) -> Bundle:
    written = Written(warehouse, EVENTS, outcomes=True)
    return Bundle("t", [Partition(RAW, kp) for kp in members], Inserts(warehouse), written)


def part(range_: Range, confirm=always) -> Part:  # type: ignore[no-untyped-def]
    return Part(range_, range_.stored, confirm)


async def test_ranges_of_one_round_share_one_insert_a_table() -> None:
    system = System()
    await system.publish(*range(40))
    await system.drain()
    assert {row.kp for row in system.warehouse.rows[EVENTS]} == {0, 1}
    sizes = [(table, rows) for table, _, rows in system.warehouse.inserts]
    assert sizes == [(EVENTS, 40), (BATCHES, 2)]
    system.check_books()


async def test_one_that_is_slow_is_waited_for_and_one_that_leaves_is_not() -> None:
    warehouse = Recorder()
    bundle = made(warehouse, 0, 1)
    first = asyncio.create_task(bundle.insert(EVENTS, part(range_of(0, 1, 2))))
    await asyncio.sleep(0.02)
    assert warehouse.inserts == []
    bundle.leave(Partition(RAW, 1))
    await first
    assert warehouse.ids() == [event_id(1), event_id(2)]


async def test_a_range_with_another_owner_is_left_out_and_told_so() -> None:
    warehouse = Recorder()
    bundle = made(warehouse, 0, 1)
    lost, kept = await asyncio.gather(
        bundle.insert(EVENTS, part(range_of(0, 1), never)),
        bundle.insert(EVENTS, part(range_of(1, 2))),
        return_exceptions=True,
    )
    assert isinstance(lost, Fenced)
    assert kept is None
    assert warehouse.ids() == [event_id(2)]


async def test_a_range_that_is_given_up_while_it_waits_does_not_end_the_insert_of_the_others() -> None:
    class Slow(Recorder):
        async def insert(self, *args, **named) -> None:  # type: ignore[no-untyped-def]
            await asyncio.sleep(0.02)
            await super().insert(*args, **named)

    warehouse = Slow()
    bundle = made(warehouse, 0, 1)
    kept = asyncio.create_task(bundle.insert(EVENTS, part(range_of(0, 1))))
    given_up = asyncio.create_task(bundle.insert(EVENTS, part(range_of(1, 2))))
    await asyncio.sleep(0.01)
    given_up.cancel()
    await kept
    assert warehouse.ids() == [event_id(1), event_id(2)]


@pytest.mark.parametrize("error", [InsertRefused("row"), StoreUnavailable("down")])
async def test_what_goes_wrong_is_told_to_each(error: Exception) -> None:
    class Failing(Recorder):
        async def insert(self, *args, **named) -> None:  # type: ignore[no-untyped-def]
            raise error

    bundle = made(Failing(), 0, 1)
    found = await asyncio.gather(
        bundle.insert(EVENTS, part(range_of(0, 1))),
        bundle.insert(EVENTS, part(range_of(1, 2))),
        return_exceptions=True,
    )
    assert list(found) == [error, error]


async def test_a_shared_block_that_arrives_after_its_successors_have_stored_changes_nothing() -> None:
    # The owner of both partitions froze between its last confirmation and the insert. Each partition has a
    # new owner, which met the intent and stored its range; then the block arrives.
    system = System()
    late = [range_of(0, 1, 2, token="t"), range_of(1, 3, 4, token="t")]
    for kp, numbers in ((0, (1, 2)), (1, (3, 4))):
        range_ = range_of(kp, *numbers, token="t", resumed=True)
        await sink(system).store(range_, Breaker(), always)
    await Inserts(system.warehouse).insert(EVENTS, [part(range_) for range_ in late], "t")
    assert sorted(system.warehouse.ids()) == [event_id(n) for n in (1, 2, 3, 4)]


async def test_after_a_failed_bundle_each_range_mends_its_own_rows() -> None:
    system = System()
    system.warehouse.faults = deque(["half"])  # of the shared block
    await system.publish(*range(40))
    await system.drain()
    sizes = [rows for table, _, rows in system.warehouse.inserts if table == EVENTS]
    assert sizes[0] == 40
    assert all(size <= 20 for size in sizes[1:])
    system.check_books()


def test_ranges_share_a_token_up_to_a_full_block(monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = [range_of(kp, *range(kp * 10, kp * 10 + 4)) for kp in range(4)]
    size_bytes = sum(map(len, ranges[0].stored.values()))
    monkeypatch.setattr(bundling, "BYTES_MAX", int(size_bytes * 2.5))
    bundle_up(ranges)
    tokens = [range_.token for range_ in ranges]
    assert tokens[0] == tokens[1] != tokens[2] == tokens[3]
    assert len(bundles(ranges, Inserts(Recorder()), Written(Recorder(), EVENTS, outcomes=True))) == 2


def test_what_a_former_owner_declared_keeps_its_token_and_goes_alone() -> None:
    fresh, resumed, empty = range_of(0, 1), range_of(1, 2, token="former", resumed=True), range_of(2)
    bundle_up([empty, resumed, fresh])
    assert resumed.token == "former"
    assert empty.token  # it has a row of `batches`, which no other range's may be taken for
    together = bundles(
        [empty, resumed, fresh], Inserts(Recorder()), Written(Recorder(), EVENTS, outcomes=True)
    )
    assert set(together) == {empty.token, fresh.token}
