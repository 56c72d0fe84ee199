"""One SQLite file as the log uses it: durable commits, one writer at a time over all processes."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from bus.base import BusUnavailable
from bus.log.lock import FairLock, LockTimeout

P = ParamSpec("P")
R = TypeVar("R")

FORMAT = 1
"""Of the files, in their `user_version`; raise it when a table changes."""

PAGE_BYTES = 4096

WAL_BYTES = 16 * 2**20
"""Written since the last checkpoint before the next one."""

WAL_BYTES_MAX = 8 * WAL_BYTES
"""Above it a checkpoint waits for the readers, so that the WAL starts over instead of growing."""

COMMIT_BYTES = 32 * 1024
"""What a commit adds to the WAL beside its payload, roughly: whole pages, where a row changed."""

_PRAGMAS = (
    "PRAGMA synchronous=FULL",  # a commit is on the disk when it returns
    "PRAGMA fullfsync=ON",  # on macOS fsync alone stops at the disk's cache
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA wal_autocheckpoint=0",  # see `Database.checkpoint`
    f"PRAGMA journal_size_limit={WAL_BYTES_MAX}",
)

Make = Callable[[sqlite3.Connection], None]


class Database:
    """A connection that is opened when needed and thrown away after any error, so the next call is clean.

    Every method raises BusUnavailable when the file cannot be used: disk full, corrupt, locked for longer
    than `wait_s`. Not for several threads at once; `run` gives it a thread of its own.
    """

    def __init__(self, path: Path, make: Make) -> None:
        self.path = path
        self._make = make
        self._connection: sqlite3.Connection | None = None
        self._lock: FairLock | None = None
        self._identity = (0, 0)
        self._wal_bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=path.stem)

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `call` in this file's thread, so that the event loop never waits for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(*args, **kwargs))

    @contextmanager
    def writing(self, wait_s: float) -> Iterator[sqlite3.Connection]:
        """One write transaction; committed, and on the disk, when the block ends without an exception."""
        with self._usable() as connection, self._held(wait_s):
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
            self._wal_bytes += COMMIT_BYTES

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One snapshot; a writer neither waits for it nor changes it."""
        with self._usable() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    def wrote(self, payload_bytes: int) -> None:
        """Count towards the next checkpoint."""
        self._wal_bytes += payload_bytes

    def checkpoint(self, wait_s: float) -> None:
        """Move the WAL into the file if enough was written.

        It holds the writers' lock: in SQLite before 3.51.3 a checkpoint beside a commit can lose
        acknowledged records (the WAL-reset bug).
        """
        if self._wal_bytes < WAL_BYTES:
            return
        with self._usable() as connection, self._held(wait_s):
            _, frames, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if moved < frames and frames * PAGE_BYTES > WAL_BYTES_MAX:
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            self._wal_bytes = 0

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def end(self) -> None:
        """Close the file and end its thread."""
        await self.run(self.close)
        self._thread.shutdown(wait=False)

    @contextmanager
    def _usable(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._opened()
        except LockTimeout as error:
            raise BusUnavailable(f"{self.path.name}: {error}") from error
        except (sqlite3.DatabaseError, OSError) as error:
            self.close()
            raise BusUnavailable(f"{self.path.name}: {error}") from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def _held(self, wait_s: float) -> Iterator[None]:
        assert self._lock is not None
        with self._lock.held(wait_s):
            yield

    def _opened(self) -> sqlite3.Connection:
        # A file that was deleted or replaced under us would take records into nowhere.
        if self._connection is not None and self._identity != _identity(self.path):
            self.close()
        if self._connection is None:
            self._open()
        assert self._connection is not None
        return self._connection

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FairLock(self.path)
        self._connection = sqlite3.connect(
            self.path, timeout=1.0, isolation_level=None, check_same_thread=False
        )
        for pragma in _PRAGMAS:
            self._connection.execute(pragma).fetchall()
        if _format(self._connection) == 0:
            self._make_once(self._connection, self._lock)
        found = _format(self._connection)
        if found != FORMAT:
            raise sqlite3.DatabaseError(f"the file has format {found}; this version reads {FORMAT}")
        self._identity = _identity(self.path)

    def _make_once(self, connection: sqlite3.Connection, lock: FairLock) -> None:
        with lock.held(wait_s=5.0):
            if _format(connection) != 0:
                return
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.execute("BEGIN IMMEDIATE")
            self._make(connection)
            connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.execute("COMMIT")


def _format(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    return (status.st_dev, status.st_ino)
