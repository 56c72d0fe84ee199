"""What a new owner finds, and how it goes on."""

import asyncio

import pytest

from bus.base import LogChanged
from bus.memory import MemoryLog
from schemas.rows import OUTCOMES
from schemas.topics import RAW
from tests.unit.workers.recorder import FAULTS, Fault, Recorder
from tests.unit.workers.running import System, claim, event_id, events_only, record
from tests.unit.workers.test_pipeline import FAULTY, Planted
from workers.intent import Note
from workers.resume import from_note
from workers.stage import Duplicate

GROUP = "penstock-events"


def one_partition(warehouse: Recorder | None = None) -> System:
    return System(log=MemoryLog(partitions=1, inc=1), warehouse=warehouse or Recorder())


def offsets(system: System) -> dict[int, tuple[int, str]]:
    return system.log.group(RAW, GROUP).offsets


async def test_a_finished_range_stands_with_the_offset() -> None:
    system = one_partition()
    await system.publish(*range(10))
    await system.drain()
    offset, text = offsets(system)[0]
    note = Note.parse(text)
    assert (offset, note.inc, note.intent) == (10, 1, None)
    assert note.before


def broken() -> list[Fault]:
    """An outage that lasts longer than the test."""
    return ["before"] * 1000


async def interrupted(system: System, fault: Fault) -> None:
    """Run until the insert of [0, 10) ended in `fault`, and crash."""
    await system.publish(*range(10))
    system.warehouse.faults.extend([fault, *broken()])
    await system.run_for(0.05)
    offset, text = offsets(system)[0]
    intent = Note.parse(text).intent
    assert intent is not None
    assert (offset, intent.end) == (0, 10)
    system.warehouse.faults.clear()


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_open_range_is_verified_and_finished(fault: Fault) -> None:
    system = one_partition()
    await interrupted(system, fault)
    await system.publish(*range(10, 20))
    await system.drain()
    assert sorted(system.warehouse.ids()) == sorted(event_id(n) for n in range(20))
    assert {(row.ko, row.row["end"]) for row in system.warehouse.rows["batches"]} == {(0, 10), (10, 20)}
    system.check_books()


async def test_the_first_judgement_stands() -> None:
    # Stored before the crash, and today's stages would end it: no outcome is written beside the row.
    system = one_partition()
    await interrupted(system, "after")
    await system.drain(events_only([Planted(Duplicate(event_id(1)))]))
    assert len(system.warehouse.ids()) == 10
    assert system.warehouse.rows[OUTCOMES] == []
    (batch,) = [row.row for row in system.warehouse.rows["batches"]]
    assert (batch["stored"], batch["duplicate"]) == (10, 0)


async def test_an_outcome_on_record_stands_too() -> None:
    system = one_partition()
    await system.publish(*range(10))
    system.warehouse.faults.extend(["", "after", *broken()])
    await system.run_for(0.05, events_only([Planted(Duplicate(event_id(1)))]))
    assert [row.row["event_id"] for row in system.warehouse.rows[OUTCOMES]] == [FAULTY]
    system.warehouse.faults.clear()
    await system.drain()
    assert FAULTY not in system.warehouse.ids()
    system.check_books()


async def test_a_group_that_lost_its_offsets_goes_on_after_the_stored_rows() -> None:
    system = one_partition()
    await system.publish(*range(30))
    await system.drain()
    offsets(system).clear()
    inserted = len(system.warehouse.inserts)
    await system.publish(*range(30, 40))
    await system.drain()
    assert [rows for table, _, rows in system.warehouse.inserts[inserted:] if table == "events"] == [10]
    system.check_books()


async def test_a_group_that_lost_its_offsets_verifies_the_range_under_way() -> None:
    system = one_partition()
    await system.publish(*range(20))
    await system.drain()
    await system.publish(*range(20, 30))
    system.warehouse.faults.extend(["half", *broken()])
    await system.run_for(0.05)
    system.warehouse.faults.clear()
    offsets(system).clear()
    await system.drain()
    assert sorted(system.warehouse.ids()) == sorted(event_id(n) for n in range(30))
    stored = sorted(row.ko for row in system.warehouse.rows["events"])
    assert stored == list(range(30))


async def test_a_log_that_is_shorter_than_what_was_read_stops_the_worker() -> None:
    system = one_partition()
    await system.publish(*range(20))
    await system.drain()
    del system.log.topic(RAW)[0][15:]
    with pytest.raises(LogChanged, match="raise PENSTOCK_BUS_INCARNATION"):
        await system.drain()


async def test_another_log_of_the_same_length_stops_the_worker() -> None:
    system = one_partition()
    await system.publish(*range(20))
    await system.drain()
    system.log.topic(RAW)[0].clear()
    await system.publish(*range(100, 130))
    with pytest.raises(LogChanged, match="is not the one that was read"):
        await system.drain()
    assert len(system.warehouse.ids()) == 20


async def test_another_log_is_noticed_by_the_rows_where_the_offsets_are_lost() -> None:
    system = one_partition()
    await system.publish(*range(20))
    await system.drain()
    offsets(system).clear()
    system.log.topic(RAW)[0].clear()
    await system.publish(*range(100, 130))
    with pytest.raises(LogChanged, match="is not the stored one"):
        await system.drain()


async def test_a_shorter_log_is_noticed_by_the_rows_where_the_offsets_are_lost() -> None:
    system = one_partition()
    await system.publish(*range(20))
    await system.drain()
    offsets(system).clear()
    del system.log.topic(RAW)[0][15:]
    with pytest.raises(LogChanged, match="rows up to 20 are stored"):
        await system.drain()


async def test_in_a_new_incarnation_the_same_offsets_are_other_records() -> None:
    system = one_partition()
    await system.publish(*range(20))
    await system.drain()
    system.log.topic(RAW)[0].clear()
    system.log.inc = 2
    await system.publish(*range(100, 130))
    await system.drain()
    assert len(system.warehouse.ids()) == len(set(system.warehouse.ids())) == 50
    assert {(row.inc, row.ko) for row in system.warehouse.rows["events"]} == {
        *((1, n) for n in range(20)),
        *((2, n) for n in range(30)),
    }


async def test_a_lowered_incarnation_stops_the_worker() -> None:
    system = one_partition()
    system.log.inc = 2
    await system.publish(*range(5))
    await system.drain()
    system.log.inc = 1
    await system.publish(6)
    with pytest.raises(LogChanged, match="may never be lowered"):
        await system.drain()


async def test_a_foreign_note_stops_the_worker() -> None:
    system = one_partition()
    await system.publish(*range(5))
    offsets(system)[0] = (2, "someone else's")
    with pytest.raises(LogChanged, match="not a note of this worker"):
        await system.drain()


async def test_with_no_offsets_and_no_warehouse_the_worker_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.resume.ASSIGN_S", 0.02)
    system = one_partition(Recorder(down=True))
    await system.publish(1)
    stop = asyncio.Event()
    running = asyncio.create_task(system.worker(stop=stop).run())
    await asyncio.sleep(0.1)
    assert offsets(system) == {}
    system.warehouse.down = False
    async with asyncio.timeout(5):
        while not system.complete():
            await asyncio.sleep(0.005)
    stop.set()
    await running
    system.check_books()


async def test_records_that_retention_took_unread_stop_the_worker() -> None:
    system = one_partition()
    await system.bus.publish(RAW, [record(n) for n in range(5)])
    await system.drain()
    late = claim(committed=5, note=offsets(system)[0][1], log_start=9, log_end=12)
    with pytest.raises(LogChanged, match="retention removed records that nobody had read"):
        from_note(late)


async def test_a_revoked_partition_is_finished_first() -> None:
    system = one_partition()
    stop = asyncio.Event()
    first = asyncio.create_task(system.worker(stop=stop).run())
    await system.publish(*range(50))
    await asyncio.sleep(0.01)
    second_stop = asyncio.Event()
    second = asyncio.create_task(system.worker(stop=second_stop).run())
    await asyncio.sleep(0.05)
    stop.set()
    await first
    await system.publish(*range(50, 60))
    async with asyncio.timeout(5):
        while not system.complete():
            await asyncio.sleep(0.005)
    second_stop.set()
    await second
    system.check_books()
