"""The statements under way: how many at once, and how one is ended before its time."""

import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.dev.clickhouse.engine import Engine, EngineError
from deploy.dev.clickhouse.packets import Query

READ_ONLY_MAX = 8
"""Read-only queries at once: all that people, the api and the verification of inserts ask."""

READ_ONLY_WAIT_S = 10.0
LOOK_S = 0.2
KILL_S_MAX = 10.0

_TOO_MANY_QUERIES = 202
_CANCELLED = 394


@dataclass(eq=False)
class Statement:
    """One statement of one client. `receiving`: its rows are still coming; `streaming`: rows are sent."""

    query: Query
    socket: socket.socket
    receiving: bool = False
    streaming: bool = False
    left: bool = False  # its client went away, or cancelled it
    killed: bool = False

    def go_on(self) -> None:
        """Raise EngineError (394) if somebody killed it in the meantime."""
        if self.killed:
            raise EngineError(_CANCELLED, "Query was cancelled")


class Limits:
    """Shared by all clients; thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read_only = threading.BoundedSemaphore(READ_ONLY_MAX)
        self._changed = threading.Condition()
        self._running: set[Statement] = set()
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    @contextmanager
    def statement(self, query: Query, sock: socket.socket) -> Iterator[Statement]:
        """Run one statement. Raises EngineError (202) after 10 s without a place."""
        if query.read_only and not self._read_only.acquire(timeout=READ_ONLY_WAIT_S):
            raise EngineError(_TOO_MANY_QUERIES, f"Too many queries: {READ_ONLY_MAX} at once")
        statement = Statement(query, sock)
        with self._changed:
            self._running.add(statement)
        try:
            yield statement
        finally:
            with self._changed:
                self._running.discard(statement)
                self._changed.notify_all()
            if query.read_only:
                self._read_only.release()

    def others(self, own: Statement) -> list[Statement]:
        """Return what else is under way."""
        with self._changed:
            return [statement for statement in self._running if statement is not own]

    def kill(self, statements: list[Statement], *, wait: bool) -> None:
        """End these, wherever they are; return at once, or when they have ended (10 s at most)."""
        for statement in statements:
            statement.killed = True
            self._engine.kill(statement.query.label)
            if statement.receiving:
                _close(statement.socket)  # its thread waits for a client that may be frozen
        if wait:
            with self._changed:
                self._changed.wait_for(lambda: self._running.isdisjoint(statements), KILL_S_MAX)

    def drain(self, timeout_s: float) -> None:
        """Return when no statement runs any more, or after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout_s)

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_S)
            with self._changed:
                running = list(self._running)
            for statement in running:
                if statement.streaming and (statement.left or _has_news(statement.socket)):
                    statement.left = True
                    self._end(statement)  # again, if the engine had not begun when it was told

    def _end(self, statement: Statement) -> None:
        try:
            self._engine.kill(statement.query.label)
        except EngineError as error:
            print(f"{statement.query.label} could not be ended: {error}", file=sys.stderr, flush=True)


def _has_news(sock: socket.socket) -> bool:
    """Tell whether the client has left or sent something, which can only be a cancel."""
    poll = select.poll()
    try:
        poll.register(sock, select.POLLIN)
    except ValueError:  # closed a moment ago: its query is over
        return False
    return bool(poll.poll(0))


def _close(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster
