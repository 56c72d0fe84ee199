"""Events of a person who was erased: dropped before anything else is learnt of them.

docs/erasure.md says who is suppressed, from when on, and how it is undone.
"""

from collections.abc import Sequence

from schemas.erasures import SUPPRESSED
from schemas.event import Event
from workers.resources import Resources
from workers.stage import KEEP, Drop, Verdict
from workers.suppressed import Suppressed

_SUPPRESSED = Drop(SUPPRESSED)


class Suppress:
    """Drop events that name an erased person."""

    name = "suppress"

    def __init__(self, use: Resources) -> None:
        self._suppressed = Suppressed(use.registry, fresh_s=use.settings.registry_cache_s)

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep or drop. Raises Unavailable."""
        verdicts: list[Verdict] = [KEEP] * len(events)
        for place in await self._suppressed.places(events):
            verdicts[place] = _SUPPRESSED
        return verdicts
