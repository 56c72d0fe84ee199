"""Asks again while a server that is meant to run does not answer: a machine under load can starve it."""

import time
from collections.abc import Callable
from typing import TypeVar

from bus.base import BusUnavailable
from stores.base import StoreUnavailable

T = TypeVar("T")

PATIENCE_S = 60.0
PAUSE_S = 0.5


def patiently(ask: Callable[[], T], *, seconds: float = PATIENCE_S) -> T:
    """Return its answer. Raises what it raised when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (BusUnavailable, StoreUnavailable):
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_S)
