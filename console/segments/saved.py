"""Segments as they are sent and shown: a name, and conditions that were read once before they are kept."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from console.rendering import moment
from schemas.conditions import Condition, read_segment
from stores.registry import Segment


class Conditions(Struct, forbid_unknown_fields=True):
    """What a preview takes; a name may stand there too, so that a saved segment's file can be tried."""

    conditions: dict[str, Any]
    name: str = ""


class NamedConditions(Struct, forbid_unknown_fields=True):
    """What a saved segment is made of."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    conditions: dict[str, Any]

    def text(self) -> str:
        """Return the conditions as they are kept. Raises ConditionsInvalid."""
        read_segment(self.conditions)
        return msgspec.json.encode(self.conditions).decode()


def condition_of(segment: Segment) -> Condition:
    """Read what was saved. Raises ConditionsInvalid where a later version reads it no more."""
    return read_segment(msgspec.json.decode(segment.conditions))


def shown(segment: Segment) -> dict[str, Any]:
    """Return a saved segment as the api and the command line show it."""
    return {
        "id": segment.segment_id,
        "name": segment.name,
        "conditions": Raw(segment.conditions.encode()),
        "created_at": moment(segment.created_at),
        "updated_at": moment(segment.updated_at),
    }
