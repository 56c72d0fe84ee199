"""What was decided lately, so that a known event asks nobody."""

from msgspec import Struct

from schemas.event import Event
from schemas.topics import Coordinates
from workers.persons.decision import Conflict

CHARACTERS_MAX = 256
"""Of all identifiers of an event together. The memory is bounded by its entries, and each of these may have
32 KiB: an event with more asks the registry each time.
"""


def is_short(event: Event) -> bool:
    """Tell whether what is decided of the event may be remembered."""
    length = len(event.anonymous_id) + len(event.user_id) + len(event.email) + len(event.phone)
    return length <= CHARACTERS_MAX


class Standing(Struct, frozen=True, gc=False):
    """What the stage puts into an event. `facts` are JSON texts: identifiers that are part of the profile."""

    person_id: str | None
    phone: str
    flags: tuple[str, ...]
    facts: dict[str, str]
    conflicts: tuple[Conflict, ...]
    made_at: Coordinates

    def holds_for(self, at: Coordinates) -> bool:
        """Tell whether an event may use it: a replayed one that lies before is decided anew."""
        return at.ko > self.made_at.ko or at.kp != self.made_at.kp


class Device:
    """What is known of a device: the standing of its events, by the names that came with them."""

    __slots__ = ("standings",)

    NAMES_MAX = 4

    def __init__(self) -> None:
        self.standings: dict[tuple[str, str, str], Standing] = {}

    def put(self, names: tuple[str, str, str], standing: Standing) -> None:
        """Remember; the names that a device comes with are few, or not worth remembering."""
        if len(self.standings) >= self.NAMES_MAX:
            self.standings.clear()
        self.standings[names] = standing
