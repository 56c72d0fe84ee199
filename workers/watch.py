"""The tasks of a worker process, watched until they have ended, one fails or is stuck, or time is up."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol

STUCK_S = 600.0
LOOK_EVERY_S = 5.0


class WorkerStuck(RuntimeError):
    """A worker's loop did not turn for minutes: something waits without a limit. A restart frees it."""


class Loop(Protocol):
    """What notes each of its turns, as time.monotonic() has it."""

    @property
    def turned_at(self) -> float: ...


Task = Coroutine[Any, Any, None]


async def run_watched(
    working: Sequence[Task],
    loops: Sequence[Loop],
    stop: asyncio.Event,
    *,
    stop_s: float,
    beside: Sequence[Task] = (),
) -> bool:
    """Run `working` to their end, and `beside` meanwhile; tell whether they came to it.

    They have `stop_s` after `stop` is set. Raises what one of them raises, and WorkerStuck.
    """
    awaited = [asyncio.create_task(one) for one in working]
    watching = asyncio.create_task(_watch(loops, stop, stop_s))
    others = [watching, *(asyncio.create_task(one) for one in beside)]
    try:
        running = {*awaited, *others}
        while not all(task.done() for task in awaited):
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if watching in done:
                return False
        return True
    finally:
        for task in (*awaited, *others):
            task.cancel()
        await asyncio.gather(*awaited, *others, return_exceptions=True)


async def _watch(loops: Sequence[Loop], stop: asyncio.Event, stop_s: float) -> None:
    """Return when time is up after `stop`. Raises WorkerStuck."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
        if any(time.monotonic() - loop.turned_at > STUCK_S for loop in loops):
            raise WorkerStuck(f"a loop of this worker did not turn for {STUCK_S:.0f} s; start it again")
    await asyncio.sleep(stop_s)
