"""Tries conditions: on a sample event, or on the events that were stored lately."""

import time
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Struct

from console.segments.events import count_events, newest_events
from schemas.conditions import Condition, date_ms, test_of
from schemas.conditions.judging import Facts
from schemas.event import Event, EventType
from schemas.matches import MatchedEvent
from stores.base import Warehouse

HOURS = 24
SAMPLE_SIZE = 20
THREADS_MAX = 4
HOUR_MS = 3_600_000

_MEMBERS = {field.name for field in msgspec.structs.fields(MatchedEvent)}
_PLACES = Decimal("0.000001")


class Trial(Struct, forbid_unknown_fields=True):
    """Conditions to try, and perhaps an event; the rest so that a saved filter's file can be tried."""

    conditions: dict[str, Any]
    event: dict[str, Any] | None = None
    name: str = ""
    url: str = ""
    active: bool = True


class SampleInvalid(ValueError):
    """An event that cannot be; the message says how to fix it."""


class _Sample(Struct):
    event_name: str = ""
    event_type: EventType = "custom"
    dialect: str = ""
    source: str = ""
    url: str = ""
    country: str = ""
    city: str = ""
    device_type: str = ""
    value: int | float | None = None
    currency: str = ""
    order_id: str = ""
    occurred_at: str = ""
    properties: dict[str, Any] = {}


def meets(condition: Condition, sample: dict[str, Any]) -> bool:
    """Tell whether an event as webhooks show it, or a part of one, matches. Raises SampleInvalid."""
    return test_of(condition)(Facts(_event(sample)))


async def try_on_stored(
    warehouse: Warehouse, condition: Condition, tenant_id: int, *, store: str = ""
) -> dict[str, Any]:
    """Return how many events of the last day meet the conditions, of how many, and the newest of them.

    Raises StoreUnavailable, and QueryRefused where it would take too long.
    """
    since_ms = time.time_ns() // 1_000_000 - HOURS * HOUR_MS
    counted = count_events(condition, tenant_id=tenant_id, store=store, since_ms=since_ms)
    newest = newest_events(condition, tenant_id=tenant_id, store=store, since_ms=since_ms, size=SAMPLE_SIZE)
    [counts] = await warehouse.query(counted.sql, counted.params, threads_max=THREADS_MAX)
    sample = await warehouse.query(newest.sql, newest.params, threads_max=THREADS_MAX)
    return {"hours": HOURS, **counts, "sample": sample}


def _event(sample: dict[str, Any]) -> Event:
    if unknown := sorted(set(sample) - _MEMBERS):
        raise SampleInvalid(f"an event has no member {unknown[0]!r}; docs/filters.md lists them")
    try:
        given = msgspec.convert(sample, _Sample)
    except msgspec.ValidationError as error:
        raise SampleInvalid(f"the event is not usable: {error}") from None
    now_ms = time.time_ns() // 1_000_000
    occurred_at = date_ms(given.occurred_at) if given.occurred_at else now_ms
    if occurred_at is None:
        raise SampleInvalid("`occurred_at` is a date-time with a zone, like 2026-04-02T12:00:00Z")
    return Event(
        event_id="",
        tenant_id=0,
        dialect=given.dialect,
        source=given.source,
        received_at=now_ms,
        sent_at=None,
        request_id="",
        flags=[],
        event_name=given.event_name,
        event_type=given.event_type,
        occurred_at=occurred_at,
        subject="",
        url=given.url,
        country=given.country,
        city=given.city,
        device_type=given.device_type,
        value=_amount(given.value),
        currency=given.currency,
        order_id=given.order_id,
        properties=msgspec.json.encode(given.properties).decode(),
    )


def _amount(value: float | None) -> str | None:
    if value is None:
        return None
    try:
        return f"{Decimal(repr(value)).quantize(_PLACES):f}"
    except InvalidOperation:
        raise SampleInvalid("`value` is an amount below 10^22, with six places at most") from None
