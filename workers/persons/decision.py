"""What is decided of one event."""

from typing import Literal

from msgspec import Struct

from schemas.persons import Identifier

Conflict = Literal["belongs_to_another", "has_another"]
"""Why an identifier is not linked: it belongs to another person; the person has another of its kind."""


class Decision(Struct, frozen=True, gc=False):
    """Who is behind an event.

    `owned` are the event's identifiers that belong to the person; they are part of its profile. A
    decision that is not `lasting` may turn out otherwise for an equal event, so it is not remembered.
    """

    person_id: str | None
    owned: tuple[Identifier, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    shared_device: bool = False
    lasting: bool = True


NOBODY = Decision(None)
