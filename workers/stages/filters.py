"""Which automation filters an event meets: asked last, of the event as it will be stored."""

from collections.abc import Sequence

from schemas.conditions.judging import Facts
from schemas.event import Event
from workers.consent import allows
from workers.filters.known import KnownFilters
from workers.resources import Resources
from workers.stage import KEEP, Verdict


class Filters:
    """Note which filters of its tenant an event meets; none without consent to analytics."""

    name = "filters"

    def __init__(self, use: Resources) -> None:
        self._known = KnownFilters(use.registry, fresh_s=use.settings.registry_cache_s)

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep all. Raises Unavailable where filters were never read and the registry is down."""
        known = await self._known.of({event.tenant_id for event in events})
        if known:
            for event in events:
                of_tenant = known.get(event.tenant_id)
                if of_tenant is None or not allows(event, "analytics"):
                    continue
                if possible := of_tenant.of(event.event_name):
                    facts = Facts(event)
                    event.matched = tuple([(one.filter_id, one.name) for one in possible if one.test(facts)])
        return [KEEP] * len(events)
