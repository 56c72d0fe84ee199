"""Segments over the whole way: what a redo shop sends is what it can ask for."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.base import Bus
from console.app import create_app
from console.auditor import Auditor
from console.guard import Guard
from console.inflight import InFlight
from console.use import Use
from schemas.rows import LANDING
from stores.keys import MemoryKeys
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.whole import REDO, RELO, Whole, open_whole

STORE = "/v2.2/stores/dev-store/events"
TABLES = (*LANDING, "customer_fields", "person_overrides")
STEWART, ANN, BOB = "stewart@example.com", "ann@example.com", "bob@example.com"


@pytest.fixture
async def whole(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "flow_segments", tmp_path, tables=TABLES) as opened:
        yield opened


@pytest.fixture
async def shop(whole: Whole) -> Whole:
    """Three customers, of whom one gave an e-mail first and an id later, with the source's own samples."""
    tier = {"Milestone Type": "100th_purchase", "Total Spent": 5000, "VIP Tier": "gold"}
    milestone = tier | {"Enrolled At": "2025-01-01T00:00:00Z", "Refunds": 0, "Note": "", "Coupon": None}
    await send(
        whole,
        event(
            "Purchase Milestone Reached", {"email": STEWART, "firstName": "Stewart"}, milestone, value=299.99
        ),
        event("Order Placed", {"email": STEWART}, {"Order Total": 59.99, "Gift": False}, uniqueId="o-1"),
        event("Order Placed", {"email": STEWART}, {"Order Total": 10}, uniqueId="o-1"),
        event("Order Placed", {"email": STEWART.upper(), "id": "c-1"}, {"Order Total": "59.99"}),
        event("Order Placed", {"email": ANN}, {"Order Total": 5, "$extra": {"Order Total": 1000}}),
        event("Page Viewed", {"phoneNumber": "+11234567890", "email": BOB}, {"Page": "/pricing"}),
    )
    await whole.settle()
    return whole


def event(name: str, customer: Mapping[str, Any], data: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"eventName": name, "customer": dict(customer), "data": dict(data), **more}


async def send(whole: Whole, *events: Mapping[str, Any]) -> None:
    answer = await whole.send(STORE + "/bulk", {"events": events}, REDO)
    assert answer.status_code == 202, answer.text


async def ask(whole: Whole, conditions: object, tmp_path: Path) -> list[str]:
    """Preview with the command; return the e-mails of who was found."""
    file = tmp_path / "segment.json"
    file.write_text(json.dumps({"name": "Tried", "conditions": conditions}))
    status, [found], errors = await whole.penstock("segment", "preview", str(file))
    assert status == 0, errors
    assert found["count"] == len(found["sample"])
    return sorted(customer["email"] for customer in found["sample"])


def ordered(operator: str, *value: object) -> dict[str, Any]:
    test = {"property": "Order Total", "operator": operator} | ({"value": value[0]} if value else {})
    return {"event": "Order Placed", "where": test}


async def test_what_the_source_says_can_be_asked(shop: Whole, tmp_path: Path) -> None:
    gold = {
        "event": "Purchase Milestone Reached",
        "where": {
            "all": [
                {"property": "VIP Tier", "operator": "is", "value": "gold"},
                {"property": "Total Spent", "operator": ">", "value": 1000},
                {"property": "Enrolled At", "operator": "before", "value": "2025-06-01T00:00:00Z"},
                {"field": "value", "operator": "between", "value": [299, 300]},
            ]
        },
    }
    assert await ask(shop, gold, tmp_path) == [STEWART]
    for name in ("Refunds", "Note", "Coupon", "$extra"):
        unset = {"event": None, "where": {"property": name, "operator": "exists"}}
        assert await ask(shop, unset, tmp_path) == []
    false = {"event": None, "where": {"property": "Gift", "operator": "is", "value": False}}
    assert await ask(shop, false, tmp_path) == [STEWART]
    assert await ask(shop, ordered("<=", 100), tmp_path) == [ANN, STEWART]
    assert await ask(shop, ordered("is", "59.99"), tmp_path) == [STEWART]
    assert await ask(shop, ordered("is", 1000), tmp_path) == []


