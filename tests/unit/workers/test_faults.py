"""Random crashes, outages and lost acknowledgements: nothing is lost, nothing doubled, the books balance."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.memory import MemoryBus, MemoryLog
from schemas.event import Event
from stores.base import StoreError
from tests.crash_points import arm
from tests.unit.workers.recorder import FAULTS, Recorder
from tests.unit.workers.running import System, event_id, events_only, make_worker
from workers.crash import POINTS
from workers.partitions import Limits
from workers.stage import KEEP, Drop, Duplicate, Verdict


class Crash(BaseException):
    """Stands for kill -9 within one process."""


class Sorting:
    """A stage whose verdict depends on the event and on its own version alone."""

    name = "sorting"

    def __init__(self, version: int = 0) -> None:
        self._version = version

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        return [self._verdict(int(event.event_id[-4:], 16) + self._version) for event in events]

    def _verdict(self, n: int) -> Verdict:
        if n % 11 == 5:
            return Duplicate(event_id(n - 1))
        if n % 13 == 5:
            return Drop("unwanted")
        if n % 17 == 5:
            raise RuntimeError("planted")
        return KEEP


class CrashAt:
    """Crashes once, at the n-th time any crash point is passed."""

    def __init__(self, nth: int) -> None:
        self.left = nth

    def __call__(self, point: str) -> None:
        assert point in POINTS
        self.left -= 1
        if self.left == 0:
            raise Crash


act = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 60)),
    st.tuples(st.just("crash_at"), st.integers(1, 25)),
    st.tuples(st.just("faults"), st.lists(st.sampled_from(["", *FAULTS]), min_size=1, max_size=6)),
    st.tuples(st.just("cut_off"), st.integers(1, 30)),
    st.tuples(st.just("bus_down"), st.integers(1, 10)),
    st.tuples(st.just("two_workers"), st.integers(5, 30)),
)


async def _run_for(system: System, ms: int, workers: int, bus_down_ms: int = 0, *, version: int = 0) -> None:
    """Run workers for a while; then they are cut off wherever they are, or have crashed before."""
    pipeline = events_only([Sorting(version)], Limits(records_max=20, bytes_max=2**20, wait_ms=1))
    buses = [MemoryBus(system.log) for _ in range(workers)]
    tasks = [
        asyncio.create_task(
            make_worker(pipeline, bus=bus, warehouse=system.warehouse, stop=asyncio.Event()).run()
        )
        for bus in buses
    ]
    await asyncio.sleep(ms / 2000)
    if bus_down_ms:
        buses[0].down = True
        await asyncio.sleep(bus_down_ms / 1000)
        buses[0].down = False
    await asyncio.sleep(ms / 2000)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError, Crash, StoreError):
            await task


async def _play(
    acts: list[tuple[str, object]], monkeypatch: pytest.MonkeyPatch, *, updates: bool = False
) -> System:
    """`updates`: each run is another version, which judges otherwise."""
    system = System(
        log=MemoryLog(partitions=3, inc=1),
        warehouse=Recorder(refuses=lambda row: int(row.get("event_id", "0")[-4:], 16) % 19 == 5),
    )
    published = 0
    for number, (name, how) in enumerate(acts):
        version = number if updates else 0
        if name == "publish":
            assert isinstance(how, int)
            await system.publish(*range(published, published + how))
            published += how
        elif name == "crash_at":
            assert isinstance(how, int)
            crash = CrashAt(how)
            with monkeypatch.context() as patch:
                arm(crash, patch)
                await _run_for(system, 20, 1, version=version)
        elif name == "faults":
            assert isinstance(how, list)
            system.warehouse.faults = deque(how)
            await _run_for(system, 10, 1, version=version)
        elif name == "bus_down":
            assert isinstance(how, int)
            await _run_for(system, 10, 1, bus_down_ms=how, version=version)
        else:
            assert isinstance(how, int)
            await _run_for(system, how, 2 if name == "two_workers" else 1, version=version)
    system.warehouse.faults.clear()
    await system.drain(events_only([Sorting(len(acts) if updates else 0)]))
    return system


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(act, min_size=1, max_size=12))
def test_nothing_is_lost_or_doubled(monkeypatch: pytest.MonkeyPatch, acts: list[tuple[str, object]]) -> None:
    system = asyncio.run(_play([("publish", 30), *acts], monkeypatch))
    system.check_books()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(act, min_size=1, max_size=12))
def test_not_even_if_every_start_is_another_version(
    monkeypatch: pytest.MonkeyPatch, acts: list[tuple[str, object]]
) -> None:
    system = asyncio.run(_play([("publish", 30), *acts], monkeypatch, updates=True))
    system.check_books()
