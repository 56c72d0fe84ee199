"""The circuit breaker of a partition: a bad deploy must not bury a whole topic in dead letters.

It opens at 500 dead among the partition's last 10,000 events. While it is open the partition rests, but
for a trial of 500 records a minute; a trial with under 5 % dead, or an operator, closes it again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from schemas.topics import Partition

DEAD_MAX = 500
WINDOW_EVENTS = 10_000
TRIAL_EVERY_S = 60.0
TRIAL_EVENTS = DEAD_MAX
TRIAL_DEAD_SHARE = DEAD_MAX / WINDOW_EVENTS


class Breaker:
    """Counts by range, so the window is exact to one range."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: deque[tuple[int, int]] = deque()  # (taken, dead) of each range
        self._taken = 0
        self._dead = 0
        self._next_trial_at: float | None = None
        self._lifted = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether the partition rests."""
        return self._next_trial_at is not None

    @property
    def room(self) -> int:
        """How many more dead the window takes before the breaker opens; a trial may be all dead."""
        return TRIAL_EVENTS if self.open else DEAD_MAX - self._dead

    def may_take(self) -> int | None:
        """How many records may be taken now: None is no limit, 0 is none at all."""
        if self._next_trial_at is None:
            return None
        return TRIAL_EVENTS if self._clock() >= self._next_trial_at else 0

    def begin_trial(self) -> None:
        """Let nothing more pass for a minute."""
        self._rest()

    def record(self, taken: int, dead: int) -> bool:
        """Count a finished range. Return whether this opened the breaker."""
        if self._next_trial_at is not None:
            if dead < taken * TRIAL_DEAD_SHARE:
                self.lift()
            else:
                self._rest()
            return False
        self._recent.append((taken, dead))
        self._taken += taken
        self._dead += dead
        while self._recent and self._taken - self._recent[0][0] >= WINDOW_EVENTS:
            old_taken, old_dead = self._recent.popleft()
            self._taken -= old_taken
            self._dead -= old_dead
        if self._dead < DEAD_MAX:
            return False
        self._rest()
        return True

    def lift(self) -> None:
        """Close the breaker and forget what opened it."""
        self._recent.clear()
        self._taken = self._dead = 0
        self._next_trial_at = None
        self._lifted.set()

    async def rest(self) -> None:
        """Open the breaker, and return when it is lifted or at the next trial."""
        self._rest()
        try:
            await asyncio.wait_for(self._lifted.wait(), TRIAL_EVERY_S)
        except TimeoutError:
            return

    def _rest(self) -> None:
        self._next_trial_at = self._clock() + TRIAL_EVERY_S
        self._lifted.clear()


class Breakers:
    """One for each partition that this process ever owned: a rebalance does not close one."""

    def __init__(self) -> None:
        self._breakers: dict[Partition, Breaker] = {}

    def of(self, partition: Partition) -> Breaker:
        """Return the partition's breaker."""
        return self._breakers.setdefault(partition, Breaker())

    def resting(self) -> list[Partition]:
        """Return the partitions whose breaker is open."""
        return [partition for partition, breaker in self._breakers.items() if breaker.open]

    def lift(self) -> list[Partition]:
        """Close every open breaker and return whose they were."""
        opened = self.resting()
        for partition in opened:
            self._breakers[partition].lift()
        return opened
