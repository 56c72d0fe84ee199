"""What keeps a client from holding up the others: few ad-hoc queries at once, none for one that left."""

import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.dev.clickhouse.engine import Engine, EngineError

READ_ONLY_MAX = 8
"""Read-only queries at once: all that people, the api and the verification of inserts ask."""

READ_ONLY_WAIT_S = 10.0
LOOK_S = 0.2

_TOO_MANY_QUERIES = 202


@dataclass(eq=False)
class Watch:
    """A query whose client is watched; `cancelled` when it was ended for the client's sake."""

    socket: socket.socket
    label: str
    cancelled: bool = False


class Limits:
    """Shared by all clients; thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read_only = threading.BoundedSemaphore(READ_ONLY_MAX)
        self._lock = threading.Condition()
        self._running = 0
        self._watches: set[Watch] = set()
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    @contextmanager
    def statement(self, *, read_only: bool) -> Iterator[None]:
        """Run one statement. Raises EngineError (202) after 10 s without a place."""
        if read_only and not self._read_only.acquire(timeout=READ_ONLY_WAIT_S):
            raise EngineError(_TOO_MANY_QUERIES, f"Too many queries: {READ_ONLY_MAX} at once")
        try:
            with self._counted():
                yield
        finally:
            if read_only:
                self._read_only.release()

    def drain(self, timeout_s: float) -> None:
        """Return when no statement runs any more, or after `timeout_s`."""
        with self._lock:
            self._lock.wait_for(lambda: self._running == 0, timeout_s)

    @contextmanager
    def watched(self, sock: socket.socket, label: str) -> Iterator[Watch]:
        """End the query `label` if its client cancels it or leaves."""
        watch = Watch(sock, label)
        with self._lock:
            self._watches.add(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._watches.discard(watch)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._lock.notify_all()

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_S)
            with self._lock:
                done = [watch for watch in self._watches if not watch.cancelled and _gave_up(watch.socket)]
            for watch in done:
                watch.cancelled = True
                try:
                    self._engine.kill(watch.label)
                except EngineError as error:
                    print(f"query {watch.label} could not be ended: {error}", file=sys.stderr, flush=True)


def _gave_up(sock: socket.socket) -> bool:
    """Tell whether the client has left or sent something, which can only be a cancel."""
    poll = select.poll()
    try:
        poll.register(sock, select.POLLIN)
    except ValueError:  # closed a moment ago: its query is over
        return False
    return bool(poll.poll(0))
