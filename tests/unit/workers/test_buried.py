"""What was buried stays buried: a letter that a crashed attempt published decides for the next one."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from bus.base import Batch, Record, Taken
from bus.memory import MemoryBus, MemoryLog
from schemas.topics import DEAD, READERS, Coordinates
from stores.base import QueryRefused, StoreUnavailable
from tests.unit.workers.recorder import Recorder
from tests.unit.workers.running import System, claim, envelope, event_id, events_only
from tests.unit.workers.test_pipeline import FAULTY, Planted
from tests.unit.workers.test_recovery import broken, one_partition
from workers.buried import buried
from workers.intent import Note
from workers.judging import Death
from workers.letters import dead_letter
from workers.replicas import Replicas
from workers.stage import Dead, Unavailable

DEATH = Dead("planted", "it is bad", "/a")


async def crashed_after_the_letters(system: System) -> None:
    """Rows and letters of [0, 10) are there, its row in `batches` is not."""
    await system.publish(*range(10))
    system.warehouse.faults.extend(["", *broken()])
    await system.run_for(0.05, events_only([Planted(DEATH)]))
    assert len(system.dead()) == 1
    system.warehouse.faults.clear()


async def test_an_event_whose_letter_is_out_is_not_stored_by_a_better_version() -> None:
    system = one_partition()
    await crashed_after_the_letters(system)
    await system.drain()
    assert FAULTY not in system.warehouse.ids()
    assert {letter["code"] for letter in map(msgspec.json.decode, system.dead())} == {"planted"}
    (batch,) = [row.row for row in system.warehouse.rows["batches"]]
    assert (batch["stored"], batch["dead"]) == (9, 1)
    system.check_books()


async def test_it_does_not_pass_the_stages_again() -> None:
    # Else it would claim its key, and its replay in the next range be ended because of it.
    system = one_partition()
    await crashed_after_the_letters(system)
    stage = Planted(None)
    await system.drain(events_only([stage]))
    assert stage.calls[0] == 9


async def test_a_row_that_is_stored_stands_although_a_letter_is_out() -> None:
    system = one_partition()
    await system.publish(*range(10))
    system.warehouse.faults.extend(["after", *broken()])
    await system.run_for(0.05)
    system.warehouse.faults.clear()
    await system.bus.publish(DEAD, [letter_of(0, kp=0)])
    await system.drain()
    assert sorted(system.warehouse.ids()) == sorted(event_id(n) for n in range(10))


def letter_of(offset: int, *, kp: int, inc: int = 1, topic: str = "events.raw") -> Record:
    at = Coordinates(inc, topic, kp, offset)
    return dead_letter(Taken(offset, b"1|v", envelope(offset)), at, Death("planted", DEATH))


def batch(count: int = 10) -> Batch:
    return Batch(claim(), [Taken(n, b"1|v", envelope(n)) for n in range(count)])


class Rows(Recorder):
    """Has the rows of letters that the quarantine worker finished with."""

    def __init__(self, *offsets: int) -> None:
        super().__init__()
        self.offsets = offsets
        self.error: Exception | None = None

    async def query(
        self, sql: str, params: Mapping[str, Any] | None = None, *, threads_max: int | None = None
    ) -> list[dict[str, Any]]:
        if self.error:
            raise self.error
        return [
            {"ko": offset, "stage": "s", "code": "row", "pointer": "", "message": ""}
            for offset in self.offsets
        ]


async def found(log: MemoryLog, rows: Rows) -> dict[int, str]:
    return {
        ko: death.dead.code
        for ko, death in (await buried(batch(), MemoryBus(log), rows, Replicas(rows, ""))).items()
    }


async def test_only_letters_of_this_range_count() -> None:
    log = MemoryLog(partitions=2, inc=1)
    others = [letter_of(3, kp=1), letter_of(4, kp=0, inc=2), letter_of(5, kp=0, topic="events.dead")]
    await MemoryBus(log).publish(
        DEAD, [*others, Record(b"k", b"no letter"), letter_of(10, kp=0), letter_of(6, kp=0)]
    )
    assert await found(log, Rows(7)) == {6: "planted", 7: "row"}


@pytest.mark.parametrize(
    ("note", "seen"),
    [
        (Note(1), False),  # they are rows by now
        (Note(2), True),  # of another log
    ],
)
async def test_letters_that_are_rows_are_not_read_again(note: Note, seen: bool) -> None:
    log = MemoryLog(partitions=1, inc=1)
    await MemoryBus(log).publish(DEAD, [letter_of(n, kp=0) for n in range(5)])
    log.group(DEAD, READERS[DEAD]).offsets[0] = (4, str(note))
    assert (0 in await found(log, Rows())) == seen
    assert 4 in await found(log, Rows())


async def test_many_letters_are_read_in_turn() -> None:
    log = MemoryLog(partitions=2, inc=1)
    await MemoryBus(log).publish(DEAD, [letter_of(n % 10, kp=n % 2) for n in range(501)])
    assert set(await found(log, Rows())) == {0, 2, 4, 6, 8}


@pytest.mark.parametrize("error", [StoreUnavailable("down"), QueryRefused("too slow")])
async def test_without_an_answer_nothing_is_judged(error: Exception) -> None:
    rows = Rows()
    rows.error = error
    with pytest.raises(Unavailable):
        await buried(batch(), MemoryBus(MemoryLog(partitions=1, inc=1)), rows, Replicas(rows, ""))


async def test_a_worker_waits_for_the_answer() -> None:
    system = one_partition()
    await crashed_after_the_letters(system)
    system.warehouse.reads_fail = 30
    await asyncio.wait_for(system.drain(), 10)
    assert FAULTY not in system.warehouse.ids()
    system.check_books()
