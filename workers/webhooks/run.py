"""One process of the worker `webhooks` from start to end."""

import asyncio
import logging
import socket

from bus import open_bus
from bus.base import Bus
from schemas.settings import Settings
from stores.registry import SqlRegistry, open_registry
from workers import admin
from workers.run import stop_signal
from workers.watch import run_watched
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
            working, noting = [intake.run(), dispatcher.run()], [dispatcher.keep_notes()]
            if not await run_watched(working, [intake, dispatcher], stop, stop_s=STOP_S, beside=noting):
                log.warning("not finished within %.0f s; what is under way is sent again later", STOP_S)
        finally:
            ended.set()
            await serving
    log.info("stopped")
