"""Listens, keeps the time for all connections, and ends in good order."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette

from gateway.http1.connection import Connection
from gateway.http1.exchange import Exchange, head_of
from gateway.malformed import refusal

CANCEL_S = 1.0  # for requests to end that were not answered in time

log = logging.getLogger("penstock.gateway")


class Server:
    """Serves an application; `malformed` is called for bytes that are no request."""

    def __init__(self, app: Starlette, malformed: Callable[[], None]) -> None:
        self.tick = 0
        self.date = _date()
        self.stopping = False
        self._malformed = malformed
        self._app = app
        self._connections: set[Connection] = set()
        self._all_lost = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(
        self, sock: socket.socket, stopped: Callable[[], Awaitable[Any]], *, backlog: int, grace_s: float
    ) -> None:
        """Serve until `stopped` returns; then let requests under way end, for `grace_s` at most."""
        loop = asyncio.get_running_loop()
        async with self._app.router.lifespan_context(self._app):
            listening = await loop.create_server(lambda: Connection(self), sock=sock, backlog=backlog)
            watching = asyncio.create_task(self._watch())
            try:
                await stopped()
                listening.close()
                await self._finish(grace_s)
            finally:
                watching.cancel()

    def made(self, connection: Connection) -> None:
        """Keep time for it."""
        self._connections.add(connection)

    def lost(self, connection: Connection) -> None:
        """Know that it has ended."""
        self._connections.discard(connection)
        if self.stopping and not self._connections:
            self._all_lost.set()

    def start(self, exchange: Exchange) -> None:
        """Have the application answer."""
        task = asyncio.create_task(self._run(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def refusal(self, status: int) -> bytes:
        """Return the whole answer to bytes that are no request."""
        self._malformed()
        status, headers, body = refusal(status)
        return head_of(status, [*headers, (b"date", self.date)]) + body

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except Exception:  # the application answers its own faults: this one is in answering
            log.exception("a request was not answered to its end")
        finally:
            exchange.fail()

    def end_overdue(self) -> None:
        """End what took too many seconds."""
        for connection in [each for each in self._connections if each.ends_at <= self.tick]:
            connection.expire()

    async def _watch(self) -> None:
        """Count seconds."""
        while True:
            self.date = _date()
            self.end_overdue()
            await asyncio.sleep(1.0)
            self.tick += 1

    async def _finish(self, grace_s: float) -> None:
        self.stopping = True
        for connection in list(self._connections):
            connection.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                if self._connections:
                    await self._all_lost.wait()
                if self._tasks:  # of clients that are gone, or that have their answer
                    await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections):
            connection.expire()
        if self._tasks:  # let them put things right while what they use is still there
            await asyncio.wait(self._tasks, timeout=CANCEL_S)


def _date() -> bytes:
    return formatdate(time.time(), usegmt=True).encode()
