"""A bounded memory of look-ups: old answers are renewed in the background and outlive an outage."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Generic, TypeVar

from gateway.metrics import Metrics
from stores.base import StoreUnavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

OLD_S = 30.0
"""An answer as old as this is asked for again before it is used, unless nobody answers."""

LOOKUP_S = 1.0
"""The registry has so long to answer; a producer is waiting."""

RETRY_S = 1.0
"""After a failure nobody asks for so long: known answers are given at once, unknown ones refused at once."""

log = logging.getLogger("penstock.gateway")


class Cache(Generic[K, V]):
    """Remembers what `load` returned, and that it returned None.

    The two are bounded apart, so that guesses can't push out what is known. An answer is used for
    `fresh_s`, then once more while it is renewed; a known one is given for as long as the registry is down.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[K], Awaitable[V | None]],
        *,
        fresh_s: float,
        known_max: int,
        unknown_max: int,
        metrics: Metrics,
    ) -> None:
        self._name = name
        self._load = load
        self._fresh_s = min(fresh_s, OLD_S)
        self._known: dict[K, tuple[V, float]] = {}
        self._unknown: dict[K, float] = {}
        self._known_max = known_max
        self._unknown_max = unknown_max
        self._loading: dict[K, asyncio.Task[V | None]] = {}
        self._down_until = 0.0
        self._metrics = metrics

    async def get(self, key: K) -> V | None:
        """Return what the registry has, at most 30 s ago. Raises StoreUnavailable if that can't be told."""
        now = monotonic()
        entry = self._known.get(key)
        if entry is None:
            since = self._unknown.get(key)
            return None if since is not None and now - since < self._fresh_s else await self._ask(key, now)
        value, read_at = entry
        if now - read_at < self._fresh_s:
            return value
        if now - read_at < OLD_S or now < self._down_until:
            self._renew(key, now)
            return value
        try:
            return await self._ask(key, now)
        except StoreUnavailable:
            return value

    async def _ask(self, key: K, now: float) -> V | None:
        """Wait for the registry, together with everyone who wants to know the same."""
        if now < self._down_until:
            raise StoreUnavailable(f"{self._name}: the registry did not answer")
        task = self._loading.get(key) or self._start(key)
        return await asyncio.shield(task)

    def _renew(self, key: K, now: float) -> None:
        if now >= self._down_until and key not in self._loading:
            self._start(key)

    def _start(self, key: K) -> "asyncio.Task[V | None]":
        task = asyncio.create_task(self._read(key))
        self._loading[key] = task
        task.add_done_callback(lambda done: self._loaded(key, done))
        return task

    def _loaded(self, key: K, task: "asyncio.Task[V | None]") -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # whoever waits for it gets it; nobody may be waiting

    async def _read(self, key: K) -> V | None:
        try:
            async with asyncio.timeout(LOOKUP_S):
                value = await self._load(key)
        except (StoreUnavailable, TimeoutError):
            self._metrics.lookups.labels(self._name, "unavailable").inc()
            if monotonic() >= self._down_until:
                log.warning("the registry does not answer: %s are served from memory", self._name)
            self._down_until = monotonic() + RETRY_S
            raise StoreUnavailable(f"{self._name}: the registry did not answer") from None
        self._metrics.lookups.labels(self._name, "unknown" if value is None else "known").inc()
        self._remember(key, value)
        return value

    def _remember(self, key: K, value: V | None) -> None:
        self._known.pop(key, None)
        self._unknown.pop(key, None)
        if value is None:
            self._unknown[key] = monotonic()
            _bound(self._unknown, self._unknown_max)
        else:
            self._known[key] = (value, monotonic())
            _bound(self._known, self._known_max)


def _bound(entries: dict[K, V], size_max: int) -> None:
    """Forget the entry that was read longest ago; what is in use is read again and again."""
    if len(entries) > size_max:
        del entries[next(iter(entries))]
