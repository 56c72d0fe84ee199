"""Rate limits of all processes together; while the store is down, each process decides alone.

Counters are only ever shared: what one process saw is no answer, so `count` raises then.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from stores.base import Limit, Permit, StoreUnavailable
from stores.keys.gcra import UNLIMITED, tightest
from stores.keys.memory import NS_PER_MS, MemoryKeys
from stores.keys.recent import Recent
from stores.keys.redis import RedisKeys

SHARED_PER_MINUTE_MAX = 1_000
"""Up to this rate every request asks the store; above it permits are drawn ahead."""

DRAW_MS = 100
"""What is drawn at once: the permits of so much time. A process that stops using a bucket may hold that
many back and use them later, so a limit is overshot by at most that for each process."""

LEASES_MAX = 100_000
"""Buckets with permits at hand in one process; the oldest are forgotten with their permits."""

_LEASE_KEPT_NS = 60_000 * NS_PER_MS


class _Lease:
    """What this process holds of one bucket: permits to spend, or a refusal that stands for a while."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.permits = 0
        self.permit = UNLIMITED  # the store's answer to the last draw
        self.drawn_ns = 0
        self.refused_ns = 0

    def spend(self, now_ns: int) -> Permit:
        """Take a permit, or tell that there is none."""
        passed_ms = (now_ns - self.drawn_ns) // NS_PER_MS
        granted = self.permits > 0
        self.permits -= granted
        return Permit(
            allowed=granted,
            limit=self.permit.limit,
            remaining=self.permit.remaining + self.permits,
            retry_after_ms=0 if granted else max(self.permit.retry_after_ms - passed_ms, 1),
            reset_ms=max(self.permit.reset_ms - passed_ms, 0),
        )


class SharedLimits:
    """Implements stores.base.KeyStore over a store that may be down; `take` never raises.

    `alone_total` counts the decisions made without the store; `on_alone`, which may be set later, is
    called with each.
    """

    def __init__(
        self,
        store: RedisKeys,
        *,
        on_alone: Callable[[], None] | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.alone_total = 0
        self.on_alone = on_alone
        self._store = store
        self._clock_ns = clock_ns
        self._alone = MemoryKeys(clock_ns=clock_ns)
        self._leases = Recent[_Lease](entries_max=LEASES_MAX, keep=_LEASE_KEPT_NS)

    async def take(self, limits: Sequence[Limit]) -> Permit:
        """Take one permit from every limit, or from none if one refuses."""
        if len(limits) == 1 and _is_fast(limits[0]):
            lease = self._leases.get(limits[0].key)
            if lease is not None and lease.permits:  # what nearly every request of a token finds
                return lease.spend(self._clock_ns())
        try:
            return await self._take_shared(limits)
        except StoreUnavailable:
            self.alone_total += 1
            if self.on_alone is not None:
                self.on_alone()
            return self._alone.decide(limits)

    async def _take_shared(self, limits: Sequence[Limit]) -> Permit:
        slow = [limit for limit in limits if not _is_fast(limit)]
        if len(slow) == len(limits):
            return await self._store.take(limits)
        permits: list[Permit] = []
        spent: list[_Lease] = []
        kept = False
        try:
            for limit in filter(_is_fast, limits):
                lease = await self._lease(limit)
                permits.append(lease.spend(self._clock_ns()))
                if not permits[-1].allowed:
                    return permits[-1]
                spent.append(lease)
            if slow:
                permits.append(await self._store.take(slow))
            kept = permits[-1].allowed
            return tightest(permits)
        finally:
            if not kept:
                for lease in spent:
                    lease.permits += 1

    async def _lease(self, limit: Limit) -> _Lease:
        """Return the bucket's lease, with permits or with a refusal that stands."""
        lease = self._leases.get(limit.key)
        if lease is None:
            lease = _Lease()
            self._leases.put(limit.key, lease, self._clock_ns())
        if self._is_spent(lease):
            async with lease.lock:  # those who wait here share what the first one draws
                if self._is_spent(lease):
                    await self._draw(lease, limit)
        return lease

    def _is_spent(self, lease: _Lease) -> bool:
        return lease.permits == 0 and self._clock_ns() >= lease.refused_ns

    async def _draw(self, lease: _Lease, limit: Limit) -> None:
        wanted = -(-limit.requests * DRAW_MS // limit.period_ms)
        (grant,) = await self._store.draw([limit], wanted)
        now = self._clock_ns()
        lease.permits, lease.permit, lease.drawn_ns = grant.permits, grant.permit, now
        if not grant.permits:
            lease.refused_ns = now + min(grant.permit.retry_after_ms, DRAW_MS) * NS_PER_MS
        self._leases.put(limit.key, lease, now)

    async def count(self, counts: Mapping[str, int], keep_ms: int) -> Sequence[int]:
        """Add to the counters. Raises StoreUnavailable."""
        return await self._store.count(counts, keep_ms)

    async def probe(self) -> None:
        """Return if the store answers, else raise StoreUnavailable: limits are per process then."""
        await self._store.probe()

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._store.__aexit__()


def _is_fast(limit: Limit) -> bool:
    return limit.requests * 60_000 > SHARED_PER_MINUTE_MAX * limit.period_ms
