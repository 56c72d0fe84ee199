"""From a redo event to the canonical one."""

from typing import Any

from msgspec import Raw

from dialects import amounts, jsontext, times
from dialects.base import MappingError, Refused
from dialects.decoding import Shape
from dialects.redo.rules import SHAPE, identity
from dialects.redo.wire import Location, Sent
from dialects.stamping import stamped
from schemas.envelope import Envelope
from schemas.event import Event, EventType

EXTRA = "$extra"

_PROFILE = ("firstName", "lastName")
_LOCATION = Location.__struct_fields__

EVENT_TYPES: dict[str, EventType] = {
    "Page Viewed": "page_viewed",
    "Product Viewed": "product_viewed",
    "Product Added": "product_added",
    "Added to Cart": "product_added",
    "Cart Viewed": "cart_viewed",
    "Checkout Started": "checkout_started",
    "Order Placed": "order_completed",
    "Order Completed": "order_completed",
    "Purchase Completed": "order_completed",
    "Products Searched": "products_searched",
    "Product List Viewed": "product_list_viewed",
    "Application Installed": "app_installed",
}
"""The names that producers use for what the vocabulary knows, in any case; every other is `custom`."""

_TYPE_OF = {name.casefold(): event_type for name, event_type in EVENT_TYPES.items()}
_SENT: Shape[Sent] = Shape(Sent)


def to_event(envelope: Envelope) -> Event:
    """Map one accepted event. Raises MappingError."""
    wire = SHAPE.mapped(envelope.event)
    who = identity(wire.customer)
    moment = wire.eventTimestamp
    event = stamped(
        envelope,
        event_name=wire.eventName,
        event_type=_TYPE_OF.get(wire.eventName.strip().casefold(), "custom"),
        occurred_at=None if moment is None else times.milliseconds(moment),
        subject=who.first,
    )
    event.user_id, event.email, event.phone = who
    event.currency = wire.valueCurrency or ""
    if jsontext.is_given(wire.value):
        event.value = _amount(wire.value)
    sent = jsontext.read_object(envelope.event)
    event.profile = profile(sent["customer"])
    if wire.data is not None:
        _map_data(event, sent["data"], envelope.event)
    return event


def profile(customer: dict[str, Any]) -> dict[str, str]:
    """Return what a customer object says of the customer, identifiers apart: JSON texts by field.

    Null and "" are as good as omitted; 0 and false are values.
    """
    found: dict[str, str] = {}
    _add(found, "", {name: customer[name] for name in _PROFILE if name in customer})
    location = customer.get("location")
    if location:
        _add(found, "location.", {name: location[name] for name in _LOCATION if name in location})
    custom = customer.get("customFields")
    if custom:
        _add(found, "custom.", custom)
    return found


def _add(found: dict[str, str], prefix: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value is not None and value != "":
            found[prefix + name] = jsontext.write(value)


def _map_data(event: Event, data: dict[str, Any], raw: Raw) -> None:
    if EXTRA in data:
        sent = _SENT.mapped(raw).data
        event.extra = "" if sent is None else jsontext.text(sent.extra)
    kept = {key: value for key, value in data.items() if key != EXTRA and not _is_unset(value)}
    event.properties = jsontext.write_object(kept)


def _is_unset(value: object) -> bool:
    """Tell whether a value counts as not given: null, "" and zero, however written; false is a value."""
    if isinstance(value, Raw):
        return float(str(value, "ascii")) == 0
    return value is None or value == "" or (value == 0 and value is not False)


def _amount(raw: Raw) -> str:
    amount = amounts.read(raw, "value")
    if isinstance(amount, Refused):
        raise MappingError(amount)
    return amounts.plain(amount)
