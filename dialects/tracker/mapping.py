"""From the three tracker events to the canonical one."""

from typing import Any

from dialects import jsontext
from dialects.decoding import Shape
from dialects.stamping import stamped
from dialects.tracker.conversion import sale
from dialects.tracker.rules import CONVERSION, INTERACTION, TRACK
from dialects.tracker.wire import Interaction, Metadata, Track
from schemas.envelope import Envelope
from schemas.event import Event, EventType

EVENT_TYPES: dict[str, EventType] = {
    "whatsapp_click": "contact_clicked",
    "call": "contact_clicked",
    "call_click": "contact_clicked",
    "location_view": "location_viewed",
    "maps_click": "location_viewed",
    "cart_add": "product_added",
    "social_share": "content_shared",
    "view": "page_viewed",
    "purchase": "order_completed",
    "conversion": "custom",  # a goal of the tenant's own; as an order, a sale told twice would count twice
}
"""All other names of the conversion endpoint are `custom`; a view of a product is `product_viewed`."""

NAMED_PROPERTIES = dict.fromkeys(EVENT_TYPES, ("product_id",))
"""`metadata` is the producer's own."""

_METADATA: Shape[Metadata] = Shape(Metadata)


def track_to_event(envelope: Envelope) -> Event:
    """Map an accepted event of /analytics/track. Raises MappingError."""
    return _map(envelope, TRACK.mapped(envelope.event))


def interaction_to_event(envelope: Envelope) -> Event:
    """Map an accepted event of /interactions. Raises MappingError."""
    return _map(envelope, INTERACTION.mapped(envelope.event))


def conversion_to_event(envelope: Envelope) -> Event:
    """Map an accepted event of /analytics/conversion. Raises MappingError."""
    told = sale(CONVERSION.mapped(envelope.event))
    event = stamped(
        envelope,
        event_name=told.event,
        event_type=EVENT_TYPES.get(told.event, "custom"),
        occurred_at=told.occurred_at,
        subject=told.transaction_id,
    )
    event.order_id = told.transaction_id
    event.value = told.value
    event.currency = told.currency
    return event


def _map(envelope: Envelope, wire: Track | Interaction) -> Event:
    event_type = EVENT_TYPES[wire.type]
    if wire.type == "view" and wire.product_id is not None:
        event_type = "product_viewed"
    event = stamped(envelope, event_name=wire.type, event_type=event_type)
    properties: dict[str, Any] = {}
    if wire.metadata is not None:
        properties = jsontext.read_object(_METADATA.mapped(envelope.event).metadata)
    if wire.product_id is not None:
        properties["product_id"] = wire.product_id
        event.product_ids = (str(wire.product_id),)
    event.properties = jsontext.write_object(properties)
    return event
