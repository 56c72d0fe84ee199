"""From an alana event to the canonical one."""

from dialects import amounts, jsontext
from dialects.alana.rules import SHAPE
from dialects.alana.wire import (
    AddToCart,
    CategoryView,
    DetailPageView,
    HomePageView,
    PurchaseComplete,
    Search,
    ShoppingCartPageView,
)
from dialects.base import MappingError, Refused
from dialects.stamping import stamped
from schemas.envelope import Envelope
from schemas.event import Event, EventType

NAMES: dict[type, tuple[str, EventType]] = {
    HomePageView: ("home-page-view", "page_viewed"),
    Search: ("search", "products_searched"),
    CategoryView: ("category-view", "product_list_viewed"),
    DetailPageView: ("detail-page-view", "product_viewed"),
    AddToCart: ("add-to-cart", "product_added"),
    ShoppingCartPageView: ("shopping-cart-page-view", "cart_viewed"),
    PurchaseComplete: ("purchase-complete", "order_completed"),
}

_COMMON = ("eventType", "visitorId", "userId")  # they have columns of their own

NAMED_PROPERTIES: dict[str, tuple[str, ...]] = {
    "search": ("query",),
    "category-view": ("categoryPath",),
    "detail-page-view": ("productId",),
    "add-to-cart": ("productId",),
    "purchase-complete": ("productIds", "revenue", "currency"),
}
"""What the protocol requires of each type, in its own words."""


def to_event(envelope: Envelope) -> Event:
    """Map one accepted event; all but the common fields are its properties. Raises MappingError."""
    wire = SHAPE.mapped(envelope.event)
    event_name, event_type = NAMES[type(wire)]
    event = stamped(envelope, event_name=event_name, event_type=event_type, subject=wire.visitorId)
    event.anonymous_id = wire.visitorId
    event.user_id = (wire.userId or "").strip()
    if isinstance(wire, DetailPageView | AddToCart):
        event.product_ids = (wire.productId,)
    elif isinstance(wire, PurchaseComplete):
        _map_purchase(event, wire)
    properties = jsontext.read_object(envelope.event)
    for name in _COMMON:
        properties.pop(name, None)
    event.properties = jsontext.write_object(properties)
    return event


def _map_purchase(event: Event, wire: PurchaseComplete) -> None:
    revenue = amounts.plain_price(wire.revenue, "revenue")
    if isinstance(revenue, Refused):
        raise MappingError(revenue)
    event.value = revenue
    event.currency = wire.currency
    event.product_ids = tuple(wire.productIds)
