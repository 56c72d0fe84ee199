"""Where a new owner goes on after the offsets went back, and under a raised incarnation."""

from itertools import pairwise

import msgspec
import pytest

from bus.base import Claim, LogChanged
from bus.memory import MemoryLog
from schemas.rows import EVENTS
from schemas.topics import RAW
from tests.unit.workers.running import System, claim, event_id
from workers.recovery import Written
from workers.resume import Start, find_start

GROUP = "penstock-events"


@pytest.fixture
def system() -> System:
    return System(log=MemoryLog(partitions=1, inc=1))


def offsets(system: System) -> dict[int, tuple[int, str]]:
    return system.log.group(RAW, GROUP).offsets


async def ranges(system: System, *edges: int) -> list[tuple[int, str]]:
    """Complete one range from each edge to the next; return what was committed after each."""
    committed = []
    for start, end in pairwise(edges):
        await system.publish(*range(start, end))
        await system.drain()
        committed.append(offsets(system)[0])
    return committed


async def interrupted(system: System, start: int, end: int) -> None:
    """Leave the range [start, end) half written."""
    await system.publish(*range(start, end))
    system.warehouse.faults.extend(["half", *["before"] * 1000])  # type: ignore[list-item]
    await system.run_for(0.05)
    system.warehouse.faults.clear()
    assert len(system.warehouse.ids()) == start + (end - start) // 2


def written(system: System) -> Written:
    return Written(system.warehouse, EVENTS, outcomes=True)


def claimed(system: System, *, inc: int, log_start: int = 0) -> Claim:
    """What a new owner gets."""
    offset, note = offsets(system)[0]
    made = claim(committed=offset, note=note, log_start=log_start, log_end=len(system.log.topic(RAW)[0]))
    return msgspec.structs.replace(made, inc=inc)


def check_once(system: System, count: int) -> None:
    """Each of the first `count` events is stored once, and the ranges follow each other."""
    assert sorted(system.warehouse.ids()) == [event_id(n) for n in range(count)]
    system.check_books()


# --- the committed offset went back


@pytest.mark.parametrize("back_to", [0, 1])
async def test_an_offset_that_went_back_stores_nothing_twice(system: System, back_to: int) -> None:
    committed = await ranges(system, 0, 20, 40, 60)
    inserted = len(system.warehouse.inserts)
    offsets(system)[0] = committed[back_to]
    await ranges(system, 60, 80)
    assert [rows for table, _, rows in system.warehouse.inserts[inserted:] if table == EVENTS] == [20]
    assert offsets(system)[0][0] == 80
    check_once(system, 80)


async def test_offsets_that_were_reset_to_the_beginning_store_nothing_twice(system: System) -> None:
    await ranges(system, 0, 20, 40)
    offsets(system)[0] = (0, "")
    await ranges(system, 40, 50)
    check_once(system, 50)


async def test_a_range_under_way_is_verified_though_the_offset_went_back(system: System) -> None:
    committed = await ranges(system, 0, 20, 40)
    await interrupted(system, 40, 60)
    offsets(system)[0] = committed[0]
    await system.drain()
    check_once(system, 60)


async def test_an_old_intent_that_came_back_is_complete(system: System) -> None:
    await ranges(system, 0, 20)
    await interrupted(system, 20, 40)
    stale = offsets(system)[0]
    await system.drain()
    await ranges(system, 40, 60)
    offsets(system)[0] = stale
    found = await find_start(claimed(system, inc=1), written(system), system.bus)
    assert found == Start(60)
    await ranges(system, 60, 70)
    check_once(system, 70)


async def test_an_offset_that_did_not_go_back_is_believed(system: System) -> None:
    await ranges(system, 0, 20, 40)
    found = await find_start(claimed(system, inc=1), written(system), system.bus)
    assert (found.position, found.intent) == (40, None)
    assert found.before


# --- the incarnation was raised


async def test_the_same_log_goes_on_where_it_was(system: System) -> None:
    """Another partition lost records; this one must not be stored again."""
    await ranges(system, 0, 20)
    await system.publish(*range(20, 30))  # unread when the incarnation is raised
    system.log.inc = 2
    await system.drain()
    await ranges(system, 30, 40)
    check_once(system, 40)
    assert {row.inc for row in system.warehouse.rows[EVENTS] if row.ko >= 20} == {2}


async def test_the_same_log_with_a_range_under_way_is_refused(system: System) -> None:
    await ranges(system, 0, 20)
    await interrupted(system, 20, 40)
    system.log.inc = 2
    with pytest.raises(LogChanged, match="still the log of incarnation 1, with a range under way"):
        await system.drain()
    with pytest.raises(LogChanged, match="once more with PENSTOCK_BUS_INCARNATION=1 and stop them in good"):
        await find_start(claimed(system, inc=2), written(system), system.bus)
    assert len(system.warehouse.ids()) == 30


async def test_the_same_log_with_its_first_range_under_way_is_refused(system: System) -> None:
    """Nothing was read before it that the note could name: the rows show that the log is the same."""
    await interrupted(system, 0, 20)
    system.log.inc = 2
    with pytest.raises(LogChanged, match="still the log of incarnation 1, with a range under way"):
        await system.drain()
    assert len(system.warehouse.ids()) == 10


async def test_nor_is_it_taken_for_another_log_after_its_offsets_were_lost(system: System) -> None:
    await ranges(system, 0, 20)
    offsets(system).clear()
    await interrupted(system, 20, 40)
    system.log.inc = 2
    with pytest.raises(LogChanged, match="still the log of incarnation 1, with a range under way"):
        await system.drain()
    system.log.inc = 1
    await system.drain()
    check_once(system, 40)


async def test_a_log_that_was_recreated_under_a_first_range_is_read_from_its_start(system: System) -> None:
    await interrupted(system, 0, 20)
    system.log.topic(RAW)[0].clear()
    system.log.inc = 2
    await ranges(system, 100, 130)
    assert sorted(system.warehouse.ids()) == [event_id(n) for n in [*range(10), *range(100, 130)]]


async def test_after_a_stop_in_good_order_the_incarnation_can_be_raised(system: System) -> None:
    await ranges(system, 0, 20)
    await interrupted(system, 20, 40)
    await system.drain()
    system.log.inc = 2
    await ranges(system, 40, 50)
    check_once(system, 50)


@pytest.mark.parametrize("count", [5, 21, 30])
async def test_a_recreated_log_is_read_from_its_start(system: System, count: int) -> None:
    await ranges(system, 0, 20)
    system.log.topic(RAW)[0].clear()
    system.log.inc = 2
    await system.publish(*range(100, 100 + count))
    found = await find_start(claimed(system, inc=2), written(system), system.bus)
    assert found == Start(0)
    await system.drain()
    assert sorted(system.warehouse.ids()) == [event_id(n) for n in [*range(20), *range(100, 100 + count)]]


async def test_a_log_whose_read_records_are_gone_is_read_from_what_it_has(system: System) -> None:
    await ranges(system, 0, 20)
    await system.publish(*range(20, 30))
    late = claimed(system, inc=2, log_start=25)
    assert await find_start(late, written(system), system.bus) == Start(25)
