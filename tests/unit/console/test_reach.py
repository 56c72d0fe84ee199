"""How far each token sees, resource by resource: its tenant's, a store's own store, and nobody else's."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from msgspec import Raw, structs

from bus.base import Record
from schemas.envelope import VERSION, DeadLetter, Envelope, Rejected, encode
from schemas.rows import (
    EVENTS,
    LANDING,
    OUTCOMES,
    QUARANTINE,
    columns,
    event_row,
    outcome_row,
    quarantine_row,
)
from schemas.topics import DEAD, RAW, REJECTED, Coordinates, Partition
from stores.registry import NewDelivery
from stores.warehouse import ClickHouse
from tests.contract.warehouse_rows import RECEIVED_MS, event
from tests.unit.console.conftest import Api

STORES = ("store-1", "store-2")
TOKENS = ("one-read", "store-1", "store-2", "two-read")


def name(store: str) -> str:
    return f"Order of {store}"


@pytest.fixture
async def shops(api: Api, warehouse: ClickHouse) -> Api:
    """Two stores of tenant 1: each has an event, a dead one, a rejected one, a duplicate, one in flight."""
    for number, store in enumerate(STORES):
        _, secret = await api.registry.add_token(1, "redo", scopes=("read",), store=store)
        api.secrets[store] = secret
        await fill(api, warehouse, store, number * 100)
    return api


def letters(store: str, at: int) -> tuple[Envelope, DeadLetter, Rejected]:
    """Return an event's envelope, the letter that it is dead, and one that was rejected."""
    envelope = Envelope(
        v=VERSION,
        id=str(UUID(int=at + 4)),
        dialect="redo",
        endpoint="event",
        tenant=1,
        source=store,
        received_at=RECEIVED_MS,
        request=f"request-{store}",
        index=2,
        of=4,
        event=Raw(json.dumps({"eventName": name(store), "source": STORES[0]}).encode()),
    )
    dead = DeadLetter(
        v=VERSION,
        id=envelope.id,
        dialect="redo",
        tenant=1,
        received_at=RECEIVED_MS,
        request=f"request-{store}",
        stage="map",
        code="missing_field",
        message="",
        raw=encode(envelope).decode(),
        src_topic=RAW,
        src_kp=0,
        src_ko=at + 2,
        src_inc=1,
    )
    # What a producer writes into an event does not make it another store's.
    rejected = Rejected(
        v=VERSION,
        id=str(UUID(int=at + 5)),
        dialect="redo",
        endpoint="event",
        tenant=1,
        source=store,
        received_at=RECEIVED_MS,
        request=f"request-{store}",
        index=4,
        code="missing_field",
        message="",
        raw=json.dumps({"source": STORES[0], "eventName": name(store)}),
    )
    return envelope, dead, rejected


async def fill(api: Api, warehouse: ClickHouse, store: str, at: int) -> None:
    request = {"request_id": f"request-{store}", "of": 4, "received_at": RECEIVED_MS}
    given: dict[str, Any] = {"dialect": "redo", "source": store, "event_name": name(store), **request}
    stored, again = (event(at + n, properties='{"p":1}', raw='{"r":1}', index=n, **given) for n in (1, 2))
    later = structs.replace(stored, request_id=f"again-{store}", received_at=RECEIVED_MS + 9, of=1)
    dropped = structs.replace(event(at + 3, **given), request_id=f"dropped-{store}", of=1)
    envelope, dead, rejected = letters(store, at)
    rows = {
        (EVENTS, RAW): {at: event_row(stored)},
        (OUTCOMES, RAW): {
            at + 1: outcome_row(again, "duplicate", first_event_id=stored.event_id),
            at + 3: outcome_row(later, "duplicate", first_event_id=stored.event_id),
            at + 4: outcome_row(dropped, "dropped", reason="suppressed"),
        },
        (QUARANTINE, DEAD): {at: quarantine_row(dead, Coordinates(1, DEAD, 0, at))},
        (QUARANTINE, REJECTED): {at: quarantine_row(rejected, Coordinates(1, REJECTED, 0, at))},
    }
    for (table, topic), block in rows.items():
        values = columns(Partition(topic, 0), 1, list(block), list(block.values()))
        token = f"reach-{table}-{topic}-{store}"  # once for all tests of this file
        await warehouse.insert(LANDING[table], values, token=token, query_id=uuid4().hex)
    under_way = structs.replace(envelope, id=str(UUID(int=at + 6)), request=f"flying-{store}", index=0, of=1)
    await api.bus.publish(RAW, [Record(b"1|x", encode(under_way))])


async def seen(api: Api, path: str, token: str, **params: str) -> set[str]:
    """Return the stores of which an answer has something."""
    answer = await api.get(path, token, **params)
    assert answer.status_code in (200, 404), answer.text
    return {store for store in STORES if name(store) in answer.text or f"-{store}" in answer.text}


EXPECTED = {"one-read": set(STORES), "store-1": {"store-1"}, "store-2": {"store-2"}, "two-read": set()}


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("path", ["events", "quarantine", "properties"])
async def test_lists(shops: Api, path: str, token: str) -> None:
    assert await seen(shops, f"/penstock/v1/{path}", token) == EXPECTED[token]


