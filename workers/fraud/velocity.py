"""The rules on addresses and persons: how many events within a minute, over all workers.

The counters are in the key store, by minute of the event; a sliding minute is this one and what is left
of the one before. Nearly all addresses and persons do little, so a worker counts for itself first and
shares a counter once it has seen a sixteenth of the limit: one call a batch, and few counters in it.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

import dialects
from schemas.event import Event
from stores.base import KeyStore, StoreUnavailable
from workers import metrics
from workers.consent import BITS
from workers.fraud.minutes import Minutes, When
from workers.fraud.rules import (
    COUNTERS_KEPT_MS,
    IP_EVENTS_MAX,
    PERSON_EVENTS_MAX,
    SHARED_FROM,
    VELOCITY_WINDOW_MS,
    Reasons,
)

Of = Literal["ip", "person"]

_NAME = "%s|%d|%s|%d"
_EVENTS_MAX: dict[Of, int] = {"ip": IP_EVENTS_MAX, "person": PERSON_EVENTS_MAX}
_FEWEST = min(_EVENTS_MAX.values())
_SHARED_FROM = {of: events_max * SHARED_FROM for of, events_max in _EVENTS_MAX.items()}

SEEN_MAX = 50_000
"""Addresses, and as many persons, by minute, of this worker alone; about 15 MB. A batch more, in passing."""

SERVER_SIDE = frozenset(
    dialect.name
    for dialect in dialects.discover()
    if not any(endpoint.browser for endpoint in dialect.endpoints)
)
"""Dialects whose connection is the shop's own server: it says nothing about a shopper."""

_LOCATION, _IDENTITY = BITS["location"], BITS["identity"]


def addressed(events: Sequence[Event]) -> list[bool]:
    """Tell of each event whether a rule may judge by its address."""
    return [
        event.ip != ""
        and event.allowed & _LOCATION != 0
        and (event.ip_source == "event" or event.dialect not in SERVER_SIDE)
        for event in events
    ]


class _Minute(NamedTuple):
    """Whose events, and when: `window` is the number of the minute since 1970."""

    of: Of
    tenant_id: int
    window: int


class _Busy(NamedTuple):
    """Who does much in a minute, of whom the counter is shared."""

    minute: _Minute
    name: str
    number: int  # in this batch
    unshared: int  # what the key store has not been told yet, also where that is nothing new


_Hot = dict[_Minute, dict[str, tuple[int, int]]]
"""Names with many events in a minute: how many there before this batch, and in the minute before."""


class Velocity:
    """Counts in the key store; silent, and that is counted, while it is down."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._seen: dict[Of, Minutes] = {of: Minutes(SEEN_MAX) for of in _EVENTS_MAX}

    async def judge(
        self, events: Sequence[Event], addressed: Sequence[bool], first_new: int, reasons: Reasons
    ) -> None:
        """Add the reasons against events; those before `first_new` were counted earlier."""
        busy = self._count(events, addressed, first_new)
        if not busy:
            return
        try:
            hot = await self._hot(busy)
        except StoreUnavailable:
            metrics.FRAUD_UNCOUNTED.inc()
            return
        if hot:
            _judge(events, addressed, first_new, hot, reasons)

    def _count(self, events: Sequence[Event], addressed: Sequence[bool], first_new: int) -> list[_Busy]:
        """Count here, and return what is to be shared."""
        old = _by_minute(events[:first_new], addressed[:first_new])
        new = _by_minute(events[first_new:], addressed[first_new:])
        found: list[_Busy] = []
        for of, seen in self._seen.items():
            seen.turn()
            shared_from, before, now = _SHARED_FROM[of], old[of], new[of]
            for when in {**before, **now} if before else now:
                counted, fresh = before.get(when, []), now.get(when, [])
                busy = seen.count(when, [*counted, *fresh] if counted else fresh, len(counted), shared_from)
                if busy:
                    numbers = Counter(name for name in fresh if name in busy)
                    for name, total in busy.items():
                        number = numbers[name]
                        is_shared = total - number >= shared_from
                        found.append(_Busy(_Minute(of, *when), name, number, number if is_shared else total))
        return found

    async def _hot(self, busy: Sequence[_Busy]) -> _Hot:
        """Share what is new, and return what all workers saw."""
        names = [_NAME % (*minute[:2], name, minute.window) for minute, name, _, _ in busy]
        befores = [_NAME % (*minute[:2], name, minute.window - 1) for minute, name, _, _ in busy]
        counts = dict.fromkeys(befores, 0)
        counts.update((name, one.unshared) for name, one in zip(names, busy, strict=True))
        totals = dict(zip(counts, await self._keys.count(counts, COUNTERS_KEPT_MS), strict=True))
        hot: _Hot = {}
        for one, name, before in zip(busy, names, befores, strict=True):
            if totals[name] + totals[before] > _FEWEST:
                hot.setdefault(one.minute, {})[one.name] = (totals[name] - one.number, totals[before])
        return hot


def _by_minute(events: Sequence[Event], addressed: Sequence[bool]) -> dict[Of, dict[When, list[str]]]:
    """Return whose events there are."""
    addresses: defaultdict[When, list[str]] = defaultdict(list)
    persons: defaultdict[When, list[str]] = defaultdict(list)
    for event, has_address in zip(events, addressed, strict=True):
        when = event.tenant_id, event.occurred_at // VELOCITY_WINDOW_MS
        if event.person_id is not None and event.allowed & _IDENTITY:
            persons[when].append(event.person_id)
        if has_address:
            if event.ip_source != "event":
                when = event.tenant_id, _heard_at(event) // VELOCITY_WINDOW_MS
            addresses[when].append(event.ip)
    return {"ip": addresses, "person": persons}


def _judge(
    events: Sequence[Event], addressed: Sequence[bool], first_new: int, hot: _Hot, reasons: Reasons
) -> None:
    for place, (event, has_address) in enumerate(zip(events, addressed, strict=True)):
        is_new = place >= first_new
        if has_address and _is_too_fast("ip", event, event.ip, _heard_at(event), hot, is_new=is_new):
            reasons[place].append("velocity_ip")
        person = event.person_id if event.allowed & _IDENTITY else None
        if person and _is_too_fast("person", event, person, event.occurred_at, hot, is_new=is_new):
            reasons[place].append("velocity_person")


def _heard_at(event: Event) -> int:
    """Return when the event's address was its own: a connection's when it was there, whatever it claims."""
    return event.occurred_at if event.ip_source == "event" else event.received_at


def _is_too_fast(of: Of, event: Event, name: str, at: int, hot: _Hot, *, is_new: bool) -> bool:
    window, into_ms = divmod(at, VELOCITY_WINDOW_MS)
    numbers = hot.get(_Minute(of, event.tenant_id, window), {})
    if name not in numbers:
        return False
    number, before = numbers[name]
    if is_new:
        number += 1
        numbers[name] = (number, before)
    return number + before * (1 - into_ms / VELOCITY_WINDOW_MS) > _EVENTS_MAX[of]
