"""From the log to the rows: every record has an outcome, and no record stops the others."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from bus.base import Record
from schemas.event import Event
from schemas.topics import RAW
from tests.unit.workers.running import System, envelope, event_id, events_only, make_worker, record
from workers.stage import KEEP, Dead, Drop, Duplicate, Unavailable, Verdict

FAULTY = event_id(7)


async def test_every_record_becomes_one_row() -> None:
    system = System()
    await system.publish(*range(500))
    await system.drain()
    assert sorted(system.warehouse.ids()) == sorted(event_id(n) for n in range(500))
    system.check_books()


async def test_what_comes_while_it_runs_is_stored_too() -> None:
    system = System()
    stop = asyncio.Event()
    running = asyncio.create_task(system.worker(stop=stop).run())
    for start in range(0, 200, 50):
        await system.publish(*range(start, start + 50))
        await asyncio.sleep(0.02)
    async with asyncio.timeout(5):
        while not system.complete():
            await asyncio.sleep(0.005)
    stop.set()
    await running
    system.check_books()


BAD_RECORDS = {
    "not_an_envelope": [b"", b"{", b"null", b"\xff\xfe", b'{"v":1}', b"[" * 100_000],
    "envelope_version": [envelope(900, v=2), envelope(901, v=-1)],
    "unknown_endpoint": [envelope(902, dialect="morse"), envelope(903, endpoint="telex")],
}


@pytest.mark.parametrize("code", BAD_RECORDS)
async def test_a_record_that_cannot_be_read_is_dead_and_the_rest_is_stored(code: str) -> None:
    system = System()
    await system.publish(*range(20))
    await system.bus.publish(RAW, [Record(b"k", value) for value in BAD_RECORDS[code]])
    await system.publish(*range(20, 40))
    await system.drain()
    assert len(system.warehouse.ids()) == 40
    letters = [msgspec.json.decode(value) for value in system.dead()]
    assert [letter["code"] for letter in letters] == [code] * len(BAD_RECORDS[code])
    system.check_books()


async def test_an_event_that_its_dialect_cannot_map_is_dead_with_the_reason() -> None:
    system = System()
    wrong = envelope(1, event=msgspec.Raw(b'{"eventType":"detail-page-view","visitorId":"v1"}'))
    await system.bus.publish(RAW, [record(0), Record(b"k", wrong)])
    await system.drain()
    (letter,) = [msgspec.json.decode(value) for value in system.dead()]
    assert (letter["stage"], letter["id"], letter["tenant"]) == ("map", event_id(1), 1)
    assert msgspec.json.decode(letter["raw"])["id"] == event_id(1)
    system.check_books()


class Planted:
    """A stage that does `act` when it meets the faulty event."""

    name = "planted"

    def __init__(self, verdict: Verdict | None = None, *, fails: int = 1_000_000) -> None:
        self.verdict = verdict
        self.fails = fails
        self.calls: list[int] = []

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        self.calls.append(len(events))
        verdicts: list[Verdict] = []
        for event in events:
            if event.event_id != FAULTY:
                verdicts.append(KEEP)
            elif self.verdict is not None:
                verdicts.append(self.verdict)
            elif self.fails:
                self.fails -= 1
                raise RuntimeError("secret of a producer")
            else:
                verdicts.append(KEEP)
        return verdicts


async def test_the_event_that_fails_a_stage_twice_alone_is_dead_and_it_only() -> None:
    system = System()
    await system.publish(*range(60))
    await system.drain(events_only([Planted()]))
    assert sorted(system.warehouse.ids()) == sorted(event_id(n) for n in range(60) if n != 7)
    (letter,) = [msgspec.json.decode(value) for value in system.dead()]
    assert (letter["stage"], letter["code"], letter["id"]) == ("planted", "stage_error", FAULTY)
    assert "secret" not in letter["message"]
    system.check_books()


async def test_an_event_that_fails_once_alone_is_kept() -> None:
    system = System()
    await system.publish(*range(60))
    await system.drain(events_only([Planted(fails=2)]))
    assert len(system.warehouse.ids()) == 60
    assert system.dead() == []


async def test_a_stage_that_loses_verdicts_is_asked_event_by_event() -> None:
    class Careless:
        name = "careless"

        async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
            return [KEEP] if len(events) == 1 else [KEEP] * (len(events) - 1)

    system = System()
    await system.publish(*range(30))
    await system.drain(events_only([Careless()]))
    assert len(system.warehouse.ids()) == 30


@pytest.mark.parametrize(
    ("verdict", "outcome", "detail"),
    [
        (Duplicate(event_id(3)), "duplicate", {"first_event_id": event_id(3)}),
        (Drop("no_consent"), "dropped", {"reason": "no_consent"}),
    ],
)
async def test_what_a_stage_ends_is_on_record(verdict: Verdict, outcome: str, detail: dict[str, str]) -> None:
    system = System()
    await system.publish(*range(30))
    await system.drain(events_only([Planted(verdict), Planted(Dead("never", "asked"))]))
    (row,) = [row.row for row in system.warehouse.rows["outcomes"]]
    assert (row["event_id"], row["outcome"]) == (FAULTY, outcome)
    assert detail.items() <= row.items()
    system.check_books()


async def test_while_a_dependency_is_down_nothing_is_decided() -> None:
    class Needy:
        name = "needy"
        down = 5

        async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
            if self.down:
                self.down -= 1
                raise Unavailable("the registry does not answer")
            return [KEEP] * len(events)

    system = System()
    await system.publish(*range(50))
    stage = Needy()
    await system.drain(events_only([stage]))
    assert stage.down == 0
    assert len(system.warehouse.ids()) == 50
    assert system.dead() == []


async def test_a_worker_that_waits_for_a_dependency_can_be_stopped() -> None:
    class Down:
        name = "down"

        async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
            raise Unavailable("for ever")

    system = System()
    await system.publish(*range(5))
    stop = asyncio.Event()
    running = asyncio.create_task(system.worker(events_only([Down()]), stop=stop).run())
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert system.warehouse.inserts == []


async def test_an_event_that_no_row_can_be_made_of_is_dead() -> None:
    class Spoils:
        name = "spoils"

        async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
            for event in events:
                if event.event_id == FAULTY:
                    event.city = "\ud800"  # not Unicode: it cannot be encoded
            return [KEEP] * len(events)

    system = System()
    await system.publish(*range(20))
    await system.drain(events_only([Spoils()]))
    (letter,) = [msgspec.json.decode(value) for value in system.dead()]
    assert (letter["stage"], letter["id"]) == ("row", FAULTY)
    system.check_books()


async def test_two_workers_share_the_partitions() -> None:
    system = System()
    stop = asyncio.Event()
    workers = [asyncio.create_task(system.worker(stop=stop).run()) for _ in range(2)]
    for start in range(0, 300, 30):
        await system.publish(*range(start, start + 30))
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        while not system.complete():
            await asyncio.sleep(0.005)
    stop.set()
    await asyncio.gather(*workers)
    system.check_books()


async def test_while_the_bus_is_down_the_worker_waits_and_goes_on() -> None:
    system = System()
    bus = system.bus
    stop = asyncio.Event()
    running = asyncio.create_task(
        make_worker(events_only(), bus=bus, warehouse=system.warehouse, stop=stop).run()
    )
    await system.publish(*range(50))
    for _ in range(5):
        await asyncio.sleep(0.01)
        bus.down = not bus.down
    bus.down = False
    await system.publish(*range(50, 100))
    async with asyncio.timeout(5):
        while not system.complete():
            await asyncio.sleep(0.005)
    stop.set()
    await running
    system.check_books()
