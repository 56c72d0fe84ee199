"""The rules on addresses and persons: how many events within a minute, over all workers.

The counters are in the key store, by minute of the event; a sliding minute is this one and what is left
of the one before. Nearly all addresses and persons do little, so a worker counts for itself first and
shares a counter once it has seen a sixteenth of the limit: one call a batch, and few counters in it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import dialects
from schemas.event import Event
from stores.base import KeyStore, StoreUnavailable
from workers import metrics
from workers.consent import BITS
from workers.fraud.rules import (
    COUNTERS_KEPT_MS,
    IP_EVENTS_MAX,
    PERSON_EVENTS_MAX,
    SHARED_FROM,
    VELOCITY_WINDOW_MS,
    Reason,
)

Key = tuple[Literal["ip", "person"], int, str, int]
"""Tenant, the address or person, and the number of the window since 1970."""

_NAME = "%s|%d|%s|%d"
_RULES: dict[str, tuple[int, Reason]] = {
    "ip": (IP_EVENTS_MAX, "velocity_ip"),
    "person": (PERSON_EVENTS_MAX, "velocity_person"),
}
_FEWEST = min(IP_EVENTS_MAX, PERSON_EVENTS_MAX)
_SHARED_FROM = {of: events_max * SHARED_FROM for of, (events_max, _) in _RULES.items()}
_SHARED_FROM_FEWEST = min(_SHARED_FROM.values())

SEEN_MAX = 100_000
"""Addresses and persons by minute, of this worker alone; about 30 MB. A batch more, in passing."""

SERVER_SIDE = frozenset(
    dialect.name
    for dialect in dialects.discover()
    if not any(endpoint.browser for endpoint in dialect.endpoints)
)
"""Dialects whose connection is the shop's own server: it says nothing about a shopper."""

_LOCATION, _IDENTITY = BITS["location"], BITS["identity"]


def address_key(event: Event) -> Key | None:
    """Return whose address it is and when, or None where no rule may judge by it."""
    if not event.ip or not event.allowed & _LOCATION:
        return None
    if event.ip_source == "event":
        return ("ip", event.tenant_id, event.ip, event.occurred_at // VELOCITY_WINDOW_MS)
    if event.dialect in SERVER_SIDE:
        return None
    # What a connection says is true of when it was there, whatever time the event claims.
    return ("ip", event.tenant_id, event.ip, event.received_at // VELOCITY_WINDOW_MS)


def person_key(event: Event) -> Key | None:
    """Return whose event it is and when, or None."""
    if event.person_id is None or not event.allowed & _IDENTITY:
        return None
    return ("person", event.tenant_id, event.person_id, event.occurred_at // VELOCITY_WINDOW_MS)


class Velocity:
    """Counts in the key store; silent, and that is counted, while it is down."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._seen: dict[Key, int] = {}
        self._seen_before: dict[Key, int] = {}

    async def judge(
        self,
        events: Sequence[Event],
        addresses: Sequence[Key | None],
        persons: Sequence[Key | None],
        first_new: int,
    ) -> Mapping[int, list[Reason]]:
        """Return the reasons against events, by index, where there are any.

        The two lists are parallel to `events`; those before `first_new` were counted earlier.
        """
        numbers = Counter((*addresses[first_new:], *persons[first_new:]))
        for key in (*addresses[:first_new], *persons[:first_new]):
            numbers.setdefault(key, 0)
        busy = self._busy(numbers)
        if not busy:
            return {}
        try:
            hot = await self._hot(busy, numbers)
        except StoreUnavailable:
            metrics.FRAUD_UNCOUNTED.inc()
            return {}
        reasons: dict[int, list[Reason]] = {}
        for keys in (addresses, persons) if hot else ():
            _walk(events, keys, first_new, hot, reasons)
        return reasons

    def _busy(self, numbers: "Counter[Key | None]") -> dict[Key, int]:
        """Count here; return what is to be added to shared counters, also where that is nothing new."""
        if len(self._seen) >= SEEN_MAX // 2:
            self._seen_before, self._seen = self._seen, {}
        seen, before = self._seen, self._seen_before
        busy: dict[Key, int] = {}
        for key, number in numbers.items():
            if key is None:
                continue
            seen[key] = total = (seen.get(key) or before.get(key, 0)) + number
            if total >= _SHARED_FROM_FEWEST and total >= (shared_from := _SHARED_FROM[key[0]]):
                busy[key] = number if total - number >= shared_from else total
        return busy

    async def _hot(self, busy: dict[Key, int], numbers: "Counter[Key | None]") -> dict[Key, tuple[int, int]]:
        """Share; return the keys with many events: in this window before this batch, in the one before."""
        names = [_NAME % key for key in busy]
        befores = [_NAME % (of, tenant_id, name, window - 1) for of, tenant_id, name, window in busy]
        counts = dict.fromkeys(befores, 0)
        counts.update(zip(names, busy.values(), strict=True))
        totals = dict(zip(counts, await self._keys.count(counts, COUNTERS_KEPT_MS), strict=True))
        return {
            key: (totals[name] - numbers[key], totals[before])
            for key, name, before in zip(busy, names, befores, strict=True)
            if totals[name] + totals[before] > _FEWEST
        }


def _walk(
    events: Sequence[Event],
    keys: Sequence[Key | None],
    first_new: int,
    hot: dict[Key, tuple[int, int]],
    reasons: dict[int, list[Reason]],
) -> None:
    for index, key in enumerate(keys):
        if key is None or key not in hot:
            continue
        number, before = hot[key]
        if index >= first_new:
            number += 1
            hot[key] = (number, before)
        event = events[index]
        is_received = key[0] == "ip" and event.ip_source == "connection"
        into_ms = (event.received_at if is_received else event.occurred_at) % VELOCITY_WINDOW_MS
        events_max, reason = _RULES[key[0]]
        if number + before * (1 - into_ms / VELOCITY_WINDOW_MS) > events_max:
            reasons.setdefault(index, []).append(reason)
