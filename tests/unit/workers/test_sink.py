"""Each row once, whatever becomes of the inserts."""

import asyncio
from collections import deque
from itertools import product

import msgspec
import pytest

from bus.memory import MemoryBus
from schemas.rows import EVENTS
from stores.base import StoreMisconfigured
from tests.unit.workers.recorder import FAULTS, Fault, Recorder
from tests.unit.workers.running import System, event_id, events_only, make_worker
from workers import breaker
from workers.partitions import Limits


@pytest.mark.parametrize("faults", [*product(FAULTS, repeat=1), *product(FAULTS, repeat=2)])
async def test_after_any_unclean_insert_each_row_is_there_once(faults: tuple[Fault, ...]) -> None:
    system = System()
    system.warehouse.faults = deque(faults)
    await system.publish(*range(40))
    await system.drain()
    assert sorted(system.warehouse.ids()) == sorted(event_id(n) for n in range(40))
    system.check_books()


async def test_a_spoilt_token_is_found_out_and_the_next_one_used() -> None:
    # The repeat under the first token is acknowledged and dropped: believing it would lose the rows.
    system = System()
    system.warehouse.faults = deque(["spoilt"])
    await system.publish(7)
    await system.drain()
    first, second, third = [token for table, token, _ in system.warehouse.inserts if table == EVENTS]
    assert first == second
    assert third == "1/events.raw/0/0-1/events"
    assert system.warehouse.ids() == [event_id(7)]


async def test_rows_that_vanish_after_every_acknowledgements_stop_the_worker() -> None:
    system = System()
    system.warehouse.faults = deque(["before", "lost", "lost", "lost", "lost"])
    await system.publish(1)
    with pytest.raises(StoreMisconfigured, match="acknowledged 4 times"):
        await system.drain()
    assert not system.complete()


async def test_only_what_is_missing_is_inserted_again() -> None:
    system = System()
    system.log.partitions = 1
    system.warehouse.faults = deque(["half"])
    await system.publish(*range(40))
    await system.drain()
    sizes = [rows for table, _, rows in system.warehouse.inserts if table == EVENTS]
    assert sizes[0] == 40
    assert sizes[-1] == 20
    system.check_books()


async def test_older_inserts_of_the_partition_are_ended_first() -> None:
    system = System()
    system.warehouse.faults = deque(["before"])
    await system.publish(1)
    await system.drain()
    assert system.warehouse.statements[0].startswith("KILL QUERY WHERE startsWith(query_id, ")


async def test_a_server_without_kill_query_is_fine() -> None:
    system = System(warehouse=Recorder(knows_kill=False, faults=deque(["after"])))
    await system.publish(*range(10))
    await system.drain()
    system.check_books()


async def test_reads_that_fail_are_repeated_before_anything_is_inserted() -> None:
    system = System(warehouse=Recorder(faults=deque(["after"]), reads_fail=0))
    await system.publish(*range(10))
    system.warehouse.reads_fail = 0
    stop = asyncio.Event()
    running = asyncio.create_task(system.worker(stop=stop).run())
    while not system.warehouse.inserts:
        await asyncio.sleep(0)
    system.warehouse.reads_fail = 6
    async with asyncio.timeout(5):
        while not system.complete():
            await asyncio.sleep(0.005)
    stop.set()
    await running
    system.check_books()


@pytest.mark.parametrize("bad", [{3}, {0, 39}, {5, 6, 7, 20}, set(range(40))])
async def test_rows_that_the_warehouse_refuses_are_singled_out(bad: set[int]) -> None:
    system = System(warehouse=Recorder(refuses=lambda row: row.get("event_id") in {event_id(n) for n in bad}))
    await system.publish(*range(40))
    await system.drain()
    assert sorted(system.warehouse.ids()) == sorted(event_id(n) for n in range(40) if n not in bad)
    letters = [msgspec.json.decode(value) for value in system.dead()]
    assert sorted(letter["id"] for letter in letters) == sorted(event_id(n) for n in bad)
    assert {(letter["stage"], letter["code"]) for letter in letters} == {("warehouse", "row_refused")}
    system.check_books()


async def test_refused_rows_and_lost_acknowledgements_together() -> None:
    system = System(warehouse=Recorder(refuses=lambda row: row.get("event_id") == event_id(9)))
    system.warehouse.faults = deque(["after", "half", "", "before", "doubled", "after"])
    await system.publish(*range(40))
    await system.drain()
    assert len(set(system.warehouse.ids())) == len(system.warehouse.ids()) == 39
    system.check_books()


async def test_dead_letters_are_durable_before_their_range_is_complete() -> None:
    system = System(warehouse=Recorder(refuses=lambda row: row.get("event_id") == event_id(0)))
    await system.publish(*range(10))
    bus = MemoryBus(system.log)
    stop = asyncio.Event()
    running = asyncio.create_task(
        make_worker(events_only(), bus=bus, warehouse=system.warehouse, stop=stop).run()
    )
    while not system.warehouse.inserts:
        await asyncio.sleep(0)
    bus.down = True
    await asyncio.sleep(0.05)
    assert not system.complete()
    bus.down = False
    async with asyncio.timeout(5):
        while not system.complete():
            await asyncio.sleep(0.005)
    stop.set()
    await running
    assert len(system.dead()) == 1
    system.check_books()


async def test_with_the_warehouse_down_two_ranges_a_partition_are_in_hand_and_no_more() -> None:
    system = System()
    await system.publish(*range(20))
    stop = asyncio.Event()
    pipeline = events_only(limits=Limits(records_max=50, bytes_max=2**20, wait_ms=1))
    bus = MemoryBus(system.log)
    running = asyncio.create_task(make_worker(pipeline, bus=bus, warehouse=system.warehouse, stop=stop).run())
    async with asyncio.timeout(10):
        while not system.complete():
            await asyncio.sleep(0.005)
    system.warehouse.down = True
    await system.publish(*range(20, 3000))
    await asyncio.sleep(0.2)
    (subscription,) = bus._subscriptions
    lag = sum((await subscription.lag()).values())
    assert 0 < 2980 - lag <= 2 * 2 * 50
    system.warehouse.down = False
    async with asyncio.timeout(10):
        while not system.complete():
            await asyncio.sleep(0.005)
    stop.set()
    await running
    system.check_books()


async def test_a_block_of_which_everything_is_refused_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.mending.DEAD_MAX", 5)
    monkeypatch.setattr(breaker, "TRIAL_EVERY_S", 0.2)
    system = System(warehouse=Recorder(refuses=lambda row: True))
    system.log.partitions = 1
    await system.publish(*range(20))
    stop = asyncio.Event()
    running = asyncio.create_task(system.worker(stop=stop).run())
    await asyncio.sleep(0.15)
    assert system.dead() == []  # five are known, and the block may be at fault: nothing is buried yet
    system.warehouse.refuses = lambda row: row.get("event_id") == event_id(19)
    async with asyncio.timeout(5):
        while not system.complete():
            await asyncio.sleep(0.005)
    stop.set()
    await running
    system.check_books()
