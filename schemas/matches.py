"""What stands in `events.matched`, and so in the body of a webhook: that an event met a filter.

docs/filters.md has every member. The event is shown as it is stored: what its person did not agree to has
been taken out before.
"""

from datetime import UTC, datetime

import msgspec
import uuid_utils
from msgspec import Raw, Struct

from schemas.event import Event

VERSION = 1

ID_HEADER = "id"
"""The header of the record that repeats its key."""

_NAMESPACE = uuid_utils.UUID("5e1f7f53-6f0a-5e0c-9d3e-3b6a2c1d4f70")
_encode = msgspec.json.Encoder().encode


class FilterName(Struct, frozen=True):
    """Which filter was met."""

    id: str
    name: str


class Match(Struct, frozen=True, kw_only=True):
    """One record. `id` is made of the filter's and the event's, so a repeat has the same.

    `third_parties` tells whether the person agreed to that; without it the match stays inside.
    """

    v: int = VERSION
    id: str
    filter: FilterName
    tenant_id: int
    matched_at: str
    third_parties: bool
    event: Raw


class MatchedEvent(Struct, frozen=True, kw_only=True):
    """The event: times are RFC 3339, texts that were not given are empty, other values null."""

    event_id: str
    dialect: str
    source: str
    event_name: str
    event_type: str
    occurred_at: str
    received_at: str
    subject: str
    person_id: str | None
    user_id: str
    anonymous_id: str
    email: str
    phone: str
    url: str
    referrer: str
    country: str
    city: str
    device_type: str
    value: Raw | None
    currency: str
    order_id: str
    product_ids: tuple[str, ...]
    fraud_score: int | None
    flags: tuple[str, ...]
    properties: Raw
    properties_left_out: bool = False


def match_id(filter_id: str, event_id: str) -> str:
    """Return the id for good of that event's match of that filter."""
    return str(uuid_utils.uuid5(_NAMESPACE, f"{filter_id}/{event_id}"))


def matched_event(event: Event) -> bytes:
    """Return the JSON of an event that has passed every stage."""
    return _encode(
        MatchedEvent(
            event_id=event.event_id,
            dialect=event.dialect,
            source=event.source,
            event_name=event.event_name,
            event_type=event.event_type,
            occurred_at=rfc3339(event.occurred_at),
            received_at=rfc3339(event.received_at),
            subject=event.subject,
            person_id=event.person_id,
            user_id=event.user_id,
            anonymous_id=event.anonymous_id,
            email=event.email,
            phone=event.phone,
            url=event.url,
            referrer=event.referrer,
            country=event.country,
            city=event.city,
            device_type=event.device_type,
            value=None if event.value is None else Raw(event.value.encode()),
            currency=event.currency,
            order_id=event.order_id,
            product_ids=event.product_ids,
            fraud_score=event.fraud_score,
            flags=tuple(event.flags),
            properties=Raw((event.properties or "{}").encode()),
        )
    )


def without_properties(event: bytes) -> bytes:
    """Return an event whose record would be too large without its properties, which says so."""
    shown = msgspec.json.decode(event, type=MatchedEvent)
    return _encode(msgspec.structs.replace(shown, properties=Raw(b"{}"), properties_left_out=True))


def decode_match(value: bytes) -> Match:
    """Read a record. Raises ValueError for what is none, or is of a newer version."""
    match = _decode(value)
    if match.v > VERSION:
        raise ValueError(f"it is of version {match.v}, and this one reads {VERSION}")
    return match


def encode_match(match: Match) -> bytes:
    """Return the record."""
    return _encode(match)


_decode = msgspec.json.Decoder(Match).decode


def rfc3339(ms: int) -> str:
    """Return a time in Unix ms to the millisecond."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).isoformat()
    return f"{moment[:19]}.{ms % 1000:03d}Z"
