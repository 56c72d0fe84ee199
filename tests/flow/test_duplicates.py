"""Duplicates over the embedded log, registry and ClickHouse: the first with a key is stored, once."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from bus.base import Record
from schemas.event import Event
from schemas.topics import DEAD, RAW, Coordinates, Partition
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.duplicating import KEYS, System, events_of, keyed, open_system, records_at, request
from tests.unit.workers.running import RECEIVED_AT
from workers.attempts import WINDOW_MS
from workers.stage import KEEP, Duplicate
from workers.stages.duplicate import Duplicates


@pytest.fixture
async def system(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[System]:
    async with open_system(clickhouse, tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("order", [KEYS, KEYS[::-1]])
async def test_one_key_on_two_partitions(system: System, order: tuple[bytes, bytes]) -> None:
    event_id = keyed()
    for key in order:
        await system.send(event_id, key=key)
        await system.drain()
    assert await system.stored() == [event_id]
    assert await system.duplicates() == [event_id]


async def test_an_explicit_key_has_no_window(system: System) -> None:
    event_id = keyed()
    await system.send(event_id)
    await system.send(event_id, at_ms=RECEIVED_AT + 30 * 86_400_000)
    await system.drain()
    assert await system.stored() == [event_id]


@pytest.mark.parametrize("ids", [[keyed()], request(1)], ids=["explicit", "derived"])
async def test_an_owner_that_died_gives_its_key_back(system: System, ids: list[str]) -> None:
    system.killer.armed = True
    await system.send(*ids)
    await system.drain()
    system.killer.armed = False
    await system.send(*ids, at_ms=RECEIVED_AT + 1000)
    await system.drain()
    assert await system.stored() == ids
    assert await system.duplicates() == []


@pytest.mark.parametrize("ids", [[keyed()], request(1), [str(uuid4())]], ids=["explicit", "derived", "fresh"])
async def test_a_dead_letter_that_is_replayed_twice_is_stored_once(system: System, ids: list[str]) -> None:
    system.killer.armed = True
    await system.send(*ids)
    await system.drain()
    assert sum(end for _, end in (await system.bus.ends(DEAD)).values()) == 1
    system.killer.armed = False
    (kp,) = (p.index for p, (_, end) in (await system.bus.ends(RAW)).items() if end)
    for _ in range(2):
        await system.send(*ids, replay_of=str(Coordinates(1, RAW, kp, 0)))
        await system.drain()
    assert await system.stored() == ids
    assert await system.duplicates() == ids


async def test_a_repeat_that_came_before_the_replay_wins(system: System) -> None:
    ids = request(1)
    system.killer.armed = True
    await system.send(*ids)
    await system.drain()
    system.killer.armed = False
    await system.send(*ids, at_ms=RECEIVED_AT + 1000)
    (kp,) = (p.index for p, (_, end) in (await system.bus.ends(RAW)).items() if end)
    await system.drain()
    await system.send(*ids, replay_of=str(Coordinates(1, RAW, kp, 0)))
    await system.drain()
    assert await system.stored() == ids


async def test_a_repeat_is_recognised_by_the_worker_that_saw_the_first(system: System) -> None:
    ids = request(10)
    await system.send(*ids)
    await system.send(*ids, at_ms=RECEIVED_AT + WINDOW_MS)
    await system.drain()
    assert await system.stored() == ids
    assert await system.duplicates() == ids


async def test_a_repeat_is_recognised_by_a_worker_that_took_over(system: System) -> None:
    ids = request(10)
    await system.send(*ids)
    await system.drain()
    await system.send(*ids, at_ms=RECEIVED_AT + WINDOW_MS)
    await system.drain()
    assert await system.stored() == ids
    assert await system.duplicates() == ids


async def test_what_the_first_attempt_did_not_bring_is_stored_from_the_second(system: System) -> None:
    ids = request(10)
    await system.send(*ids[:4])
    await system.drain()
    await system.send(*ids, at_ms=RECEIVED_AT + 1000)
    await system.drain()
    assert sorted(await system.stored()) == ids
    assert await system.duplicates() == ids[:4]


async def test_after_the_window_it_is_another_request(system: System) -> None:
    ids = request(2)
    await system.send(*ids)
    await system.send(*ids, at_ms=RECEIVED_AT + WINDOW_MS + 1)
    await system.drain()
    await system.send(*ids, at_ms=RECEIVED_AT + 2 * WINDOW_MS + 2)
    await system.drain()
    assert await system.stored() == ids * 3


async def test_the_window_is_a_matter_of_stamps_not_of_clocks(system: System) -> None:
    """The window passes during an outage: what was sent within it is still recognised."""
    ids = request(2)
    await system.send(*ids)
    await system.drain()
    other = request(1)
    await system.send(*other, key=KEYS[1], at_ms=RECEIVED_AT + 50 * WINDOW_MS)
    await system.drain()
    await system.send(*ids, at_ms=RECEIVED_AT + 60_000)
    await system.drain()
    assert sorted(await system.stored()) == sorted(ids + other)


async def test_a_request_of_ten_thousand_events_is_recognised_after_a_takeover(system: System) -> None:
    ids = request(10_000)
    await system.send(*ids)
    await system.drain()
    await system.send(*ids, at_ms=RECEIVED_AT + 1000)
    await system.drain()
    rows = await system.use.warehouse.query("SELECT count() AS n FROM outcomes WHERE outcome = 'duplicate'")
    assert (len(await system.stored()), rows[0]["n"]) == (10_000, 10_000)


async def test_gateways_with_different_clocks(system: System) -> None:
    """The first was stamped by a clock that is ahead; in between another event was seen."""
    ids = request(1)
    await system.send(*ids, at_ms=RECEIVED_AT + 5 * 60_000)
    await system.drain()
    await system.send(*request(1), at_ms=RECEIVED_AT)
    await system.send(*ids, at_ms=RECEIVED_AT + 19 * 60_000)
    await system.drain()
    assert (await system.stored()).count(ids[0]) == 1


async def test_a_replay_beside_a_repeat_that_is_not_stored_yet(system: System) -> None:
    (event_id,) = request(1)
    await system.send(event_id)
    (kp,) = (p.index for p, (_, end) in (await system.bus.ends(RAW)).items() if end)
    await system.send(event_id, at_ms=RECEIVED_AT + 1000)
    await system.send(event_id, replay_of=str(Coordinates(1, RAW, kp, 0)))
    first, repeat, replay = await events_of(system)
    stage = Duplicates(system.use)
    assert await stage.judge([first]) == [KEEP]
    await stage.release(await records_at(system, 0))
    assert await stage.judge([repeat]) == [KEEP]
    assert await stage.judge([replay]) == [Duplicate(event_id)]


@pytest.mark.parametrize("event_id", [keyed(), str(uuid4())], ids=["explicit", "fresh"])
async def test_a_replay_of_what_is_judged_better_after_a_crash(system: System, event_id: str) -> None:
    """Its letter was published, its range was not committed; today it is kept."""
    await system.send(event_id)
    (kp,) = (p.index for p, (_, end) in (await system.bus.ends(RAW)).items() if end)
    await system.send(event_id, replay_of=str(Coordinates(1, RAW, kp, 0)))
    first, replay = await events_of(system)
    stage = Duplicates(system.use)
    stage.taken_over(Partition(RAW, kp))
    assert await stage.judge([first]) == [KEEP]
    assert await stage.judge([replay]) == [Duplicate(event_id)]


@pytest.mark.parametrize(
    "value",
    [
        b'{"id":"aaaaaaaaaaaaaa8-not-a-uuid"}',
        b'{"id":"00000000-0000-5000-8000-000000000000","tenant":9999999999999999999}',
        b'{"id":"AAAAAAAA-0000-5000-8000-000000000000","tenant":1}',
        b'{"request":"%s"}' % (b"r" * 360_000),
    ],
)
async def test_a_record_that_is_no_envelope_stops_nothing(system: System, value: bytes) -> None:
    await system.bus.publish(RAW, [Record(KEYS[0], value)])
    event_id = keyed()
    await system.send(event_id)
    await system.drain()
    assert await system.stored() == [event_id]
    assert sum(end for _, end in (await system.bus.ends(DEAD)).values()) == 1


async def test_a_partition_that_comes_back_is_asked_for_anew(system: System) -> None:
    """Another worker had it in between, and there the first one died."""
    (event_id,) = request(1)
    await system.send(event_id)
    await system.send(event_id, at_ms=RECEIVED_AT + 1000)
    first, repeat = await events_of(system)
    stage = Duplicates(system.use)
    assert await stage.judge([first]) == [KEEP]
    stage.taken_over(Partition(RAW, first.at.kp))  # type: ignore[union-attr]
    assert await stage.judge([repeat]) == [KEEP]


async def test_a_replay_after_a_crash_decides_as_before(system: System) -> None:
    """The same records judged again by another worker keep their verdicts."""
    explicit, derived = keyed(), request(3)
    await system.send(explicit)
    await system.send(*derived)
    await system.send(explicit)
    await system.send(*derived, at_ms=RECEIVED_AT + 1)
    await system.drain()
    stored, duplicates = await system.stored(), await system.duplicates()
    verdicts = await _judge_again(system)
    assert sorted(verdicts) == sorted([*["Keep"] * len(stored), *["Duplicate"] * len(duplicates)])


async def _judge_again(system: System) -> list[str]:
    stage = Duplicates(system.use)
    by_partition: dict[int, list[Event]] = {}
    for event in await events_of(system):
        by_partition.setdefault(event.at.kp, []).append(event)  # type: ignore[union-attr]
    return [type(v).__name__ for events in by_partition.values() for v in await stage.judge(events)]
