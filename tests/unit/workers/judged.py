"""Events as the stages of a worker meet them."""

from typing import Any

from schemas.event import Event
from schemas.topics import RAW, Coordinates

NOW = 1_750_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

BROWSER = (
    "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)


def event(offset: int = 0, **changes: Any) -> Event:
    """Return a page view of relo that stands at `offset`, one second after the one before."""
    at = NOW + offset * 1_000
    given: dict[str, Any] = {
        "event_id": f"00000000-0000-7000-8000-{offset:012}",
        "tenant_id": 1,
        "dialect": "relo",
        "source": "3",
        "received_at": at,
        "sent_at": None,
        "request_id": "request-1",
        "flags": [],
        "event_name": "page_view",
        "event_type": "page_viewed",
        "occurred_at": at,
        "subject": "device-1",
        "anonymous_id": "device-1",
        "at": Coordinates(1, RAW, 0, offset),
    }
    return Event(**(given | changes))


def purchase(offset: int = 0, **changes: Any) -> Event:
    """Return a purchase of one product, each in an order of its own."""
    given: dict[str, Any] = {
        "event_name": "purchase",
        "event_type": "order_completed",
        "value": "100.000000",
        "currency": "MXN",
        "order_id": f"order-{offset}",
        "product_ids": ("product-1",),
        "anonymous_id": f"device-{offset}",
    }
    return event(offset, **(given | changes))
