"""Matches of persons who were erased while the topic was not read: noted, and never sent."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schemas.matches import Match
from stores.registry import NewDelivery, SqlRegistry
from workers.suppressed import Suppressed


class NewMatch(NamedTuple):
    """Who is behind a match, and what is to be entered of it."""

    told: "Told"
    delivery: NewDelivery


class Told(Struct):
    """Who is behind an event: part of schemas.matches.MatchedEvent, and its tenant."""

    dialect: str = ""
    source: str = ""
    anonymous_id: str = ""
    user_id: str = ""
    email: str = ""
    phone: str = ""
    tenant_id: int = 0


_decode = msgspec.json.Decoder(Told).decode


def told_of(match: Match) -> Told:
    """Return who is behind a match. Raises ValueError for what no event is."""
    told = _decode(match.event)
    told.tenant_id = match.tenant_id
    return told


class Erased:
    """Knows whose matches are not sent, as the stage `suppress` does."""

    def __init__(self, registry: SqlRegistry, *, fresh_s: float) -> None:
        self._suppressed = Suppressed(registry, fresh_s=fresh_s)

    async def noted(self, matches: Sequence[NewMatch]) -> list[NewDelivery]:
        """Return what is to be entered. Raises Unavailable where it is not known yet who was erased."""
        deliveries = [one.delivery for one in matches]
        for place in await self._suppressed.places([one.told for one in matches]):
            deliveries[place] = replace(deliveries[place], suppressed=True)
        return deliveries
