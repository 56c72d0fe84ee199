"""Whose event it is, and of which product; the rest is in the shapes."""

from msgspec import Raw

from dialects.base import Accepted, Refused
from dialects.decoding import Shape
from dialects.tracker.conversion import sale
from dialects.tracker.wire import Conversion, Interaction, Track
from schemas.tenants import TenantRef, Token

TRACK: Shape[Track] = Shape(Track, event_type="type")
CONVERSION: Shape[Conversion] = Shape(Conversion)
INTERACTION: Shape[Interaction] = Shape(Interaction, event_type="type")


def validate_track(raw: Raw, token: Token | None) -> Accepted | Refused:
    """Judge a tracked event; a refusal lists all that is wrong with it."""
    event = TRACK.read(raw)
    if isinstance(event, Refused):
        return _all_wrong(TRACK, raw, event)
    return Accepted(
        subject="",
        source="track",
        tenant=TenantRef("any", event.tenant_id),
        product_id=event.product_id,
    )


def validate_conversion(raw: Raw, token: Token | None) -> Accepted | Refused:
    """Judge a conversion: only one without a tenant is refused."""
    event = CONVERSION.read(raw)
    if isinstance(event, Refused):
        return event
    told = sale(event)
    return Accepted(
        subject=told.transaction_id,
        source="conversion",
        dedup_key=told.dedup_key,
        flags=tuple(f"defaulted:{field}" for field in told.defaulted),
        tenant=TenantRef("slug", event.tenant_slug),
    )


def validate_interaction(raw: Raw, token: Token | None) -> Accepted | Refused:
    """Judge an interaction; a refusal lists all that is wrong with it."""
    event = INTERACTION.read(raw)
    if isinstance(event, Refused):
        return _all_wrong(INTERACTION, raw, event)
    return Accepted(subject="", source="interactions", tenant=TenantRef("id", str(event.tenant_id)))


def _all_wrong(shape: Shape[Track] | Shape[Interaction], raw: Raw, first: Refused) -> Refused:
    wrong = shape.take_apart(raw)[1] or [first]
    return Refused(wrong[0].code, wrong[0].message, wrong[0].field, tuple(wrong[1:]))
