"""What purchases usually amount to: a quantile over a stream, in bounded memory.

Amounts are counted in buckets whose bounds grow by a tenth, so the quantile is right to 5 % whatever the
amounts are. One absurd amount is one count: it cannot lift the estimate (docs/decisions/0108).
"""

from math import ceil, inf, log

from workers.fraud.rules import REVENUE_FACTOR, REVENUE_PURCHASES_MIN, REVENUE_QUANTILE

GROWTH = 1.1
BUCKETS_MAX = 256
"""At most 25 KB; usual prices of one shop fill some 80 of them."""

MEMORY = 5_000
"""From so many on all counts are halved: what was usual last year fades."""

LOOK_EVERY = 32

_LOG_GROWTH = log(GROWTH)


class Usual:
    """The amounts of one tenant in one currency. `limit` is what a purchase may amount to."""

    __slots__ = ("_buckets", "_total", "_until_look", "limit")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._total = 0
        self._until_look = REVENUE_PURCHASES_MIN
        self.limit = inf

    def add(self, amount: float) -> None:
        """Count one purchase; `amount` > 0."""
        bucket = ceil(log(amount) / _LOG_GROWTH)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self._total += 1
        self._until_look -= 1
        if self._total > MEMORY or len(self._buckets) > BUCKETS_MAX:
            self._fade()
        if self._until_look <= 0:
            self._until_look = LOOK_EVERY
            self.limit = self._quantile() * REVENUE_FACTOR if self._total >= REVENUE_PURCHASES_MIN else inf

    def _quantile(self) -> float:
        above = self._total - ceil(self._total * REVENUE_QUANTILE)
        for bucket in sorted(self._buckets, reverse=True):
            above -= self._buckets[bucket]
            if above < 0:
                return 2 * GROWTH**bucket / (GROWTH + 1)
        raise AssertionError("not reached")

    def _fade(self) -> None:
        self._buckets = {bucket: count // 2 for bucket, count in self._buckets.items() if count > 1}
        self._total = sum(self._buckets.values())
