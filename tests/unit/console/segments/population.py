"""Customers with events, of which a test asks who meets a condition."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec

from console.segments.compile import SAMPLE_COLUMNS, compile_segment
from schemas.conditions import read_segment
from schemas.event import Event
from schemas.rows import EVENTS, LANDING, columns, event_row
from schemas.topics import RAW, Partition
from stores.warehouse import ClickHouse

NOW_MS = int(time.time()) * 1000
DAY_MS = 86_400_000
_PERSONS = UUID("00000000-0000-4000-8000-000000000000")
_offsets = count()


@dataclass
class Customer:
    """One customer; `name` is its e-mail's, `events` are (name, days ago, properties, other fields)."""

    name: str
    tenant_id: int = 1
    source: str = "store"
    told_ms: int = NOW_MS  # when the profile was
    profile: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, float, dict[str, Any], dict[str, Any]]] = field(default_factory=list)

    @property
    def person_id(self) -> UUID:
        return uuid5(_PERSONS, f"{self.tenant_id}/{self.source}/{self.name}")

    def did(self, event: str, days_ago: float = 1, properties: object = None, **fields: Any) -> "Customer":
        self.events.append((event, days_ago, dict(properties or {}), fields))  # type: ignore[call-overload]
        return self


async def settle(warehouse: ClickHouse, customers: Iterable[Customer]) -> None:
    """Store them, and their events by the way that the workers' rows take."""
    everyone = list(customers)
    rows = [event_row(event) for customer in everyone for event in _events(customer)]
    if rows:
        block = columns(Partition(RAW, 0), 1, [next(_offsets) for _ in rows], rows)
        await warehouse.insert(LANDING[EVENTS], block, token=uuid4().hex, query_id=uuid4().hex)
    fields = [(customer, *one) for customer in everyone for one in _fields(customer)]
    await warehouse.insert(
        "customer_fields",
        {
            "tenant_id": [customer.tenant_id for customer, _, _ in fields],
            "person_id": [customer.person_id for customer, _, _ in fields],
            "dialect": ["redo"] * len(fields),
            "source": [customer.source for customer, _, _ in fields],
            "field": [name for _, name, _ in fields],
            "value": [value for _, _, value in fields],
            "rank": [customer.told_ms << 80 for customer, _, _ in fields],
        },
        token=uuid4().hex,
        query_id=uuid4().hex,
    )


async def merge(warehouse: ClickHouse, customer: Customer, into: Customer) -> None:
    await warehouse.insert(
        "person_overrides",
        {
            "tenant_id": [customer.tenant_id],
            "person_id": [customer.person_id],
            "canonical_id": [into.person_id],
            "version": [1],
        },
        token=uuid4().hex,
        query_id=uuid4().hex,
    )


async def who(
    warehouse: ClickHouse, conditions: object, *, tenant_id: int = 1, store: str = "", now_ms: int = NOW_MS
) -> list[str]:
    """Return the names of those that meet the conditions."""
    query = compile_segment(
        read_segment(conditions), tenant_id=tenant_id, store=store, now_ms=now_ms, sample_size=1000
    )
    [row] = await warehouse.query(query.sql, query.params)
    found = [dict(zip(SAMPLE_COLUMNS, customer, strict=True)) for customer in row["sample"]]
    assert row["customers"] == len(found)
    return sorted(str(customer["email"]).partition("@")[0] for customer in found)


def _fields(customer: Customer) -> Sequence[tuple[str, str]]:
    given = {"email": f"{customer.name}@example.com", **customer.profile}
    since = ("since", str(NOW_MS - 5 * DAY_MS))
    return [since, *((name, msgspec.json.encode(value).decode()) for name, value in given.items())]


def _events(customer: Customer) -> Iterable[Event]:
    for name, days_ago, properties, fields in customer.events:
        given: dict[str, Any] = {
            "event_id": str(uuid4()),
            "tenant_id": customer.tenant_id,
            "dialect": "redo",
            "source": customer.source,
            "received_at": NOW_MS,
            "sent_at": None,
            "request_id": "request",
            "flags": [],
            "event_name": name,
            "event_type": "custom",
            "occurred_at": NOW_MS - round(days_ago * DAY_MS),
            "subject": customer.name,
            "person_id": str(customer.person_id),
            "properties": msgspec.json.encode(properties).decode(),
        }
        yield Event(**(given | fields))
