"""Ranges share their inserts, and none of them loses or doubles a row by it."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

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


async def test_one_that_is_slow_is_waited_for() -> None:
    warehouse = Recorder()
    bundle = made(warehouse, 0, 1)
    first = asyncio.create_task(bundle.insert(EVENTS, part(range_of(0, 1, 2))))
    await asyncio.sleep(0.02)
    assert warehouse.inserts == []
    await asyncio.gather(first, bundle.insert(EVENTS, part(range_of(1, 3))))
    assert warehouse.ids() == [event_id(n) for n in (1, 2, 3)]


async def test_when_one_leaves_the_others_go_alone() -> None:
    warehouse = Recorder()
    bundle = made(warehouse, 0, 1)
    first = asyncio.create_task(bundle.insert(EVENTS, part(range_of(0, 1, 2))))
    await asyncio.sleep(0.02)
    bundle.leave(Partition(RAW, 1))
    with pytest.raises(StoreUnavailable, match="another owner"):
        await first
    with pytest.raises(StoreUnavailable, match="another owner"):
        await bundle.insert(EVENTS, part(range_of(0, 1, 2)))
    assert warehouse.inserts == []


async def test_nothing_is_sent_for_a_range_with_another_owner_nor_with_it() -> None:
    warehouse = Recorder()
    bundle = made(warehouse, 0, 1)
    lost, kept = await asyncio.gather(
        bundle.insert(EVENTS, part(range_of(0, 1), never)),
        bundle.insert(EVENTS, part(range_of(1, 2))),
        return_exceptions=True,
    )
    assert isinstance(lost, Fenced)
    assert isinstance(kept, StoreUnavailable)
    assert warehouse.inserts == []


class Late(Recorder):
    """Blocks with rows of several partitions hang on their way, where KILL QUERY does not see them."""

    def __init__(self) -> None:
        super().__init__()
        self.arrive = asyncio.Event()

    async def insert(
        self, table: str, columns: Mapping[str, Sequence[Any]], *, token: str, query_id: str
    ) -> None:
        if "+" in query_id:
            await self.arrive.wait()
        await super().insert(table, columns, token=token, query_id=query_id)


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("told", [False, True])
async def test_a_successor_may_use_the_token_before_the_rest_of_the_bundle(sent: bool, told: bool) -> None:
    """One of two partitions gets another owner while their shared insert waits, or is on its way.

    `told` is whether its task was ended by then, or its next confirmation finds out.
    """
    warehouse = Late()
    system = System(warehouse=warehouse)
    ranges = [range_of(0, 1, 2), range_of(1, 3, 4)]
    bundle_up(ranges)
    worker = sink(system)
    (bundle,) = bundles(ranges, worker.inserts, worker.written).values()
    moved = asyncio.Event()

    async def confirm() -> None:
        if moved.is_set():
            raise Fenced("another owner")

    if not sent:
        await worker.inserts._places.acquire()
    tasks = [
        asyncio.create_task(worker.store(range_, Breaker(), how, bundle))
        for range_, how in zip(ranges, (confirm, always), strict=True)
    ]
    for kp, task in enumerate(tasks):
        task.add_done_callback(lambda _, kp=kp: bundle.leave(Partition(RAW, kp)))  # type: ignore[misc]
    await asyncio.sleep(0.02)
    moved.set()
    if told:
        tasks[0].cancel()
    await sink(system).store(range_of(0, 1, 2, token=ranges[0].token, resumed=True), Breaker(), always)
    warehouse.arrive.set()
    if not sent:
        worker.inserts._places.release()
    await tasks[1]
    with pytest.raises((Fenced, asyncio.CancelledError)):
        await tasks[0]
    assert sorted((row.kp, row.ko) for row in warehouse.rows[EVENTS]) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert sorted(row.kp for row in warehouse.rows[BATCHES]) == [0, 1]


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
