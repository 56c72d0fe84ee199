"""Fairness: long work on the event loop gives the other requests a turn every few milliseconds."""

import asyncio
from time import perf_counter

TURN_S = 0.005


class Turn:
    """The time one request may hold the loop before it lets the others run."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew after a wait: the others ran meanwhile."""
        self._ends = perf_counter() + TURN_S

    async def over(self) -> None:
        """Let others run if the turn is over. Cheap enough to ask every few dozen events."""
        if perf_counter() >= self._ends:
            await asyncio.sleep(0)
            self.begin()
