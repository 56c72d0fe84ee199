"""A worker of the whole pipeline `events` in a process of its own, to be crashed at a point."""

import asyncio
import logging
import multiprocessing
import socket
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from bus import open_bus
from bus.log import group, membership
from schemas.settings import Settings
from tests.crash_points import arm
from workers.crash import armed
from workers.pipelines.events import events_pipeline
from workers.resources import open_resources
from workers.run import run_pipeline, stop_signal

_context = multiprocessing.get_context("forkserver")


def start(use: Settings, *, crash_at: str) -> ForkServerProcess:
    """Start a worker that kills itself; its log goes to worker.log in its home."""
    process = _context.Process(target=_work, args=(use, crash_at))
    process.start()
    return process


def _work(use: Settings, crash_at: str) -> None:
    logging.basicConfig(level=logging.INFO, filename=Path(use.home) / "worker.log", force=True)
    # A dead worker's partitions are free after 1.5 s instead of 10.
    group.LEASE_MS = 1_500
    membership.RENEW_S = 0.3
    arm(armed(crash_at))
    asyncio.run(_run(use))


async def _run(use: Settings) -> None:
    async with open_bus(use) as bus, open_resources(use) as resources:
        with stop_signal() as stop:
            sock = socket.create_server(("127.0.0.1", 0))
            await run_pipeline(
                events_pipeline(resources), bus=bus, warehouse=resources.warehouse, stop=stop, sock=sock
            )
