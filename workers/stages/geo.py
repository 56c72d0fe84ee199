"""Country and city of the address an event came from."""

from collections.abc import Sequence

from schemas.event import Event
from workers.resources import Resources
from workers.stage import KEEP, Verdict


class Geo:
    """Fill country and city from the ip, where a GeoIP file knows it.

    Server-side dialects too: their rows say by `ip_source` whose address it is.
    """

    name = "geo"

    def __init__(self, use: Resources) -> None:
        self._geo = use.geo

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep all."""
        for event, place in zip(events, self._geo.lookup_all([event.ip for event in events]), strict=True):
            event.country, event.city = place
        return [KEEP] * len(events)
