"""Who is behind an event: its person, and what its profile gains.

The rules are in workers/persons/, one file for customers and one for devices; docs/identity.md explains
them. A known event is answered from memory; the others of a batch ask the registry together.
"""

from collections.abc import Iterable, Sequence
from time import monotonic

import msgspec

from bus.base import Taken
from schemas.event import Event
from schemas.topics import Coordinates, Partition
from stores.base import StoreError
from workers import metrics
from workers.consent import BITS
from workers.lastused import LastUsed, LastUsedBy
from workers.persons.cache import Device, Names, Standing, is_short
from workers.persons.decision import Decision
from workers.persons.names import given, phone_of
from workers.persons.resolver import Asked, Resolved, Resolver
from workers.resources import Resources
from workers.stage import KEEP, Verdict

CUSTOMERS_MAX = 100_000
DEVICES_MAX = 100_000
"""About 90 and 65 MB when full; 280 MB at worst, if all identifiers are as long as is remembered."""

SHARED_DEVICE, PHONE_UNLIKELY, CONFLICT = "shared_device", "phone_unlikely", "identity_conflict"
"""Flags of an event: its device links nobody any more; its phone number is nobody's by its numbering plan;
one of its identifiers is not its person's, who has another one, or another person has it."""

_IDENTITY, _MARKETING = BITS["identity"], BITS["marketing"]
_NO_FACTS: dict[str, str] = {}

_encode = msgspec.json.Encoder().encode

CustomerKey = tuple[int, str, str, str, str, str]
DeviceKey = tuple[tuple[int, str], str]


class Person:
    """Fill person_id, and what the event adds to that person's profile."""

    name = "person"

    def __init__(self, use: Resources) -> None:
        self._registry = use.registry
        self._resolver = Resolver(use.registry, use.warehouse)
        self._customers: LastUsed[CustomerKey, Standing] = LastUsed(CUSTOMERS_MAX)
        self._devices: LastUsedBy[tuple[int, str], str, Device] = LastUsedBy(DEVICES_MAX)
        self._fresh_s = use.settings.registry_cache_s
        self._epoch = 0
        self._ask_at = 0.0

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep all. Raises Unavailable. All events are of one partition."""
        await self._notice_unlinking()
        named = [event for event in events if _names_somebody(event)]
        standings = [self._standing(event) for event in named]
        if None in standings:
            standings = await self._ask(named, standings)
        for event, standing in zip(named, standings, strict=True):
            assert standing is not None
            _fill(event, standing)
        return [KEEP] * len(events)

    def taken_over(self, partition: Partition) -> None:
        """Note that another worker may have read this partition, and linked its devices."""
        self._devices.clear()

    async def release(self, dead: Iterable[tuple[Coordinates, Taken]]) -> None:
        """Give up nothing: who somebody is stays true where the event that told it ended dead."""

    async def _notice_unlinking(self) -> None:
        """Forget everything if an operator has undone a link, now and then."""
        now = monotonic()
        if now < self._ask_at:
            return
        self._ask_at = now + self._fresh_s
        try:
            epoch = await self._registry.person_epoch()
        except StoreError:
            return  # what has to be asked will wait; what is known goes on
        if epoch != self._epoch:
            self._epoch = epoch
            self._customers.clear()
            self._devices.clear()

    def _standing(self, event: Event) -> Standing | None:
        """Return what is remembered, or None."""
        if event.anonymous_id:
            device = self._devices.get((event.tenant_id, event.dialect), event.anonymous_id)
            if device is None:
                return None
            standing = device.of(_names(event))
        else:
            standing = self._customers.get(_customer_key(event))
        return standing if standing is not None and standing.holds_for(_at(event)) else None

    async def _ask(
        self, events: Sequence[Event], standings: Sequence[Standing | None]
    ) -> list[Standing | None]:
        """Fill in what is not remembered, and remember it."""
        # A device that gains a link is another's from that event on: all of its events go in their order.
        changing = {
            _device_key(event)
            for event, standing in zip(events, standings, strict=True)
            if standing is None and event.anonymous_id
        }
        places = [
            place
            for place, (event, standing) in enumerate(zip(events, standings, strict=True))
            if standing is None or (event.anonymous_id and _device_key(event) in changing)
        ]
        phones = [phone_of(events[place]) for place in places]
        asked = [
            Asked(events[place], given(events[place], number))
            for place, (number, _) in zip(places, phones, strict=True)
        ]
        resolved = await self._resolver.resolve(asked)
        metrics.PERSON_ASKED.inc(len(asked))
        found = list(standings)
        for place, phone, answer in zip(places, phones, resolved, strict=True):
            event = events[place]
            found[place] = standing = _made(event, answer.decision, phone)
            if event.anonymous_id:
                self._remember_device(event, standing, answer)
            elif answer.lasting and is_short(event):
                self._customers.put(_customer_key(event), standing)
        return found

    def _remember_device(self, event: Event, standing: Standing, answer: Resolved) -> None:
        key = _device_key(event)
        if answer.device_changed or not answer.lasting:
            self._devices.drop(*key)
        if answer.lasting and is_short(event):
            device = self._devices.get(*key)
            if device is None:
                self._devices.put(*key, Device(_names(event), standing))
            else:
                device.put(_names(event), standing)


def _names_somebody(event: Event) -> bool:
    """Tell whether anybody may be known by this event; else it adds to no profile."""
    if event.allowed & _IDENTITY and (event.anonymous_id or event.user_id or event.email or event.phone):
        return True
    event.profile = _NO_FACTS
    return False


def _customer_key(event: Event) -> CustomerKey:
    return (event.tenant_id, event.dialect, event.source, event.user_id, event.email, event.phone)


def _device_key(event: Event) -> DeviceKey:
    return (event.tenant_id, event.dialect), event.anonymous_id


def _names(event: Event) -> Names:
    return event.user_id, event.email, event.phone


def _at(event: Event) -> Coordinates:
    assert isinstance(event.at, Coordinates)
    return event.at


def _made(event: Event, decision: Decision, phone: tuple[str, bool]) -> Standing:
    number, likely = phone
    flags = []
    if decision.shared_device:
        flags.append(SHARED_DEVICE)
    if not likely:
        flags.append(PHONE_UNLIKELY)
    if decision.conflicts:
        flags.append(CONFLICT)
    facts: dict[str, str] = {
        name.kind: _encode(_sent(event, name.kind, number)).decode() for name in decision.owned
    }
    return Standing(decision.person_id, number, tuple(flags), facts, decision.conflicts, _at(event))


def _sent(event: Event, kind: str, phone: str) -> str:
    """Return an identifier as the profile shows it: whole, where the registry may have a digest."""
    return {"id": event.user_id, "email": event.email}.get(kind, phone)


def _fill(event: Event, standing: Standing) -> None:
    event.person_id = standing.person_id
    event.phone = standing.phone
    if standing.flags:
        event.flags.extend(standing.flags)
    for conflict in standing.conflicts:
        metrics.PERSON_CONFLICTS.labels(conflict).inc()
    if not standing.facts or not event.allowed & _MARKETING:
        event.profile = _NO_FACTS
    elif event.profile:
        event.profile = standing.facts | event.profile
    else:
        event.profile = standing.facts
