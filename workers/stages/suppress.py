"""Events of a person who was erased: dropped before anything else is learnt of them.

docs/erasure.md says who is suppressed, from when on, and how it is undone.
"""

from collections.abc import Sequence
from functools import lru_cache

from schemas.erasures import SUPPRESSED, digest
from schemas.event import Event
from workers.persons.names import given, phone_of
from workers.resources import Resources
from workers.stage import KEEP, Drop, Verdict
from workers.suppressed import Named, Suppressed

DIGESTS_CACHED_MAX = 65_536
"""A digest takes 1 µs to compute; this many take some 25 MB, where a tenant has anybody suppressed."""

_SUPPRESSED = Drop(SUPPRESSED)
_digest = lru_cache(DIGESTS_CACHED_MAX)(digest)


class Suppress:
    """Drop events that name an erased person."""

    name = "suppress"

    def __init__(self, use: Resources) -> None:
        self._suppressed = Suppressed(use.registry, fresh_s=use.settings.registry_cache_s)

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep or drop. Raises Unavailable."""
        await self._suppressed.renew()
        tenants = self._suppressed.of_tenant
        named = {
            place: _named(event)
            for place, event in enumerate(events)
            if tenants and event.tenant_id in tenants
        }
        verdicts: list[Verdict] = [KEEP] * len(events)
        if named:
            found = await self._suppressed.among({each for names in named.values() for each in names})
            for place, names in named.items():
                if not found.isdisjoint(names):
                    verdicts[place] = _SUPPRESSED
        return verdicts


def _named(event: Event) -> list[Named]:
    """Return what stands for each identifier by which the event would name somebody."""
    number, _ = phone_of(event)
    names = given(event, number)
    identifiers = names.names if names.device is None else (names.device, *names.names)
    return [(event.tenant_id, _digest(each)) for each in identifiers]
