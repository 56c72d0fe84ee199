"""From a relo event to the canonical one."""

from collections.abc import Callable
from typing import Any, TypeVar

from dialects import amounts, identifiers, jsontext
from dialects.base import MappingError, Refused
from dialects.relo.rules import SHAPE
from dialects.relo.wire import (
    AddToCart,
    BeginCheckout,
    Custom,
    Install,
    PageView,
    Purchase,
    ViewProduct,
)
from dialects.stamping import stamped
from schemas.envelope import Envelope
from schemas.event import Event, EventType

T = TypeVar("T")

CURRENCY = "MXN"  # of a purchase that names none

NAMES: dict[type, tuple[str, EventType]] = {
    PageView: ("page_view", "page_viewed"),
    ViewProduct: ("view_product", "product_viewed"),
    AddToCart: ("add_to_cart", "product_added"),
    BeginCheckout: ("begin_checkout", "checkout_started"),
    Purchase: ("purchase", "order_completed"),
    Install: ("install", "app_installed"),
    Custom: ("custom", "custom"),
}

_read_props = jsontext.member("props")

_PURCHASE = ("order_id", "revenue", "currency", "product_id", "product_name", "product_line", "quantity")

NAMED_PROPERTIES: dict[str, tuple[str, ...]] = {
    "page_view": ("url",),
    "view_product": ("product_id", "price"),
    "add_to_cart": ("product_id", "price", "quantity"),
    "begin_checkout": ("cart_value",),
    "purchase": _PURCHASE,
}
"""What the protocol's tables name in `props`; install and custom have nothing of their own."""


def to_event(envelope: Envelope) -> Event:
    """Map one accepted event. Raises MappingError."""
    wire = SHAPE.mapped(envelope.event)
    event_name, event_type = NAMES[type(wire)]
    event = stamped(
        envelope, event_name=event_name, event_type=event_type, occurred_at=wire.ts, subject=wire.did
    )
    event.anonymous_id = wire.did
    event.url = wire.url or ""
    event.referrer = wire.ref or ""
    if wire.consent is not None:
        event.consent, event.consent_given = wire.consent, True
    if wire.props is not None:
        if type(wire) in _DETAILS:
            _DETAILS[type(wire)](event, wire)
        _map_props(event, _read_props(envelope.event))
    return event


def _page_view(event: Event, wire: PageView) -> None:
    if wire.props is not None and not event.url:
        event.url = wire.props.url or ""


def _view_product(event: Event, wire: ViewProduct) -> None:
    event.product_ids = (wire.props.product_id,)
    event.value = _known(amounts.plain_price(wire.props.price, "props.price"))


def _add_to_cart(event: Event, wire: AddToCart) -> None:
    event.product_ids = (wire.props.product_id,)
    price, quantity = wire.props.price, wire.props.quantity
    if quantity == 1:
        event.value = _known(amounts.plain_price(price, "props.price"))
    else:
        amount = _known(amounts.read_price(price, "props.price"))
        event.value = amounts.plain(_known(amounts.times(amount, quantity, "props.price")))


def _begin_checkout(event: Event, wire: BeginCheckout) -> None:
    event.value = _known(amounts.plain_price(wire.props.cart_value, "props.cart_value"))


def _purchase(event: Event, wire: Purchase) -> None:
    event.product_ids = (wire.props.product_id,)
    event.order_id = wire.props.order_id
    event.value = _known(amounts.plain_price(wire.props.revenue, "props.revenue"))
    event.currency = wire.props.currency or CURRENCY


_DETAILS: dict[type, Callable[[Event, Any], None]] = {
    PageView: _page_view,
    ViewProduct: _view_product,
    AddToCart: _add_to_cart,
    BeginCheckout: _begin_checkout,
    Purchase: _purchase,
}


def _map_props(event: Event, props: dict[str, Any]) -> None:
    event.properties = jsontext.write_object(props)
    user_id = props.get("user_id")
    if isinstance(user_id, int) and not isinstance(user_id, bool):
        user_id = str(user_id)
    if isinstance(user_id, str):
        event.user_id = user_id.strip()
    email = props.get("email")
    if isinstance(email, str):
        event.email = identifiers.email(email)
    phone = props.get("phone")
    if isinstance(phone, str):
        event.phone = phone.strip()


def _known(amount: T | Refused) -> T:
    if isinstance(amount, Refused):
        raise MappingError(amount)
    return amount
