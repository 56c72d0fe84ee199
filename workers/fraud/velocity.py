"""The rules on addresses and persons: how many events within a minute, over all workers.

The counters are in the key store, by minute of the event; a sliding minute is this one and what is left
of the one before. Nearly all addresses and persons do little, so a worker counts for itself first and
shares a counter once it has seen a sixteenth of the limit: one call a batch, and few counters in it.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import dialects
from schemas.event import Event
from stores.base import KeyStore, StoreUnavailable
from workers import metrics
from workers.consent import BITS
from workers.fraud.minutes import Minute, Minutes
from workers.fraud.rules import (
    COUNTERS_KEPT_MS,
    IP_EVENTS_MAX,
    PERSON_EVENTS_MAX,
    SHARED_FROM,
    VELOCITY_WINDOW_MS,
    Reason,
)

_NAME = "%s|%d|%s|%d"
_RULES: dict[str, tuple[int, Reason]] = {
    "ip": (IP_EVENTS_MAX, "velocity_ip"),
    "person": (PERSON_EVENTS_MAX, "velocity_person"),
}
_FEWEST = min(IP_EVENTS_MAX, PERSON_EVENTS_MAX)
_SHARED_FROM = {of: events_max * SHARED_FROM for of, (events_max, _) in _RULES.items()}

SEEN_MAX = 100_000
"""Addresses and persons by minute, of this worker alone; about 15 MB. A batch more, in passing."""

SERVER_SIDE = frozenset(
    dialect.name
    for dialect in dialects.discover()
    if not any(endpoint.browser for endpoint in dialect.endpoints)
)
"""Dialects whose connection is the shop's own server: it says nothing about a shopper."""

_LOCATION, _IDENTITY = BITS["location"], BITS["identity"]


def has_address(event: Event) -> bool:
    """Tell whether a rule may judge by the event's address."""
    return (
        event.ip != ""
        and event.allowed & _LOCATION != 0
        and (event.ip_source == "event" or event.dialect not in SERVER_SIDE)
    )


class _Busy(NamedTuple):
    """Who does much in a minute, of whom the counter is shared."""

    minute: Minute
    name: str
    number: int  # in this batch
    unshared: int  # what the key store has not been told yet, also where that is nothing new


class Velocity:
    """Counts in the key store; silent, and that is counted, while it is down."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._seen = Minutes(SEEN_MAX)

    async def judge(
        self, events: Sequence[Event], addressed: Sequence[bool], first_new: int
    ) -> Mapping[int, list[Reason]]:
        """Return the reasons against events, by index, where there are any.

        `addressed` says of each event what `has_address` does; those before `first_new` were counted earlier.
        """
        met = _by_minute(events, addressed)
        busy = self._count(events, met, first_new)
        if not busy:
            return {}
        try:
            hot = await self._hot(busy)
        except StoreUnavailable:
            metrics.FRAUD_UNCOUNTED.inc()
            return {}
        reasons: dict[int, list[Reason]] = {}
        for minute, numbers in hot.items():
            for place in _too_fast(events, met[minute], minute, first_new, numbers):
                reasons.setdefault(place, []).append(_RULES[minute.of][1])
        return reasons

    def _count(self, events: Sequence[Event], met: Mapping[Minute, list[int]], first_new: int) -> list[_Busy]:
        """Count here, and return what is to be shared."""
        self._seen.turn()
        found: list[_Busy] = []
        for minute, places in met.items():
            names = _names(events, places, minute)
            new = bisect_left(places, first_new)
            counts = self._seen.count(minute, names, new)
            shared_from = _SHARED_FROM[minute.of]
            busy = {name for name in names if counts[name] >= shared_from}
            if busy:
                numbers = Counter(name for name in names[new:] if name in busy)
                for name in busy:
                    total, number = counts[name], numbers[name]
                    is_shared = total - number >= shared_from
                    found.append(_Busy(minute, name, number, number if is_shared else total))
        return found

    async def _hot(self, busy: Sequence[_Busy]) -> dict[Minute, dict[str, tuple[int, int]]]:
        """Share; return the names with many events: in this minute before this batch, in the one before."""
        names = [_NAME % (*minute[:2], name, minute.window) for minute, name, _, _ in busy]
        befores = [_NAME % (*minute[:2], name, minute.window - 1) for minute, name, _, _ in busy]
        counts = dict.fromkeys(befores, 0)
        counts.update((name, one.unshared) for name, one in zip(names, busy, strict=True))
        totals = dict(zip(counts, await self._keys.count(counts, COUNTERS_KEPT_MS), strict=True))
        hot: dict[Minute, dict[str, tuple[int, int]]] = {}
        for one, name, before in zip(busy, names, befores, strict=True):
            if totals[name] + totals[before] > _FEWEST:
                hot.setdefault(one.minute, {})[one.name] = (totals[name] - one.number, totals[before])
        return hot


def _by_minute(events: Sequence[Event], addressed: Sequence[bool]) -> dict[Minute, list[int]]:
    """Return the indices of events: of addresses first, then of persons."""
    addresses: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    persons: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, (event, has_address) in enumerate(zip(events, addressed, strict=True)):
        window = event.occurred_at // VELOCITY_WINDOW_MS
        if event.person_id is not None and event.allowed & _IDENTITY:
            persons[event.tenant_id, window].append(index)
        if has_address:
            if event.ip_source != "event":
                # What a connection says is true of when it was there, whatever time the event claims.
                window = event.received_at // VELOCITY_WINDOW_MS
            addresses[event.tenant_id, window].append(index)
    met = {Minute("ip", *when): places for when, places in addresses.items()}
    return met | {Minute("person", *when): places for when, places in persons.items()}


def _names(events: Sequence[Event], places: Sequence[int], minute: Minute) -> list[str]:
    if minute.of == "ip":
        return [events[place].ip for place in places]
    return [events[place].person_id or "" for place in places]


def _too_fast(
    events: Sequence[Event],
    places: Sequence[int],
    minute: Minute,
    first_new: int,
    numbers: dict[str, tuple[int, int]],
) -> Iterator[int]:
    events_max, _ = _RULES[minute.of]
    for place, name in zip(places, _names(events, places, minute), strict=True):
        if name not in numbers:
            continue
        number, before = numbers[name]
        if place >= first_new:
            number += 1
            numbers[name] = (number, before)
        event = events[place]
        is_received = minute.of == "ip" and event.ip_source == "connection"
        into_ms = (event.received_at if is_received else event.occurred_at) % VELOCITY_WINDOW_MS
        if number + before * (1 - into_ms / VELOCITY_WINDOW_MS) > events_max:
            yield place