async def test_counts_and_customers(shop: Whole, tmp_path: Path) -> None:
    """A duplicate counts for nobody, and whoever is known by e-mail and id is one customer."""
    twice = {"event": "Order Placed", "count": {"operator": "is", "value": 2}, "period": {"last_days": 1}}
    never = {"event": "Order Placed", "count": {"operator": "is", "value": 0}}
    named = {"profile": "first_name", "operator": "exists"}
    assert await ask(shop, twice, tmp_path) == [STEWART]
    assert await ask(shop, never, tmp_path) == [BOB]
    assert await ask(shop, {"not": named}, tmp_path) == [ANN, BOB]
    assert await ask(shop, {"profile": "customer_id", "operator": "is", "value": "c-1"}, tmp_path) == [
        STEWART
    ]
    phone = {"profile": "phone", "operator": "contains", "value": "1234"}
    assert await ask(shop, {"all": [phone, {"event": "Page Viewed"}]}, tmp_path) == [BOB]


async def test_other_dialects_can_be_asked_for_too(shop: Whole, tmp_path: Path) -> None:
    """Also those devices that turned out to be one person."""
    props = {"product_id": "p-1", "price": 20, "email": "dora@example.com"}
    for device in ("device-1", "device-2"):
        viewed = {"t": "view_product", "ts": 1_775_131_200_000, "cid": 3, "did": device, "props": props}
        answer = await shop.send("/ingest/batch", {"events": [viewed]}, RELO)
        assert answer.json()["accepted"] == 1, answer.text
        await shop.settle()
    price = {"property": "price", "operator": "is", "value": 20}
    twice = {"event": "view_product", "where": price, "count": {"operator": "is", "value": 2}}
    assert await ask(shop, twice, tmp_path) == ["dora@example.com"]


async def test_the_api_answers_alike(shop: Whole) -> None:
    app = create_app(use(shop, shop.bus))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        client.headers["Authorization"] = f"Bearer {await read_token(shop)}"
        asked = {"conditions": {"all": [ordered("exists"), {"not": ordered("is", 5)}]}}
        found = (await client.post("/penstock/v1/segments/preview", json=asked)).json()
        assert (found["count"], [one["email"] for one in found["sample"]]) == (1, [STEWART])
        told = (await client.get("/penstock/v1/properties", params={"event": "Order Placed"})).json()
    [orders] = told["events"]
    assert orders["count"] == 3
    assert [(one["name"], one["type"], one["samples"]) for one in orders["properties"]] == [
        ("Gift", "boolean", [False]),
        ("Order Total", "number", [5, 59.99]),
        ("Order Total", "string", ["59.99"]),
    ]


def use(whole: Whole, bus: Bus) -> Use:
    registry = whole.use.registry
    guard, auditor = Guard(registry, MemoryKeys()), Auditor(bus, whole.use.warehouse, 1)
    return Use(whole.use.warehouse, registry, guard, auditor, InFlight(bus))


async def read_token(whole: Whole) -> str:
    _, secret = await whole.use.registry.add_token(1, "", scopes=["read"])
    return secret


async def test_a_file_that_cannot_be_read_is_a_sentence(whole: Whole, tmp_path: Path) -> None:
    file = tmp_path / "segment.json"
    for content, sentence in (
        ("{", "is not usable: it is not JSON"),
        ('{"conditions": {"event": "e", "count": {"operator": "many"}}}', "`conditions.count.operator`"),
        ('{"conditions": {"property": "p", "operator": "exists"}}', "exactly one of `event`, `profile`"),
    ):
        file.write_text(content)
        status, told, errors = await whole.penstock("segment", "preview", str(file))
        assert (status, told) == (1, [])
        assert sentence in errors
        assert "Traceback" not in errors
