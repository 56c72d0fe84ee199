"""A lock between processes that is given in turn, so that a busy one cannot starve the others."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.0005


class LockTimeout(OSError):
    """Another process (a frozen one, perhaps) held the lock for too long."""


class FairLock:
    """An exclusive lock on `<path>.lock`; the kernel gives it back when its holder dies.

    Whoever wants it first takes `<path>.turn` and keeps that while it waits. The holder that comes again
    finds the turn taken, so it is next but one.
    """

    def __init__(self, path: Path) -> None:
        self._lock = _open(path.with_name(path.name + ".lock"))
        self._turn = _open(path.with_name(path.name + ".turn"))

    @contextmanager
    def held(self, wait_s: float) -> Iterator[None]:
        """Hold the lock. Raises LockTimeout if it is not had within `wait_s`."""
        give_up_at = time.monotonic() + wait_s
        _take(self._turn, give_up_at)
        try:
            _take(self._lock, give_up_at)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files."""
        os.close(self._lock)
        os.close(self._turn)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _take(fd: int, give_up_at: float) -> None:
    # Polled: a wait inside flock() itself could not be given up.
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                raise LockTimeout("another process holds the lock") from None
            time.sleep(POLL_S)
        else:
            return
