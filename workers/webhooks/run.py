"""One process of the worker `webhooks` from start to end."""

import asyncio
import logging
import socket
import time
from contextlib import suppress

from bus import open_bus
from bus.base import Bus
from schemas.settings import Settings
from stores.registry import SqlRegistry, open_registry
from workers import admin
from workers.run import LOOK_EVERY_S, STUCK_S, WorkerStuck, stop_signal
from workers.webhooks.dispatch import Dispatcher
from workers.webhooks.endpoints import Endpoints
from workers.webhooks.intake import NAME, Intake
from workers.webhooks.sender import Sender

STOP_S = 12.0
"""For the requests under way after a stop signal: they take 10 s at most, and a supervisor kills after 20."""

DAY_MS = 86_400_000

log = logging.getLogger("penstock.webhooks")


async def run_webhooks(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises SettingsError, StoreMisconfigured, WorkerStuck."""
    sock = admin.bind(settings)
    async with open_bus(settings) as bus, open_registry(settings) as registry:
        with stop_signal() as stop:
            await serve_webhooks(settings, bus=bus, registry=registry, stop=stop, sock=sock)


async def serve_webhooks(
    settings: Settings, *, bus: Bus, registry: SqlRegistry, stop: asyncio.Event, sock: socket.socket
) -> None:
    """Take matches and send them, with the admin port on `sock`, until `stop` is set."""
    took, endpoints = asyncio.Event(), Endpoints()
    async with Sender(private_allowed=settings.webhook_private_addresses) as sender:
        intake = Intake(bus, registry, stop, took, endpoints, fresh_s=settings.registry_cache_s)
        keep_ms = settings.webhook_days * DAY_MS
        dispatcher = Dispatcher(registry, sender, endpoints, stop=stop, took=took, keep_ms=keep_ms)
        host, port = sock.getsockname()[:2]
        log.info("worker %s, admin on %s port %d", NAME, host, port)
        ended = asyncio.Event()
        serving = asyncio.create_task(admin.serve_admin(admin.app(NAME, [intake], stop), sock, ended))
        try:
            await _work(intake, dispatcher, stop)
        finally:
            ended.set()
            await serving
    log.info("stopped")


async def _work(intake: Intake, dispatcher: Dispatcher, stop: asyncio.Event) -> None:
    working = [asyncio.create_task(intake.run()), asyncio.create_task(dispatcher.run())]
    watching = asyncio.create_task(_watch(intake, dispatcher, stop))
    noting = asyncio.create_task(dispatcher.keep_notes())
    try:
        running = {*working, watching, noting}
        while not all(task.done() for task in working):
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if watching in done:
                log.warning("not finished within %.0f s; what is under way is sent again later", STOP_S)
                return
    finally:
        for task in (*working, watching, noting):
            task.cancel()
        await asyncio.gather(*working, watching, noting, return_exceptions=True)


async def _watch(intake: Intake, dispatcher: Dispatcher, stop: asyncio.Event) -> None:
    """Return when time is up after a stop signal. Raises WorkerStuck."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
        if time.monotonic() - min(intake.turned_at, dispatcher.turned_at) > STUCK_S:
            raise WorkerStuck(f"the worker did nothing for {STUCK_S:.0f} s")
    await asyncio.sleep(STOP_S)
