"""Which automation filters an event meets: asked last, of the event as it will be stored."""

import logging
from collections.abc import Sequence

import msgspec

from schemas.conditions.judging import Facts
from schemas.event import Event
from workers.consent import allows
from workers.filters.known import Compiled, KnownFilters
from workers.resources import Resources
from workers.stage import KEEP, Verdict

log = logging.getLogger("penstock.worker")


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
                    event.matched = _met(event, possible)
        return [KEEP] * len(events)


def _met(event: Event, possible: Sequence[Compiled]) -> tuple[tuple[str, str], ...]:
    facts = Facts(event)
    try:
        return tuple([(one.filter_id, one.name) for one in possible if one.test(facts)])
    except (ValueError, msgspec.MsgspecError) as error:
        # No filter may keep an event from being stored.
        log.warning("event %s cannot be put to filters: %s", event.event_id, type(error).__name__)
        return ()
