"""What each type of event needs, as the sources list it: without any one of it the event is rejected."""

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from dialects import discover
from dialects.base import Accepted, Endpoint, Refused
from tests.contract.dialect_pure import TOKENS

RELO_COMMON = {"ts": 1_710_244_800_000, "cid": 3, "did": "d-1"}
RELO: dict[str, dict[str, Any]] = {
    "page_view": {"url": "https://shop.example/"},
    "view_product": {"product_id": "p-1", "price": 5},
    "add_to_cart": {"product_id": "p-1", "price": 5, "quantity": 1},
    "begin_checkout": {"cart_value": 5},
    "purchase": {"order_id": "o-1", "revenue": 5, "product_id": "p-1", "quantity": 1},
    "install": {},
    "custom": {},
}
ALANA: dict[str, dict[str, Any]] = {
    "home-page-view": {},
    "search": {"query": "azul"},
    "category-view": {"categoryPath": "shirts"},
    "detail-page-view": {"productId": "p-1"},
    "add-to-cart": {"productId": "p-1"},
    "shopping-cart-page-view": {},
    "purchase-complete": {"productIds": ["p-1"], "revenue": 5, "currency": "BRL"},
}
REDO = {"eventName": "Order Placed", "customer": {"email": "a@example.com"}}
TRACK = {"tenant_id": "1", "type": "call"}
INTERACTION = {"tenant_id": 1, "type": "view"}


def needed() -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Dialect, endpoint, an event with just what it needs, and the path of one thing that it needs."""
    for name, props in RELO.items():
        event = {"t": name, **RELO_COMMON, "props": props}
        yield from (("relo", "batch", event, field) for field in ("t", *RELO_COMMON))
        yield from (("relo", "batch", event, f"props.{field}") for field in props)
    for name, fields in ALANA.items():
        event = {"eventType": name, "visitorId": "v-1", **fields}
        yield from (("alana", "events", event, field) for field in event)
    for endpoint in ("event", "bulk"):
        yield from (("redo", endpoint, REDO, field) for field in REDO)
    yield from (("tracker", "track", TRACK, field) for field in TRACK)
    yield from (("tracker", "interactions", INTERACTION, field) for field in INTERACTION)


def judge(dialect: str, endpoint: str, event: object) -> Accepted | Refused:
    token = next((token for (name, _), token in TOKENS.items() if name == dialect), None)
    declared: dict[str, Endpoint] = {
        one.name: one for each in discover() if each.name == dialect for one in each.endpoints
    }
    return declared[endpoint].validate(Raw(msgspec.json.encode(event)), token)


def name_of(value: object) -> str:
    return str(value.get("t") or value.get("eventType") or "") if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("dialect", "endpoint", "event", "field"), [*needed()], ids=name_of)
def test_an_event_needs_just_what_is_listed(
    dialect: str, endpoint: str, event: dict[str, Any], field: str
) -> None:
    assert isinstance(judge(dialect, endpoint, event), Accepted)
    *above, last = field.split(".")
    less = copy.deepcopy(event)
    holder = less
    for name in above:
        holder = holder[name]
    del holder[last]
    refused = judge(dialect, endpoint, less)
    assert isinstance(refused, Refused)
    # relo's url may stand in either place; it is asked for at the top.
    assert (refused.code, refused.field) == ("missing_field", "url" if last == "url" else field)