@pytest.mark.parametrize("token", TOKENS)
async def test_what_is_asked_for_reaches_no_further(shops: Api, token: str) -> None:
    for store in STORES:
        for path in ("events", "quarantine"):
            asked = {"request_id": f"request-{store}"}
            assert await seen(shops, f"/penstock/v1/{path}", token, **asked) == EXPECTED[token] & {store}
    quarantine = await shops.get("/penstock/v1/quarantine", token)
    stages = sorted(row["stage"] for row in quarantine.json()["quarantine"])
    assert stages == sorted(["map", "gateway"] * len(EXPECTED[token]))


@pytest.mark.parametrize("token", TOKENS)
async def test_receipts(shops: Api, token: str) -> None:
    for store in STORES:
        for request in ("request", "again", "flying"):
            path = f"/penstock/v1/receipts/{request}-{store}"
            assert await seen(shops, path, token) == EXPECTED[token] & {store}, request
        whole = await shops.get(f"/penstock/v1/receipts/request-{store}", token)
        if store in EXPECTED[token]:
            attempts = whole.json()["attempts"]
            assert [attempt["request_id"] for attempt in attempts] == [
                f"request-{store}",
                f"again-{store}",
            ]
            fates = [fate["outcome"] for fate in attempts[0]["events"]]
            assert fates == ["stored", "duplicate", "dead", "rejected"]
        else:
            assert whole.json()["code"] == "receipt_unknown"


async def test_what_only_an_outcome_tells_of_is_the_tenant_s(shops: Api) -> None:
    """It does not say which store it came from, so no store's token is told."""
    path = "/penstock/v1/receipts/dropped-store-1"
    statuses = [(await shops.get(path, token)).status_code for token in TOKENS]
    assert dict(zip(TOKENS, statuses, strict=True)) == {
        "one-read": 200,
        "store-1": 404,
        "store-2": 404,
        "two-read": 404,
    }


async def ask(api: Api, method: str, path: str, token: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api.secrets[token]}"}
    return await api.client.request(method, f"/penstock/v1/{path}", json=body, headers=headers)


@pytest.mark.parametrize("token", TOKENS)
async def test_conditions_are_tried_on_what_the_token_sees(shops: Api, token: str) -> None:
    body = {"conditions": {"field": "event_name", "operator": "contains", "value": "Order of"}}
    told = await ask(shops, "POST", "filters/test", token, body)
    assert told.status_code == 200, told.text
    assert {row["event_name"] for row in told.json()["sample"]} == {name(one) for one in EXPECTED[token]}
    asked = await ask(shops, "POST", "segments/preview", token, {"conditions": {"event": name("store-1")}})
    assert asked.status_code == 200, asked.text


@pytest.mark.parametrize(
    ("token", "status"), [("one-read", 200), ("store-1", 403), ("store-2", 403), ("two-read", 404)]
)
async def test_what_is_saved_is_the_tenant_s(shops: Api, token: str, status: int) -> None:
    made = await shops.registry.add_filter(1, "Mine", '{"event":"x"}', url="https://hooks.example/")
    await shops.registry.take_deliveries([NewDelivery(str(uuid4()), made.filter_id, "{}")], keep_trying_ms=1)
    segment = await shops.registry.add_segment(1, "Mine", '{"event":"x"}')
    one, kept = f"filters/{made.filter_id}", f"segments/{segment.segment_id}"
    for path in (one, f"{one}/deliveries", kept, f"{kept}/preview"):
        answer = await ask(shops, "GET", path, token)
        assert answer.status_code == status, (path, answer.text)
        if status == 403:
            assert answer.json()["code"] == "tenant_only"
    for path in ("filters", "segments"):
        answer = await ask(shops, "GET", path, token)
        assert answer.status_code == (403 if status == 403 else 200)
        assert ("Mine" in answer.text) is (status == 200)


@pytest.mark.parametrize("token", TOKENS)
async def test_what_takes_an_admin_stays_closed(shops: Api, token: str) -> None:
    for method, path in (
        ("GET", "ledger"),
        ("GET", "erasures"),
        ("POST", "erasures"),
        ("POST", "filters"),
        ("POST", "segments"),
    ):
        answer = await ask(shops, method, path, token, {})
        assert (answer.status_code, answer.json()["code"]) == (403, "admin_only"), path


async def test_every_resource_is_looked_at(shops: Api) -> None:
    """A new one comes with a decision how far a store's token sees: here, or in the file named."""
    app: Any = shops.client._transport.app  # type: ignore[attr-defined]
    while not hasattr(app, "routes"):
        app = app.app
    paths = {route.path.removeprefix("/penstock/v1/").partition("/")[0] for route in app.routes}
    assert paths - {"", "health", "ready", "live"} == {
        *("events", "quarantine", "receipts", "properties", "segments", "filters", "ledger", "erasures"),
        *("me", "stores", "persons"),  # test_access.py, test_customers.py, test_erasures.py
    }
