"""Persons and profiles over the whole way: what the producers promise their users, in `customers`."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.commands import person
from schemas.rows import LANDING
from stores.base import StoreUnavailable
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.whole import REDO, RELO, Whole, open_whole

STORE = "/v2.2/stores/dev-store/events"
A, B = "stewart@example.com", "ann@example.com"
TABLES = (*LANDING, "customer_fields", "person_overrides")


@pytest.fixture
async def whole(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "persons", tmp_path, tables=TABLES) as opened:
        yield opened


def event(customer: Mapping[str, Any], at: str | None = None, **more: Any) -> dict[str, Any]:
    time = {} if at is None else {"eventTimestamp": at}
    return {"eventName": "Profile Updated", "customer": dict(customer), **time, **more}


async def send(whole: Whole, *events: Mapping[str, Any]) -> None:
    """Send in one request, whose events are taken in order."""
    answer = await whole.send(STORE + "/bulk", {"events": events}, REDO)
    assert answer.status_code == 202, answer.text


async def customers(whole: Whole) -> list[dict[str, Any]]:
    rows = await whole.query("SELECT * FROM customers ORDER BY email, customer_id")
    unfolded = ("location", "custom_fields")
    return [row | {name: json.loads(row[name]) for name in unfolded} for row in rows]


async def the_customer(whole: Whole) -> dict[str, Any]:
    [row] = await customers(whole)
    return row


async def test_the_source_s_own_customer(whole: Whole) -> None:
    location = {
        "street1": "123 Main St",
        "street2": "Apt 4B",
        "city": "Seattle",
        "countryCode": "US",
        "latitude": 47.6062,
        "longitude": -122.3321,
    }
    custom = {"Age at Signup": 25, "Birthday": "1976-07-04T12:00:00Z", "Accepts Marketing": True}
    given = {"id": "665f1a2b3c4d5e6f7a8b9c0d", "email": "Stewart@Example.com ", "phoneNumber": "+11234567890"}
    names = {"firstName": "Stewart", "lastName": "Thompson"}
    await send(
        whole,
        event({**given, **names, "location": location, "customFields": custom}, "2026-04-02T12:00:00.123Z"),
    )
    await whole.settle()
    row = await the_customer(whole)
    assert row["location"] == location
    assert row["custom_fields"] == custom
    assert (row["tenant_id"], row["dialect"], row["source"]) == (1, "redo", "dev-store")
    assert (row["customer_id"], row["email"], row["phone"]) == (given["id"], A, "+11234567890")
    assert (row["first_name"], row["last_name"]) == ("Stewart", "Thompson")
    assert row["created_at"] == row["updated_at"]
    assert row["updated_at"].isoformat() == "2026-04-02T12:00:00.123000+00:00"
    [stored] = await whole.query("SELECT person_id, has(flags, 'phone_unlikely') AS unlikely FROM events")
    assert stored == {"person_id": row["person_id"], "unlikely": 1}


async def test_a_patch_leaves_alone_what_it_omits(whole: Whole) -> None:
    first = {
        "email": A,
        "firstName": "Stewart",
        "lastName": "Thompson",
        "location": {"city": "Seattle", "state": "WA"},
    }
    then = {
        "email": A,
        "firstName": "",
        "lastName": None,
        "location": {"city": "Lima", "state": ""},
        "customFields": {"Age": 0, "Member": False, "Tier": None, "Note": ""},
    }
    await send(
        whole,
        event({**first, "customFields": {"Age": 25, "Tier": "gold", "Note": "x"}}, "2026-01-01T00:00:00Z"),
        event(then, "2026-01-02T00:00:00Z"),
    )
    await whole.settle()
    row = await the_customer(whole)
    assert (row["first_name"], row["last_name"]) == ("Stewart", "Thompson")
    assert row["location"] == {"city": "Lima", "state": "WA"}
    assert row["custom_fields"] == {"Age": 0, "Member": False, "Tier": "gold", "Note": "x"}


async def test_a_backfill_overwrites_nothing_newer(whole: Whole) -> None:
    await send(
        whole,
        event({"email": A, "firstName": "Now", "customFields": {"Tier": "gold"}}, "2026-04-01T00:00:00Z"),
        event(
            {"email": A, "firstName": "Then", "lastName": "Kept", "customFields": {"Tier": "none", "Old": 1}},
            "2024-01-01T00:00:00Z",
        ),
    )
    await whole.settle()
    row = await the_customer(whole)
    assert (row["first_name"], row["last_name"]) == ("Now", "Kept")
    assert row["custom_fields"] == {"Tier": "gold", "Old": 1}
    assert (row["created_at"].year, row["updated_at"].year) == (2024, 2026)


async def test_of_two_at_the_same_time_the_later_in_the_log_counts(whole: Whole) -> None:
    at = "2026-04-01T00:00:00Z"
    await send(whole, *(event({"id": "cust-1", "firstName": name}, at) for name in ("One", "Two", "Three")))
    await whole.settle()
    assert (await the_customer(whole))["first_name"] == "Three"


async def test_two_customers_and_an_identifier_in_conflict(whole: Whole) -> None:
    await send(whole, event({"id": "cust-1", "email": A}), event({"id": "cust-2", "email": B}))
    await send(whole, event({"id": "cust-1", "email": B, "firstName": "First"}))
    await whole.settle()
    second, first = await customers(whole)
    assert (first["customer_id"], first["email"], first["first_name"]) == ("cust-1", A, "First")
    assert (second["customer_id"], second["email"], second["first_name"]) == ("cust-2", B, "")
    [flagged] = await whole.query("SELECT person_id FROM events WHERE has(flags, 'identity_conflict')")
    assert flagged["person_id"] == first["person_id"]


async def test_a_duplicate_changes_nothing(whole: Whole) -> None:
    once = event({"email": A, "firstName": "First"}, "2026-01-01T00:00:00Z", uniqueId="u-1")
    again = event(
        {"email": A, "phoneNumber": "+525512345678", "firstName": "Second"},
        "2026-02-01T00:00:00Z",
        uniqueId="u-1",
    )
    await send(whole, once, again)
    await whole.settle()
    row = await the_customer(whole)
    assert (row["first_name"], row["phone"], row["updated_at"].month) == ("First", "", 1)
    status, _, errors = await whole.penstock("person", "show", "mi-negocio", "phone", "+525512345678")
    assert (status, "nothing is known" in errors) == (1, True)


async def test_without_consent_to_marketing_there_is_no_profile(whole: Whole) -> None:
    visits = [
        {
            "t": "install",
            "ts": 1_775_000_000_000,
            "cid": 3,
            "did": f"did-{mask}",
            "consent": mask,
            "props": {"user_id": f"user-{mask}", "email": f"{mask}@example.com"},
        }
        for mask in (255, 255 - 8, 255 - 2, 255 - 1)
    ]
    assert (await whole.send("/ingest/batch", {"events": visits}, RELO)).json()["accepted"] == 4
    await whole.settle()
    row = await the_customer(whole)
    assert (row["dialect"], row["source"], row["customer_id"], row["email"]) == (
        "relo",
        "",
        "user-255",
        "255@example.com",
    )
    known = await whole.query(
        "SELECT consent, isNotNull(person_id) AS known FROM events ORDER BY consent DESC"
    )
    assert [(each["consent"], each["known"]) for each in known] == [(255, 1), (254, 0), (253, 0), (247, 1)]


async def test_devices_of_one_user_are_one_person_to_queries(whole: Whole) -> None:
    async def visit(visitor: str, user: str = "") -> None:
        given = {"eventType": "home-page-view", "visitorId": visitor} | ({"userId": user} if user else {})
        answer = await whole.send("/api/v1/events", {"events": [given]}, {"x-api-key": "ak_dev"})
        assert answer.json()["stored"] == 1

    await visit("visitor-1", "user-1")
    await visit("visitor-2")
    await whole.settle()
    await visit("visitor-2", "user-1")
    await visit("visitor-2")
    await whole.settle()
    rows = await whole.query(
        "SELECT anonymous_id, person_id, stored_person_id FROM events_resolved ORDER BY received_at"
    )
    assert len({row["person_id"] for row in rows}) == 1
    person = rows[0]["person_id"]
    assert [row["stored_person_id"] == person for row in rows] == [True, False, True, True]
    assert (await the_customer(whole))["person_id"] == person

    status, [shown], _ = await whole.penstock("person", "show", "1", "id", "user-1")
    assert (status, shown["person_id"]) == (0, str(person))
    assert [pair["device"] for pair in shown["devices"]] == ["visitor-1", "visitor-2"]
    status, [undone], _ = await whole.penstock(
        "person", "unlink", "1", "id", "user-1", "--device", "visitor-2"
    )
    assert (status, undone["device"]) == (0, "visitor-2")
    rows = await whole.query("SELECT person_id FROM events_resolved ORDER BY received_at")
    assert [row["person_id"] == person for row in rows] == [True, False, True, True]
    await visit("visitor-2")
    await whole.settle()  # by new workers
    [last] = await whole.query("SELECT person_id FROM events_resolved ORDER BY received_at DESC LIMIT 1")
    assert last["person_id"] == rows[1]["person_id"]


async def test_an_unlinked_email_leaves_the_profile(whole: Whole) -> None:
    await send(whole, event({"id": "cust-1", "email": A}))
    await whole.settle()
    status, [undone], _ = await whole.penstock(
        "person", "unlink", "mi-negocio", "email", " Stewart@example.com"
    )
    assert (status, undone["kind"], undone["value"]) == (0, "email", A)
    await send(whole, event({"email": A}), event({"id": "cust-1", "email": A}))
    await whole.settle()
    first, other = await customers(whole)
    assert (first["customer_id"], first["email"]) == ("cust-1", "")
    assert (other["customer_id"], other["email"]) == (str(other["person_id"]), A)


async def test_another_email_shows_once_workers_have_followed(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_REGISTRY_CACHE_S", "0.001")
    monkeypatch.setattr(person, "SLACK_S", 0.0)
    await send(whole, event({"id": "cust-1", "email": A}))
    await whole.settle()
    status, _, _ = await whole.penstock("person", "unlink", "mi-negocio", "email", A)
    assert status == 0
    await send(whole, event({"id": "cust-1", "email": B}))
    await whole.settle()
    assert (await the_customer(whole))["email"] == B


async def test_while_the_warehouse_fails_profiles_wait(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    await send(whole, event({"id": "cust-1", "firstName": "Ann"}))
    kind = type(whole.use.warehouse)
    execute, failures = kind.execute, [StoreUnavailable("down"), StoreUnavailable("down")]

    async def fail(self: Any, sql: str, params: Mapping[str, Any] | None = None) -> None:
        if failures and "INTO customer_fields" in sql:
            raise failures.pop()
        await execute(self, sql, params)

    monkeypatch.setattr(kind, "execute", fail)
    await whole.settle()
    assert failures == []
    assert (await the_customer(whole))["first_name"] == "Ann"


async def test_patches_applied_again_and_out_of_order_give_the_same(whole: Whole) -> None:
    await send(
        whole,
        *(
            event(
                {"id": "cust-1", "firstName": str(n), "customFields": {f"k{n % 3}": n}},
                f"2026-01-{(n * 7) % 28 + 1:02}T00:00:00Z",
            )
            for n in range(20)
        ),
    )
    await whole.settle()
    before = await the_customer(whole)
    part = "tenant_id, person_id, dialect, source, field, value, rank"
    for order in ("rank", "rank DESC", "value"):
        await whole.use.warehouse.execute(
            f"INSERT INTO customer_fields ({part}) SELECT {part} FROM customer_changes ORDER BY {order}"
        )
        assert await the_customer(whole) == before
    await whole.use.warehouse.execute("OPTIMIZE TABLE customer_fields FINAL")
    assert await the_customer(whole) == before
