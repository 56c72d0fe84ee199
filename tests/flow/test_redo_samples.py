"""The redo source's own samples, in its order, give the customers, properties and segments it names."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.segments.discovery import discover
from console.segments.preview import preview
from schemas.conditions import read_segment
from schemas.rows import LANDING
from tests.contract.dialect_examples import load
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.whole import REDO, Whole, open_whole

TABLES = (*LANDING, "customer_fields", "person_overrides")
ID, EMAIL, PHONE = "665f1a2b3c4d5e6f7a8b9c0d", "stewart@example.com", "+11234567890"
ORDER = (
    *("identity", "shape", "customer", "extra", "value", "unique_id"),
    *("timestamp", "bulk", "webhook", "backfill", "python"),
)
UNIQUE = 5
"""Events of the samples with a `uniqueId`: the others are new whenever they are sent."""


@pytest.fixture
async def shop(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "redo_samples", tmp_path, tables=TABLES) as opened:
        await send_all(opened)
        yield opened


async def send_all(whole: Whole) -> None:
    samples = {example.name: example for example in load() if example.dialect == "redo"}
    assert {f"source_{name}" for name in ORDER} == {name for name in samples if name.startswith("source_")}
    for name in ORDER:
        sample = samples[f"source_{name}"]
        answer = await whole.send(sample.path, json.loads(sample.body), REDO)
        assert (answer.status_code, answer.content) == (202, b"")
    await whole.settle()


async def found(whole: Whole, conditions: object) -> int:
    return (await preview(whole.use.warehouse, read_segment(conditions), 1, store="dev-store")).count


async def test_all_samples_are_of_one_customer(shop: Whole) -> None:
    [row] = await shop.query("SELECT * FROM customers")
    assert (row["customer_id"], row["email"], row["phone"]) == (ID, EMAIL, PHONE)
    assert (row["first_name"], row["last_name"]) == ("Stewart", "Thompson")
    location = json.loads(row["location"])
    assert len(location) == 11
    assert (location["city"], location["stateCode"], location["latitude"]) == ("Seattle", "WA", 47.6062)
    assert json.loads(row["custom_fields"]) == {
        "Age at Signup": 25,
        "Birthday": "1976-07-04T12:00:00Z",
        "Loyalty Tier": "Gold",
        "Accepts Marketing": True,
    }
    stored = await shop.query("SELECT person_id FROM events")
    assert {one["person_id"] for one in stored} == {row["person_id"]}


async def test_sent_again_only_what_has_no_unique_id_is_new(shop: Whole) -> None:
    [first] = await shop.query("SELECT count() AS n, countIf(occurred_at < '2026-01-01') AS old FROM events")
    assert first == {"n": 13, "old": 3}
    await send_all(shop)
    [second] = await shop.query("SELECT count() AS n, uniqExact(event_id) AS ids FROM events")
    assert second == {"n": 2 * 13 - UNIQUE, "ids": 2 * 13 - UNIQUE}
    assert (await shop.query("SELECT count() AS n FROM outcomes WHERE outcome = 'duplicate'"))[0][
        "n"
    ] == UNIQUE


async def test_its_properties_have_the_types_it_says(shop: Whole) -> None:
    told = await discover(shop.use.warehouse, 1, days=1, store="dev-store")
    types: dict[str, dict[str, Any]] = {
        seen.event: {one.name: one.type for one in seen.properties} for seen in told
    }
    assert types["Purchase Milestone Reached"] == {
        "Milestone Type": "string",
        "Total Spent": "number",
        "VIP Tier": "string",
        "Enrolled At": "date",
    }
    assert types["Checkout Started"] == {"Cart Value": "number", "Item Count": "number", "Source": "string"}
    extra = await shop.query("SELECT extra FROM events WHERE extra != ''")
    [kept] = [json.loads(row["extra"]) for row in extra]
    assert kept["Most Recent Order IDs"] == [1, 2, 3]
    assert (kept["Profile Snapshot"]["zero"], kept["Profile Snapshot"]["none"]) == (0, None)


async def test_the_event_is_kept_as_it_was_sent(shop: Whole) -> None:
    """Also what counts as unset, byte for byte."""
    sent = next(example for example in load() if str(example) == "redo/unset_data")
    async with shop.client() as client:
        answer = await client.post(sent.path, content=sent.body, headers=sent.headers)
    assert answer.status_code == 202
    await shop.settle()
    [row] = await shop.query("SELECT raw, properties FROM events WHERE event_name = 'e'")
    assert row["raw"].encode() == sent.body
    assert set(json.loads(row["properties"])) == {"g", "h", "i", "j", "k", "l"}


SEGMENTS: list[tuple[dict[str, Any], int]] = [
    ({"event": "Purchase Milestone Reached", "count": {"operator": "is", "value": 2}}, 1),
    ({"event": None, "where": {"property": "VIP Tier", "operator": "is", "value": "gold"}}, 1),
    ({"event": None, "where": {"property": "Total Spent", "operator": ">=", "value": 5000}}, 1),
    (
        {
            "event": "Purchase Milestone Reached",
            "where": {"property": "Enrolled At", "operator": "after", "value": "2024-12-31T00:00:00Z"},
        },
        1,
    ),
    ({"event": None, "where": {"property": "Profile Snapshot", "operator": "exists"}}, 0),
    ({"profile": "custom_fields.Birthday", "operator": "before", "value": "1980-01-01T00:00:00Z"}, 1),
    ({"profile": "custom_fields.Accepts Marketing", "operator": "is", "value": False}, 0),
    ({"profile": "location.stateCode", "operator": "is", "value": "WA"}, 1),
    ({"event": "Subscription Started", "period": {"to": "2024-06-02T00:00:00Z"}}, 1),
    ({"event": "Subscription Started", "period": {"last_days": 30}}, 0),
]
"""Conditions, and how many customers meet them."""


async def test_its_segments_find_the_customer(shop: Whole) -> None:
    answers = [(conditions, await found(shop, conditions)) for conditions, _ in SEGMENTS]
    assert answers == SEGMENTS
