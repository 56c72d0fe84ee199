"""Workers in processes of their own, to be crashed at a point, killed or frozen.

They are forked from a server that has imported everything, because a fresh start costs a second.
"""

import asyncio
import logging
import multiprocessing
import socket
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from bus import open_bus
from bus.base import Bus
from bus.log import group, membership
from schemas.settings import Settings
from schemas.topics import RAW
from stores.warehouse import open_warehouse
from tests.crash_points import arm
from tests.unit.workers.running import MatchAll, events_only
from workers.crash import armed
from workers.intent import Note
from workers.partitions import Limits
from workers.run import run_pipeline, stop_signal

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


def settings(home: Path, clickhouse_url: str) -> Settings:
    """Small ranges, so that a few hundred records make many."""
    return Settings(
        home=str(home),
        clickhouse_url=clickhouse_url,
        bus_partitions=2,
        worker_rows_max=50,
        worker_wait_ms=20,
    )


def start(use: Settings, *, crash_at: str = "") -> ForkServerProcess:
    """Start a worker; its log goes to worker.log in its home."""
    process = _context.Process(target=_work, args=(use, crash_at))
    process.start()
    return process


async def complete(bus: Bus, topic: str = RAW, group: str = "penstock-events") -> bool:
    """Tell whether all of a topic is committed and no range is open."""
    committed = await bus.committed(topic, group=group)
    for partition, (_, end) in (await bus.ends(topic)).items():
        offset, note = committed.get(partition, (0, ""))
        if offset != end or (note and Note.parse(note).intent is not None):
            return False
    return True


async def ended(process: ForkServerProcess, *, seconds: float = 60) -> int | None:
    """Return the exit status, negative for a signal."""
    await _until(lambda: process.exitcode is not None, seconds)
    return process.exitcode


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def _work(use: Settings, crash_at: str) -> None:
    logging.basicConfig(level=logging.INFO, filename=Path(use.home) / "worker.log", force=True)
    # A dead worker's partitions are free after 1.5 s instead of 10.
    group.LEASE_MS = 1_500
    membership.RENEW_S = 0.3
    if crash_at:
        arm(armed(crash_at))
    asyncio.run(_run(use))


async def _run(use: Settings) -> None:
    # Without the real stages: what is crashed here is the way of a range, and their start costs a second.
    limits = Limits(use.worker_rows_max, use.worker_bytes_max, use.worker_wait_ms)
    async with open_bus(use) as bus, open_warehouse(use) as warehouse:
        with stop_signal() as stop:
            sock = socket.create_server(("127.0.0.1", 0))
            made = events_only([MatchAll()], limits)
            await run_pipeline(made, bus=bus, warehouse=warehouse, stop=stop, sock=sock)
