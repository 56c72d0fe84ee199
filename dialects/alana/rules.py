"""What an alana event's shape cannot say: amounts and currencies."""

from msgspec import Raw

from dialects import amounts, currencies
from dialects.alana.wire import Event, PurchaseComplete
from dialects.base import Accepted, Refused
from dialects.decoding import Shape
from schemas.tenants import Token

SHAPE: Shape[Event] = Shape(Event, event_type="eventType")


def validate(raw: Raw, token: Token | None) -> Accepted | Refused:
    """Judge one event for the API key that sent it."""
    event = SHAPE.read(raw)
    if isinstance(event, Refused):
        return event
    if isinstance(event, PurchaseComplete):
        refused = _check_purchase(event)
        if refused is not None:
            return refused
    return Accepted(subject=event.visitorId, source="" if token is None else token.key_id)


def _check_purchase(event: PurchaseComplete) -> Refused | None:
    return amounts.check_price(event.revenue, "revenue") or currencies.check(event.currency, "currency")
