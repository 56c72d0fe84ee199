"""workers/watch.py: tasks end, fail, are stuck, or are left when time is up; none stays behind."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from workers import watch
from workers.watch import WorkerStuck, run_watched


@dataclass
class Turns:
    turned_at: float = field(default_factory=time.monotonic)


class Broken(Exception):
    pass


async def broken() -> None:
    raise Broken


async def forever(left: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        left.set()


async def test_it_ends_with_the_last_of_them_and_takes_along_what_is_beside() -> None:
    left = asyncio.Event()
    assert await run_watched(
        [asyncio.sleep(0), asyncio.sleep(0.01)],
        [Turns()],
        asyncio.Event(),
        stop_s=60,
        beside=[forever(left)],
    )
    assert left.is_set()


@pytest.mark.parametrize("is_beside", [False, True])
async def test_a_failure_is_raised_and_the_others_are_left(is_beside: bool) -> None:
    left = asyncio.Event()
    working, beside = [forever(left)], [broken()]
    if not is_beside:
        working, beside = working + beside, []
    with pytest.raises(Broken):
        await run_watched(working, [Turns()], asyncio.Event(), stop_s=60, beside=beside)
    assert left.is_set()


async def test_after_the_stop_they_have_their_time() -> None:
    stop, left = asyncio.Event(), asyncio.Event()
    stop.set()
    assert not await run_watched([forever(left)], [Turns()], stop, stop_s=0.01)
    assert left.is_set()


async def test_one_loop_that_is_stuck_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.01)
    left = asyncio.Event()
    stuck = Turns(time.monotonic() - watch.STUCK_S - 1)
    with pytest.raises(WorkerStuck, match="600 s"):
        await run_watched([forever(left)], [Turns(), stuck], asyncio.Event(), stop_s=60)
    assert left.is_set()
