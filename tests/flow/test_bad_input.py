"""What a redo shop gets wrong, over the whole way: each has its answer, and its place in the warehouse."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.rows import LANDING
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.whole import REDO, Whole, open_whole

STORE = "/v2.2/stores/dev-store/events"
TABLES = (*LANDING, "customer_fields", "person_overrides")
A, B = {"email": "a@example.com"}, {"email": "b@example.com"}


@pytest.fixture
async def whole(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "bad_input", tmp_path, tables=TABLES) as opened:
        yield opened


def event(customer: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"eventName": "Order Placed", "customer": dict(customer), **more}


REFUSED = [
    ("invalid_phone", "customer.phoneNumber", event(A | {"phoneNumber": "(206) 555-0100"})),
    ("too_many_properties", "data", event(A, data={f"key {n}": n + 1 for n in range(10_000)})),
    ("key_too_long", "data", event(A, data={"k" * 300: 1})),
    ("missing_identifier", "customer", event({"loyaltyNumber": "7", "nickname": "Stew"})),
    ("time_out_of_range", "eventTimestamp", event(A, eventTimestamp="9999-12-31T23:59:59Z")),
    ("invalid_time", "eventTimestamp", event(A, eventTimestamp="2026-02-30T12:00:00Z")),
]


@pytest.mark.parametrize(("code", "pointer", "sent"), REFUSED, ids=[code for code, _, _ in REFUSED])
async def test_what_is_refused_says_where_and_is_kept_aside(
    whole: Whole, code: str, pointer: str, sent: dict[str, Any]
) -> None:
    alone = await whole.send(STORE, sent, REDO)
    assert alone.status_code == 400
    assert [(wrong["code"], wrong["field"]) for wrong in alone.json()["errors"]] == [(code, pointer)]
    assert all(len(wrong["message"]) > 20 for wrong in alone.json()["errors"])
    among = await whole.send(STORE + "/bulk", {"events": [event(A), sent, event(B)]}, REDO)
    assert (among.status_code, among.content) == (202, b"")
    await whole.settle()
    assert [one["code"] for one in await whole.query("SELECT code FROM quarantine")] == [code] * 2
    assert (await whole.query("SELECT count() AS n FROM events"))[0]["n"] == 2


async def test_what_only_looks_like_a_date_is_a_string(whole: Whole) -> None:
    data = {"Never": "2026-02-30T12:00:00Z", "Day": "2026-04-02", "Date": "2026-04-02T12:00:00Z"}
    assert (await whole.send(STORE, event(A, data=data), REDO)).status_code == 202
    await whole.settle()
    typed = {name: await _matches(whole, name, "after", "1990-01-01T00:00:00Z") for name in data}
    assert typed == {"Never": 0, "Day": 0, "Date": 1}
    assert await _matches(whole, "Never", "contains", "02-30") == 1


async def _matches(whole: Whole, name: str, operator: str, value: str) -> int:
    file = Path(whole.settings.home) / "segment.json"
    where = {"property": name, "operator": operator, "value": value}
    file.write_text(json.dumps({"conditions": {"event": None, "where": where}}))
    status, [answer], errors = await whole.penstock("segment", "preview", str(file))
    assert status == 0, errors
    return int(answer["count"])


async def test_two_identifiers_of_two_customers(whole: Whole) -> None:
    """The first decides, the other stays where it is, and the event says so."""
    first, second = {"id": "cust-1"} | A, {"id": "cust-2"} | B
    for customer in (first, second, {"id": "cust-1"} | B):
        assert (await whole.send(STORE, event(customer), REDO)).status_code == 202
        await whole.settle()
    owned = await whole.query("SELECT customer_id, email FROM customers ORDER BY customer_id")
    assert [(one["customer_id"], one["email"]) for one in owned] == [
        ("cust-1", "a@example.com"),
        ("cust-2", "b@example.com"),
    ]
    [conflict] = await whole.query(
        "SELECT c.customer_id AS customer_id FROM events AS e JOIN customers AS c USING (person_id) "
        "WHERE has(e.flags, 'identity_conflict')"
    )
    assert conflict == {"customer_id": "cust-1"}
