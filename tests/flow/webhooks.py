"""The worker `webhooks` over the parts of `Whole`, for as long as a test needs it."""

import asyncio
import json
import logging
import multiprocessing
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bus import open_bus
from bus.log import group, membership
from schemas.settings import Settings
from stores.registry import Delivery, Filter, SqlRegistry
from tests.flow.whole import Whole
from workers.crash import armed
from workers.webhooks import dispatch, intake
from workers.webhooks.run import run_webhooks, serve_webhooks

_context = multiprocessing.get_context("forkserver")


@asynccontextmanager
async def sending(whole: Whole, *, private: bool = True) -> AsyncIterator[None]:
    """Run a worker in this process."""
    stop = asyncio.Event()
    sock = socket.create_server(("127.0.0.1", 0))
    settings = replace(whole.settings, webhook_private_addresses=private)
    async with open_bus(settings) as bus:
        running = asyncio.create_task(
            serve_webhooks(settings, bus=bus, registry=whole.use.registry, stop=stop, sock=sock)
        )
        try:
            yield
        finally:
            stop.set()
            await running


async def add(whole: Whole, conditions: dict[str, Any], url: str = "", name: str = "Orders") -> Filter:
    """Save a filter of the demo's tenant."""
    return await whole.use.registry.add_filter(1, name, json.dumps(conditions), url=url)


async def until(registry: SqlRegistry, number: int, state: str, *, seconds: float = 60) -> list[Delivery]:
    """Return the tenant's deliveries in that state once there are so many, oldest first."""
    async with asyncio.timeout(seconds):
        while len(found := await registry.list_deliveries(1, state=state, limit=10_000)) < number:
            await asyncio.sleep(0.05)
    return list(reversed(found))


async def hurry(registry: SqlRegistry) -> None:
    """Make all that waits due now, as if the time had passed."""
    from sqlalchemy import text

    async def run(connection: Any) -> None:
        await connection.execute(
            text("UPDATE deliveries SET due_at = 0 WHERE state = 'waiting' AND claim = ''")
        )

    await registry._database.write(run)


def start(use: Settings, *, crash_at: str = "") -> ForkServerProcess:
    """Start a worker in a process of its own; its log goes to webhooks.log in its home."""
    process = _context.Process(target=_work, args=(use, crash_at))
    process.start()
    return process


def _work(use: Settings, crash_at: str) -> None:
    logging.basicConfig(level=logging.INFO, filename=Path(use.home) / "webhooks.log", force=True)
    # A dead worker's partitions are free after 1.5 s instead of 10, its claims after 2 s instead of 60.
    group.LEASE_MS = 1_500
    membership.RENEW_S = 0.3
    dispatch.LEASE_MS = 2_000
    if crash_at:
        intake.crash_point = dispatch.crash_point = armed(crash_at)  # type: ignore[attr-defined]
    asyncio.run(run_webhooks(use))
