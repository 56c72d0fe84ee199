"""Who is behind an event: identifiers, and the links between them and persons that the registry keeps.

A link is a fact with a reason and a time; it is added or undone, never changed. docs/identity.md has the
rules by which the stage `person` adds them.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec
import uuid_utils
from msgspec import Struct

from schemas.topics import Coordinates

Kind = Literal["id", "email", "phone", "device"]
"""`id` is the producer's own for a customer or user; `device` is relo's `did` and alana's `visitorId`."""

Reason = Literal["created", "enriched", "seen_together", "unlinked"]
"""Why an identifier belongs to a person: the event that made the person gave it; an event of the person
gave it where it had none of its kind; it came with a device of the person; an operator parted it from one.
"""

_PERSONS = uuid_utils.UUID("8f3c6f0e-5a9b-5d0c-9a34-3b9a6e6a7f11")
_encode = msgspec.json.Encoder().encode


class Identifier(NamedTuple):
    """A name of somebody. `scope` is where in the tenant it is unique: `redo/<store>`, `relo`, `alana`."""

    tenant_id: int
    scope: str
    kind: Kind
    value: str


VALUE_CHARACTERS_MAX = 200
"""A longer value stands by its digest: a database's index takes 2,700 bytes."""


def identifier(tenant_id: int, scope: str, kind: Kind, value: str) -> Identifier:
    """Return the identifier with this value, which is already in the form in which it is compared."""
    if len(value) > VALUE_CHARACTERS_MAX:
        value = "blake2b:" + hashlib.blake2b(value.encode(), digest_size=32).hexdigest()
    return Identifier(tenant_id, scope, kind, value)


def customer_scope(dialect: str, source: str) -> str:
    """Return the scope of a store's customers; devices and those seen with them have the dialect's name."""
    return f"{dialect}/{source}"


class Link(Struct, frozen=True, gc=False):
    """The identifier belongs to the person. Times are Unix ms.

    `at` and `event_id` name the event that made the link. `generation` is how often the identifier was
    unlinked before. `slot`, where there is one, is what a person has only once: a customer's id, e-mail
    and phone.
    """

    identifier: Identifier
    person_id: str
    reason: Reason
    event_id: str
    at: Coordinates
    linked_at: int
    generation: int = 0
    slot: Kind | None = None
    unlinked_at: int | None = None


class Pair(Struct, frozen=True, gc=False):
    """A device was seen with an identifier, and so they are of one person, the identifier's.

    Without `person_id` it was only seen: the device is shared by too many. Times are Unix ms.
    """

    device: Identifier
    seen_with: Identifier
    person_id: str | None
    event_id: str
    at: Coordinates
    linked_at: int
    unlinked_at: int | None = None


class Merge(NamedTuple):
    """Two persons are one: queries see both as what `into` is seen as."""

    tenant_id: int
    person_id: str
    into: str


class Override(NamedTuple):
    """What a person is seen as. Of two for a person the higher `version` counts."""

    tenant_id: int
    person_id: str
    canonical_id: str
    version: int


def person_id(made_by: Identifier, generation: int = 0) -> str:
    """Return the id of the person that an identifier makes: the same wherever and whenever it is made.

    An identifier that was unlinked makes another person, one for each time.
    """
    name = (*made_by, generation) if generation else tuple(made_by)
    return str(uuid_utils.uuid5(_PERSONS, _encode(name).decode()))


def merges_of(pairs: Iterable[Pair]) -> list[Merge]:
    """Return what follows from pairs: a device's own person is one with the person that it is linked to."""
    linked = ((pair, person_id(pair.device)) for pair in pairs if pair.unlinked_at is None)
    return [
        Merge(pair.device.tenant_id, own, pair.person_id)
        for pair, own in linked
        if pair.person_id is not None and pair.person_id != own
    ]


def is_uuid(text: str) -> bool:
    """Tell whether a text is a UUID as we write them."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
