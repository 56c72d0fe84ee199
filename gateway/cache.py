"""A bounded memory of look-ups: old answers are renewed in the background and outlive an outage."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import islice
from time import monotonic
from typing import Generic, TypeVar

from gateway.metrics import Metrics
from stores.base import KEYS_MAX, StoreUnavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

OLD_S = 30.0
"""An answer as old as this is asked for again before it is used, unless nobody answers."""

IN_USE_S = 300.0
"""What was used within so long is renewed with the others, so that it is at hand when it is used again."""

LOOKUP_S = 1.0
"""The registry has so long to answer; a producer is waiting."""

RETRY_S = 1.0
"""After a failure nobody asks for so long: known answers are given at once, unknown ones refused at once."""

log = logging.getLogger("penstock.gateway")


class _Entry(Generic[V]):
    __slots__ = ("read_at", "used_at", "value")

    def __init__(self, value: V, read_at: float, used_at: float) -> None:
        self.value = value
        self.read_at = read_at
        self.used_at = used_at


class Cache(Generic[K, V]):
    """Remembers what `load` returned, and what it left out.

    The two are bounded apart, so that guesses can't push out what is known. An answer is used for
    `fresh_s`, then on while it is renewed; a known one is given for as long as the registry is down.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        fresh_s: float,
        known_max: int,
        unknown_max: int,
        metrics: Metrics,
    ) -> None:
        self._name = name
        self._load = load
        self._fresh_s = min(fresh_s, OLD_S)
        self._known: dict[K, _Entry[V]] = {}
        self._unknown: dict[K, float] = {}
        self._known_max = known_max
        self._unknown_max = unknown_max
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._lapsed: list[K] = []
        self._reading: asyncio.Task[None] | None = None
        self._down_until = 0.0
        self._metrics = metrics

    async def get(self, key: K) -> V | None:
        """Return what the registry has, at most 30 s ago. Raises StoreUnavailable if that can't be told."""
        now = monotonic()
        entry = self._known.get(key)
        if entry is None:
            since = self._unknown.get(key)
            return None if since is not None and now - since < self._fresh_s else await self._ask(key, now)
        entry.used_at = now
        if now - entry.read_at < self._fresh_s:
            return entry.value
        if now - entry.read_at < OLD_S or now < self._down_until:
            self._renew(now)
            return entry.value
        try:
            return await self._ask(key, now)
        except StoreUnavailable:
            return entry.value

    async def _ask(self, key: K, now: float) -> V | None:
        """Wait for the registry, together with everyone who wants to know the same."""
        if now < self._down_until:
            raise self._unavailable()
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
            self._read_on()
        return await asyncio.shield(answer)

    def _renew(self, now: float) -> None:
        """Have all that is in use read anew where half its time is over: so this comes up seldom."""
        if self._lapsed or now < self._down_until:
            return
        before, since = now - self._fresh_s / 2, now - IN_USE_S
        self._lapsed = [
            key for key, entry in self._known.items() if entry.read_at <= before and entry.used_at >= since
        ]
        self._read_on()

    def _read_on(self) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())

    async def _read_all(self) -> None:
        """Read what is asked for, then what lapsed; what comes during a call shares the next."""
        failure: Exception = self._unavailable()
        try:
            while self._asked or self._lapsed:
                asked = list(islice(self._asked, KEYS_MAX))
                room = KEYS_MAX - len(asked)
                lapsed, self._lapsed = self._lapsed[:room], self._lapsed[room:]
                await self._read(list(dict.fromkeys(asked + lapsed)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to those who wait
            failure = error
        finally:
            self._reading = None
            unanswered, self._asked, self._lapsed = self._asked, {}, []
            for answer in unanswered.values():
                answer.set_exception(failure)
                answer.exception()  # seen: nobody may be waiting any more

    async def _read(self, keys: Sequence[K]) -> None:
        began = monotonic()
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await self._load(keys)
        except (StoreUnavailable, TimeoutError):
            self._metrics.lookups.labels(self._name, "unavailable").inc()
            if monotonic() >= self._down_until:
                log.warning("the registry does not answer: %s are served from memory", self._name)
            self._down_until = monotonic() + RETRY_S
            raise self._unavailable() from None
        self._metrics.lookups.labels(self._name, "known").inc(len(found))
        self._metrics.lookups.labels(self._name, "unknown").inc(len(keys) - len(found))
        for key in keys:
            value = found.get(key)
            self._remember(key, value, began)
            answer = self._asked.pop(key, None)
            if answer is not None:
                answer.set_result(value)

    def _unavailable(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._name}: the registry did not answer")

    def _remember(self, key: K, value: V | None, read_at: float) -> None:
        before = self._known.pop(key, None)
        self._unknown.pop(key, None)
        if value is None:
            self._unknown[key] = read_at
            _bound(self._unknown, self._unknown_max)
        else:
            self._known[key] = _Entry(value, read_at, before.used_at if before else read_at)
            _bound(self._known, self._known_max)


def _bound(entries: dict[K, V], size_max: int) -> None:
    """Forget the entry that was read longest ago; what is in use is read again and again."""
    if len(entries) > size_max:
        del entries[next(iter(entries))]
