"""What was decided lately, so that a known event asks nobody."""

from typing import ClassVar

from msgspec import Struct

from schemas.event import Event
from schemas.pace import Pace
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


NO_FACTS: dict[str, str] = {}
"""The one of all events and standings that have none: it stays in the processor's caches."""


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


Names = tuple[str, str, str]
"""What came with a device: user id, e-mail, phone."""

NO_NAMES: Names = ("", "", "")


class Device(Pace, kw_only=True, gc=False):
    """What is known of a device: its pace, and the standing of its events by the names that came with them.

    Nearly all devices come with the same names each time, so that a dict is for the others only.
    """

    NAMES_MAX: ClassVar[int] = 4

    generation: int  # of the memory that `standing` and `others` are from
    names: Names = NO_NAMES
    standing: Standing | None = None
    others: dict[Names, Standing] | None = None

    def of(self, names: Names) -> Standing | None:
        """Return the standing of an event with these names, or None."""
        if names == self.names:
            return self.standing
        return None if self.others is None else self.others.get(names)

    def put(self, names: Names, standing: Standing) -> None:
        """Remember; the names that a device comes with are few, or not worth remembering."""
        if self.standing is None or names == self.names:
            self.names, self.standing = names, standing
        elif self.others is None or len(self.others) >= self.NAMES_MAX - 1:
            self.others = {names: standing}
        else:
            self.others[names] = standing

    def forget(self, generation: int) -> None:
        """Know no standing any more; the pace stays."""
        self.generation, self.standing, self.others = generation, None, None


def names_of(event: Event) -> Names:
    """Return what came with an event's device; one object for nothing."""
    if event.user_id or event.email or event.phone:
        return event.user_id, event.email, event.phone
    return NO_NAMES
