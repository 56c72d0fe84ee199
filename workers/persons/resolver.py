"""Decides a batch of events over the registry: read, decide, add, and again where another was first."""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from schemas.event import Event
from schemas.persons import Identifier, Link, Merge, Override, Pair, is_uuid, merges_of
from stores.base import InsertRefused, StoreMisconfigured, StoreUnavailable, Warehouse
from stores.registry import LinkTaken
from workers import metrics
from workers.persons import customers, devices
from workers.persons.decision import Decision
from workers.persons.known import Known, Origin, was_there
from workers.persons.names import Given
from workers.persons.telling import tell_overrides
from workers.stage import Unavailable

log = logging.getLogger("penstock.worker")

ROUNDS_MAX = 20
"""Each is repeated only because another worker got further, so they all do."""


class Registry(Protocol):
    """What the resolver asks of stores.registry.SqlRegistry."""

    async def person_links(self, identifiers: Sequence[Identifier], /) -> Sequence[Link]: ...
    async def links_of_persons(self, person_ids: Iterable[str], /) -> Sequence[Link]: ...
    async def device_pairs(self, devices: Sequence[Identifier], /) -> Sequence[Pair]: ...
    async def add_links(self, links: Sequence[Link], /) -> None: ...
    async def add_pairs(self, pairs: Sequence[Pair], /) -> None: ...
    async def merge_persons(self, merges: Sequence[Merge], /) -> Sequence[Override]: ...


class Asked(NamedTuple):
    """An event, and what it says of who is behind it."""

    event: Event
    given: Given


class Resolved(NamedTuple):
    """What was decided of an event; whether it holds for later ones like it; whether those of its device
    that were decided before it are decided otherwise now.
    """

    decision: Decision
    lasting: bool
    device_changed: bool


class Resolver:
    """Finds or makes the persons of events. What it decides is in the registry before it returns."""

    def __init__(self, registry: Registry, warehouse: Warehouse) -> None:
        self._registry = registry
        self._warehouse = warehouse

    async def resolve(self, batch: Sequence[Asked]) -> Sequence[Resolved]:
        """Decide events of one partition, in order. Raises Unavailable: then what was added stays."""
        try:
            return await self._resolve(batch)
        except (StoreUnavailable, StoreMisconfigured, InsertRefused) as error:
            raise Unavailable(str(error)) from error

    async def _resolve(self, batch: Sequence[Asked]) -> Sequence[Resolved]:
        for _ in range(ROUNDS_MAX):
            known = await self._read(batch)
            decided = [_decide(asked, known) for asked in batch]
            try:
                await self._registry.add_links(known.links)
                await self._registry.add_pairs(known.pairs)
            except LinkTaken:
                log.debug("another worker linked one of these identifiers first; deciding anew")
                continue
            _count(known)
            await self._merge(batch, known)
            return decided
        raise Unavailable("other workers link the same identifiers all the time; trying again later")

    async def _read(self, batch: Sequence[Asked]) -> Known:
        names = {name for asked in batch for name in asked.given.names}
        links = await self._registry.person_links(sorted(names))
        held = {link.identifier: link.person_id for link in links if link.unlinked_at is None}
        persons = {person for asked in batch for person in _to_look_into(asked.given, held)}
        of_persons = await self._registry.links_of_persons(sorted(persons))
        seen = {asked.given.device for asked in batch if asked.given.device_links}
        pairs = await self._registry.device_pairs(sorted(device for device in seen if device is not None))
        return Known(links, of_persons, pairs)

    async def _merge(self, batch: Sequence[Asked], known: Known) -> None:
        """Merge what the events of the batch make one, also if they did so before: a replay says it again."""
        places = {asked.event.at for asked in batch}
        seen = dict.fromkeys(asked.given.device for asked in batch if asked.given.device_links)
        pairs = [
            pair
            for device in seen
            if device is not None
            for pair in known.pairs_of(device)
            if pair.at in places
        ]
        overrides = await self._registry.merge_persons(merges_of(pairs))
        await tell_overrides(self._warehouse, overrides)


def _decide(asked: Asked, known: Known) -> Resolved:
    event, given = asked
    by = Origin.of(event)
    if not event.anonymous_id:
        decision = customers.decide(given, by, known)
        return Resolved(decision, decision.lasting, device_changed=False)
    names_max = event.settings.shared_device_user_ids_max
    decision = devices.decide(given, by, known, names_max=names_max)
    pairs = [] if given.device is None else known.pairs_of(given.device)
    # In a replay, what links the device later is known already, and does not hold yet.
    overtaken = any(not was_there(pair, by) for pair in pairs)
    return Resolved(decision, not overtaken, device_changed=any(pair.at == by.at for pair in pairs))


def _to_look_into(given: Given, held: dict[Identifier, str]) -> Iterable[str]:
    """Return whose other identifiers matter: an event may enrich them, or name them by their own id."""
    free = [name for name in given.names if name not in held]
    if given.device is None and free:
        yield from (held[name] for name in given.names if name in held)
        yield from (name.value for name in free if name.kind == "id" and is_uuid(name.value))


def _count(known: Known) -> None:
    for link in known.links:
        metrics.PERSON_LINKS.labels(link.reason).inc()
    if known.pairs:
        metrics.PERSON_PAIRS.inc(len(known.pairs))
