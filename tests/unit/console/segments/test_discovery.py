"""Which properties there are: names, types, when they were last seen, some values."""

from typing import Any

import pytest

from console.segments import discovery
from console.segments.discovery import Property, SeenEvent, discover
from stores.warehouse import ClickHouse
from tests.unit.console.conftest import Api
from tests.unit.console.segments.people import HISTORIES, OTHERS, TRICKY, TRICKY_NAME, VALUES
from tests.unit.console.segments.population import DAY_MS, NOW_MS, Customer, settle

PROPERTIES = "/penstock/v1/properties"
OWN = 50
"""The first of the tenants that tests here make for themselves."""


def named(seen: list[SeenEvent]) -> dict[str, dict[tuple[str, str], Property]]:
    return {one.event: {(found.name, found.type): found for found in one.properties} for one in seen}


async def test_names_types_and_values(api: Api) -> None:
    answer = await api.get(PROPERTIES, "one-read")
    assert answer.status_code == 200
    told = answer.json()
    assert told["days"] == 30
    [valued] = told["events"]
    assert (valued["event"], valued["count"], valued["looked_at"]) == ("Valued", 29, 29)
    assert valued["last_seen"].endswith("Z")
    found: dict[tuple[str, str], dict[str, Any]] = {
        (one["name"], one["type"]): one for one in valued["properties"]
    }
    assert set(found) == {
        *((name, "string") for name in ("", "p", "q", TRICKY_NAME)),
        *(("p", kind) for kind in ("number", "boolean", "date")),
    }
    assert found["p", "boolean"]["samples"] == [False, True]
    assert found["p", "boolean"]["count"] == 2
    assert found["p", "number"]["count"] == 7
    assert len(found["p", "number"]["samples"]) == 5
    assert all(type(value) in (int, float) for value in found["p", "number"]["samples"])
    assert found["p", "date"]["samples"] == [
        "1955-01-01T00:00:00.500000Z",
        "2026-04-02T12:00:00Z",
        "2026-04-02T12:00:00.001000Z",
    ]
    assert found[TRICKY_NAME, "string"]["samples"] == ["gold"]
    assert found["q", "string"]["last_seen"] == valued["last_seen"]


async def test_each_tenant_and_store_for_itself(warehouse: ClickHouse) -> None:
    events = {one.event for one in await discover(warehouse, HISTORIES, days=30)}
    assert events == {"Order Placed", "Page Viewed", "Backfilled"}
    assert [one.count for one in await discover(warehouse, OTHERS, days=30)] == [2]
    for store, count in (("store-2", [1]), ("store-3", []), ("' OR 1=1", [])):
        assert [one.count for one in await discover(warehouse, OTHERS, days=30, store=store)] == count
    assert await discover(warehouse, 999, days=30) == []
    assert VALUES not in (HISTORIES, OTHERS)


async def test_one_event(api: Api) -> None:
    told = (await api.get(PROPERTIES, "two-read", event="Order Placed")).json()
    assert [one["event"] for one in told["events"]] == ["Order Placed"]
    assert {one["name"] for one in told["events"][0]["properties"]} == {"plan", "n"}
    for attack in ("nothing", "' OR 1=1 --", "%(tenant_id)s"):
        assert (await api.get(PROPERTIES, "two-read", event=attack)).json()["events"] == []


@pytest.mark.parametrize(
    "params", [{"days": "0"}, {"days": "401"}, {"days": "x"}, {"event": ""}, {"limit": "5"}]
)
async def test_parameters(api: Api, params: dict[str, str]) -> None:
    answer = await api.get(PROPERTIES, "one-read", **params)
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")


async def test_a_window_of_days(warehouse: ClickHouse) -> None:
    """By when events came: a backfill is news."""
    came: dict[str, Any] = {"received_at": NOW_MS - 20 * DAY_MS}
    old = Customer("old", OWN).did("Old", 20, {"a": 1}, **came).did("Backfilled", 300, {"b": 1})
    await settle(warehouse, [old])
    assert set(named(await discover(warehouse, OWN, days=10))) == {"Backfilled"}
    assert set(named(await discover(warehouse, OWN, days=30))) == {"Backfilled", "Old"}


async def test_of_each_name_the_newest_are_looked_at(
    warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy name does not hide a rare one, and what is old about the busy one is not read."""
    tenant = OWN + 1
    busy = Customer("busy", tenant)
    for hour in range(20):
        came: dict[str, Any] = {"received_at": NOW_MS - hour * 3_600_000}
        busy.did("Busy", 1, {"seen": hour, f"only-{hour}": True}, **came)
    rare: dict[str, Any] = {"received_at": NOW_MS - 9 * DAY_MS}
    await settle(warehouse, [busy.did("Rare", 1, {"rare": "yes"}, **rare)])
    monkeypatch.setattr(discovery, "EVENTS_READ", 3)
    seen = await discover(warehouse, tenant, days=30)
    assert [(one.event, one.count, one.looked_at) for one in seen] == [("Busy", 20, 3), ("Rare", 1, 1)]
    found = named(seen)
    assert set(found["Busy"]) == {
        ("seen", "number"),
        *((f"only-{hour}", "boolean") for hour in range(3)),
    }
    assert found["Busy"]["seen", "number"].count == 3
    assert set(found["Rare"]) == {("rare", "string")}


async def test_samples_are_few_and_short(warehouse: ClickHouse) -> None:
    tenant = OWN + 2
    long = Customer("long", tenant)
    for number in range(20):
        long.did("Long", 1, {"text": f"{number:02}" + "é" * 5000, "code": TRICKY * 3})
    await settle(warehouse, [long])
    found = named(await discover(warehouse, tenant, days=30))["Long"]
    samples = found["text", "string"].samples
    assert len(samples) == discovery.SAMPLES
    assert {len(sample) for sample in samples} == {discovery.SAMPLE_CHARACTERS_MAX}
    assert found["code", "string"].samples == [TRICKY * 3]
