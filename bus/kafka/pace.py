"""How often batches are sent: all partitions together, and at most every few milliseconds.

What a batch costs us and the broker hardly depends on how many records it has. Under load it pays
to wait for a few more; when little comes, nothing waits (docs/decisions/0151).
"""

import asyncio
from collections.abc import Callable

EVERY_S = 0.002


class Pace:
    """Calls `release` when asked to: in the loop's next turn, but not within `every_s` of its last call."""

    def __init__(self, release: Callable[[], None], every_s: float = EVERY_S) -> None:
        self._release = release
        self._every_s = every_s
        self._next = 0.0
        self._asked = False

    def ask(self) -> None:
        """Have it called once more, however many ask until then."""
        if self._asked:
            return
        self._asked = True
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next:
            loop.call_soon(self._call)
        else:
            loop.call_at(self._next, self._call)

    def _call(self) -> None:
        self._asked = False
        self._next = asyncio.get_running_loop().time() + self._every_s
        self._release()
