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
from stores.lastused import LastUsed, LastUsedBy, short_key
from workers import metrics
from workers.consent import BITS
from workers.persons.cache import NO_FACTS, Device, Standing, is_short, names_of
from workers.persons.decision import Conflict, Decision
from workers.persons.names import given, phone_of
from workers.persons.resolver import Asked, Resolved, Resolver
from workers.resources import Resources
from workers.stage import KEEP, Verdict

CUSTOMERS_MAX = 100_000
DEVICES_MAX = 100_000
"""About 90 and 50 to 80 MB when full; 280 MB at worst, if all identifiers are as long as is remembered."""

SHARED_DEVICE, PHONE_UNLIKELY, CONFLICT = "shared_device", "phone_unlikely", "identity_conflict"
"""Flags of an event: its device links nobody any more; its phone number is nobody's by its numbering plan;
one of its identifiers is not its person's, who has another one, or another person has it."""

_IDENTITY, _MARKETING = BITS["identity"], BITS["marketing"]

_encode = msgspec.json.Encoder().encode

CustomerKey = tuple[int, str, str, str, str, str]
DeviceKey = tuple[tuple[int, str], str | bytes]


class Person:
    """Fill person_id, and what the event adds to that person's profile."""

    name = "person"

    def __init__(self, use: Resources) -> None:
        self._registry = use.registry
        self._resolver = Resolver(use.registry, use.warehouse)
        self._customers: LastUsed[CustomerKey, Standing] = LastUsed(CUSTOMERS_MAX)
        self._devices: LastUsedBy[tuple[int, str], str | bytes, Device] = LastUsedBy(DEVICES_MAX)
        self._generation = 0  # of what is known of devices' persons
        self._fresh_s = use.settings.registry_cache_s
        self._decided_to: dict[int, int] = {}  # the last offset, by partition
        self._epoch = 0
        self._ask_at = 0.0

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep all. Raises Unavailable. All events are of one partition."""
        await self._notice_unlinking()
        conflicts: list[Conflict] = []
        again = self._are_again(events)
        unknown = self._fill_known(events, conflicts, again=again)
        if unknown:
            firsts, others = _part(unknown)
            await self._ask(firsts, conflicts)
            left = [event for event in others if not self._fill_decided(event, conflicts, again=again)]
            if left:
                await self._ask(left, conflicts)
        for conflict in conflicts:
            metrics.PERSON_CONFLICTS.labels(conflict).inc()
        return [KEEP] * len(events)

    def taken_over(self, partition: Partition) -> None:
        """Note that another worker may have read this partition, and linked its devices."""
        self._generation += 1

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
            self._generation += 1

    def _fill_known(self, events: Sequence[Event], conflicts: list[Conflict], *, again: bool) -> list[Event]:
        """Fill what is remembered, and return those that have to be asked for, in order."""
        unknown: list[Event] = []
        changing: set[DeviceKey | None] = set()
        for event in events:
            if not _names_somebody(event):
                continue
            if not event.anonymous_id:
                key = None
                standing = self._customers.get(_customer_key(event))
            else:
                key = _device_key(event)
                device = event.pace = self._device(*key)
                standing = device.of(names_of(event))
            if standing is None or (again and not standing.holds_for(_at(event))):
                unknown.append(event)
                if key is not None:
                    changing.add(key)
            elif key in changing:
                # A device that gains a link is another's from that event on: they go in their order.
                unknown.append(event)
            else:
                _fill(event, standing)
                conflicts += standing.conflicts
        return unknown

    def _fill_decided(self, event: Event, conflicts: list[Conflict], *, again: bool) -> bool:
        """Fill what was decided of an event before this one, if that is remembered and holds for it."""
        if not event.anonymous_id:
            standing = self._customers.get(_customer_key(event))
        else:
            assert isinstance(event.pace, Device)
            standing = event.pace.of(names_of(event))
        if standing is None or (again and not standing.holds_for(_at(event))):
            return False
        _fill(event, standing)
        conflicts += standing.conflicts
        return True

    def _device(self, group: tuple[int, str], key: str | bytes) -> Device:
        """Return what is remembered of a device, which may be nothing yet."""
        device = self._devices.get(group, key)
        if device is None:
            device = Device(generation=self._generation)
            self._devices.put(group, key, device)
        elif device.generation != self._generation:
            device.forget(self._generation)
        return device

    def _are_again(self, events: Sequence[Event]) -> bool:
        """Tell whether events of this partition as late as the first of these were decided before."""
        first, last = _at(events[0]), _at(events[-1])
        before = self._decided_to.get(first.kp, -1)
        self._decided_to[first.kp] = max(before, last.ko)
        return first.ko <= before

    async def _ask(self, events: Sequence[Event], conflicts: list[Conflict]) -> None:
        """Find out what is not remembered, remember it, and fill it in."""
        phones = [phone_of(event) for event in events]
        asked = [
            Asked(event, given(event, number)) for event, (number, _) in zip(events, phones, strict=True)
        ]
        resolved = await self._resolver.resolve(asked)
        metrics.PERSON_ASKED.inc(len(asked))
        for event, phone, answer in zip(events, phones, resolved, strict=True):
            standing = _made(event, answer.decision, phone)
            if event.anonymous_id:
                self._remember_device(event, standing, answer)
            elif answer.lasting and is_short(event):
                self._customers.put(_customer_key(event), standing)
            _fill(event, standing)
            conflicts += standing.conflicts

    def _remember_device(self, event: Event, standing: Standing, answer: Resolved) -> None:
        device = event.pace
        assert isinstance(device, Device)
        if answer.device_changed or not answer.lasting:
            device.forget(self._generation)
        if answer.lasting and is_short(event):
            device.put(names_of(event), standing)


def _part(events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """Part those of whom the others only say again who they are: most events of a new device do.

    What is decided of the first is then known. Where it is not, because an event in between has linked the
    device, the others are asked for in their turn: each is decided by what was there when it came.
    """
    firsts: list[Event] = []
    others: list[Event] = []
    met: set[object] = set()
    for event in events:
        who = (id(event.pace), names_of(event)) if event.anonymous_id else _customer_key(event)
        (others if who in met else firsts).append(event)
        met.add(who)
    return firsts, others


def _names_somebody(event: Event) -> bool:
    """Tell whether anybody may be known by this event; else it adds to no profile."""
    if event.allowed & _IDENTITY and (event.anonymous_id or event.user_id or event.email or event.phone):
        return True
    event.profile = NO_FACTS
    return False


def _customer_key(event: Event) -> CustomerKey:
    return (event.tenant_id, event.dialect, event.source, event.user_id, event.email, event.phone)


def _device_key(event: Event) -> DeviceKey:
    return (event.tenant_id, event.dialect), short_key(event.anonymous_id)


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
    return Standing(
        decision.person_id, number, tuple(flags), facts or NO_FACTS, decision.conflicts, _at(event)
    )


def _sent(event: Event, kind: str, phone: str) -> str:
    """Return an identifier as the profile shows it: whole, where the registry may have a digest."""
    return {"id": event.user_id, "email": event.email}.get(kind, phone)


def _fill(event: Event, standing: Standing) -> None:
    event.person_id = standing.person_id
    event.phone = standing.phone
    if standing.flags:
        event.flags.extend(flag for flag in standing.flags if flag not in event.flags)
    if not standing.facts or not event.allowed & _MARKETING:
        event.profile = NO_FACTS
    elif event.profile:
        event.profile = standing.facts | event.profile
    else:
        event.profile = standing.facts
