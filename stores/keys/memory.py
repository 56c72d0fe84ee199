"""Rate limits and counters of one process, in its memory."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from stores.base import Limit, Permit
from stores.keys.gcra import UNLIMITED, permit_of
from stores.keys.recent import Recent

NS_PER_MS = 1_000_000

BUCKETS_MAX = 1_000_000
"""About 200 MB when full. Half of them written within one period: the oldest are forgotten, and so full."""

COUNTERS_MAX = 400_000
"""About 60 MB when full. Half of them begun within the time they are kept: the oldest are forgotten."""


class MemoryKeys:
    """Implements stores.base.KeyStore. `clock_ns` never goes back."""

    def __init__(
        self,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        buckets_max: int = BUCKETS_MAX,
        counters_max: int = COUNTERS_MAX,
    ) -> None:
        self._clock_ns = clock_ns
        self._keep_ms = 1_000
        self._full_at = Recent[int](entries_max=buckets_max, keep=self._keep_ms * NS_PER_MS)
        self._counted = Recent[int](entries_max=counters_max, keep=0)

    async def take(self, limits: Sequence[Limit]) -> Permit:
        """Take one permit from every limit, or from none if one refuses."""
        return self.decide(limits)

    def decide(self, limits: Sequence[Limit]) -> Permit:
        """Do what `take` does, without a coroutine."""
        now = self._clock_ns()
        ahead_of: list[int] = []
        longest, refusal = 0, UNLIMITED
        for limit in limits:
            interval = limit.period_ms * NS_PER_MS // limit.requests or 1
            ahead = (self._full_at.get(limit.key) or 0) - now
            ahead = ahead + interval if ahead > 0 else interval
            ahead_of.append(ahead)
            over = ahead - interval * limit.requests
            if over > longest:
                longest = over
                refusal = permit_of(limit, granted=False, ahead=ahead - interval, units_per_ms=NS_PER_MS)
        if longest:
            return refusal
        return self._spend(limits, ahead_of, now)

    def _spend(self, limits: Sequence[Limit], ahead_of: Sequence[int], now: int) -> Permit:
        answer = UNLIMITED
        for limit, ahead in zip(limits, ahead_of, strict=True):
            if limit.period_ms > self._keep_ms:
                self._keep_ms = limit.period_ms
                self._full_at.keep_at_least(self._keep_ms * NS_PER_MS)
            self._full_at.put(limit.key, now + ahead, now)
            permit = permit_of(limit, granted=True, ahead=ahead, units_per_ms=NS_PER_MS)
            if answer is UNLIMITED or permit.remaining < answer.remaining:
                answer = permit
        return answer

    async def count(self, counts: Mapping[str, int], keep_ms: int) -> Sequence[int]:
        """Add to the counters; a counter that is added to again and again is kept on."""
        now = self._clock_ns()
        counted = self._counted
        counted.keep_at_least(keep_ms * NS_PER_MS)
        totals: list[int] = []
        for name, number in counts.items():
            total = (counted.get(name) or 0) + number
            if number:
                counted.put(name, total, now)
            totals.append(total)
        return totals

    async def probe(self) -> None:
        """Return: memory always answers."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
