"""What is known of identifiers while a batch is decided: what the registry has, and what is decided so far.

A link that a later event made does not count: it was not there when an event was judged first, and a replay
must find what was found then.
"""

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from schemas.event import Event
from schemas.persons import Identifier, Kind, Link, Pair, Reason
from schemas.topics import Coordinates

_ORDER: dict[Kind, int] = {"id": 0, "email": 1, "phone": 2, "device": 3}


class Origin(Struct, frozen=True, gc=False):
    """The event that makes a link, and when it was received (Unix ms)."""

    event_id: str
    at: Coordinates
    received_at: int

    @classmethod
    def of(cls, event: Event) -> "Origin":
        """Read it from an event that was taken from the log."""
        assert isinstance(event.at, Coordinates)
        return cls(event.event_id, event.at, event.received_at)


def was_there(fact: Link | Pair, by: Origin) -> bool:
    """Tell whether a link counts for an event: not if a later event made it.

    In a partition that is the order of offsets; between partitions it is the order in which they were
    received, as far as it is known: a link that another partition's worker makes late counts from then on.
    """
    made, at = fact.at, by.at
    if made.kp == at.kp and made.topic == at.topic and made.inc == at.inc:
        return made.ko <= at.ko
    return fact.linked_at <= by.received_at


class Known:
    """Links and pairs by identifier; `links` and `pairs` are those decided here, to be added."""

    def __init__(
        self, links: Iterable[Link], links_of_persons: Iterable[Link], pairs: Iterable[Pair]
    ) -> None:
        self.links: list[Link] = []
        self.pairs: list[Pair] = []
        self._holding: dict[Identifier, Link] = {}
        self._undone: defaultdict[Identifier, list[Link]] = defaultdict(list)
        self._of_person: defaultdict[str, dict[Identifier, Link]] = defaultdict(dict)
        self._of_device: defaultdict[Identifier, list[Pair]] = defaultdict(list)
        for link in links:
            self._put(link)
        for link in links_of_persons:
            self._put(link)
        for pair in pairs:
            self._of_device[pair.device].append(pair)

    def _put(self, link: Link) -> None:
        if link.unlinked_at is not None:
            self._undone[link.identifier].append(link)
        else:
            self._holding[link.identifier] = link
            self._of_person[link.person_id][link.identifier] = link

    def holder(self, identifier: Identifier) -> str | None:
        """Return the person that has the identifier, whenever it was linked."""
        link = self._holding.get(identifier)
        return self._fresh(identifier, None) if link is None else link.person_id

    def holder_for(self, identifier: Identifier, by: Origin) -> str | None:
        """Return the person that had the identifier when the event came."""
        link = self._holding.get(identifier)
        if link is None:
            return self._fresh(identifier, by)
        return link.person_id if was_there(link, by) else None

    def _fresh(self, identifier: Identifier, by: Origin | None) -> str | None:
        """Return the person whose own id this is: who was made without an id can be named by that one."""
        links = self._of_person.get(identifier.value) if identifier.kind == "id" else None
        for owned, link in (links or {}).items():
            if owned[:2] == identifier[:2] and (by is None or was_there(link, by)):
                return identifier.value
        return None

    def fills(self, person_id: str, slot: Kind) -> bool:
        """Tell whether the person has an identifier of a kind that it has only once."""
        return any(link.slot == slot for link in self._of_person.get(person_id, {}).values())

    def is_barred(self, identifier: Identifier, person_id: str) -> bool:
        """Tell whether an operator parted the two."""
        return any(link.person_id == person_id for link in self._undone.get(identifier, ()))

    def generation(self, identifier: Identifier) -> int:
        """Return how often the identifier was unlinked."""
        return len(self._undone.get(identifier, ()))

    def link(
        self, identifier: Identifier, person_id: str, reason: Reason, by: Origin, *, slot: Kind | None = None
    ) -> None:
        """Decide that an identifier without a holder belongs to the person."""
        link = Link(
            identifier=identifier,
            person_id=person_id,
            reason=reason,
            event_id=by.event_id,
            at=by.at,
            linked_at=by.received_at,
            generation=self.generation(identifier),
            slot=slot,
        )
        self.links.append(link)
        self._put(link)

    def pair(self, device: Identifier, seen_with: Identifier, person_id: str | None, by: Origin) -> None:
        """Decide that a device was seen with an identifier for the first time."""
        pair = Pair(
            device=device,
            seen_with=seen_with,
            person_id=person_id,
            event_id=by.event_id,
            at=by.at,
            linked_at=by.received_at,
        )
        self.pairs.append(pair)
        self._of_device[device].append(pair)

    def pairs_of(self, device: Identifier) -> list[Pair]:
        """Return the pairs of a device, in the order in which they were made; undone ones too."""
        pairs = self._of_device.get(device, [])
        return sorted(pairs, key=lambda pair: (pair.linked_at, pair.at, _ORDER[pair.seen_with.kind]))
