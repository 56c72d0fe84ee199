"""`/penstock/v1/erasures` and the export: for the tenant's own admin token, no further than it reaches."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from schemas.erasures import Progress
from schemas.persons import Link, identifier, person_id
from schemas.rows import EVENTS, LANDING, columns, event_row
from schemas.topics import RAW, Coordinates, Partition
from stores.warehouse import ClickHouse
from tests.contract.person_events import customer
from tests.unit.console.conftest import Api

ERASURES, EXPORT = "/penstock/v1/erasures", "/penstock/v1/persons/export"
ANN = {"kind": "email", "value": " Ann@example.com"}
EMAIL = "ann@example.com"


async def post(api: Api, path: str, body: Any, token: str = "one-admin") -> httpx.Response:
    headers = {"Authorization": f"Bearer {api.secrets.get(token, token)}"} if token else {}
    return await api.client.post(path, json=body, headers=headers)


@pytest.fixture
async def ann(api: Api, warehouse: ClickHouse) -> str:
    """A customer of two stores of tenant 1, with an event in each; return the person's id in the first."""
    persons = []
    for number, store in enumerate(("store-1", "store-2")):
        named = identifier(1, f"redo/{store}", "email", EMAIL)
        persons.append(person_id(named))
        event_id = f"00000000-0000-7000-8000-00000000000{number}"
        at = Coordinates(1, RAW, 7, number)
        await api.registry.add_links([Link(named, persons[-1], "created", event_id, at, 1)])
        event = customer(number, email=EMAIL, source=store, person_id=persons[-1], subject=EMAIL)
        block = columns(Partition(RAW, 7), 1, [number], [event_row(event)])
        await warehouse.insert(LANDING[EVENTS], block, token=f"ann-{number}", query_id=uuid4().hex)
    return persons[0]


async def test_an_admin_s_token_asks_for_an_erasure(api: Api, ann: str) -> None:
    asked = {**ANN, "scope": "redo/store-1"}
    answer = await post(api, ERASURES, {**asked, "dry_run": True})
    assert (answer.status_code, answer.json()["found"]["events"]) == (200, 1)
    assert (await api.get(ERASURES, "one-admin")).json() == {"erasures": []}
    answer = await post(api, ERASURES, asked)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert answer.headers["Location"] == f"{ERASURES}/{told['erasure_id']}"
    assert (told["state"], told["scope"]) == ("erasing", "redo/store-1")
    assert told["asked_by"] == f"token {api.key_ids['one-admin']}"
    assert "ann@example.com" not in answer.text
    assert (await api.get(f"{ERASURES}/{told['erasure_id']}", "one-admin")).json() == told
    assert (await api.get(ERASURES, "one-admin")).json() == {"erasures": [told]}
    again = await post(api, ERASURES, asked)
    assert (again.status_code, again.json()["code"]) == (409, "erasure_under_way")
    assert again.headers["Location"] == answer.headers["Location"]


async def test_a_certificate_is_shown(api: Api, ann: str) -> None:
    told = (await post(api, ERASURES, {**ANN, "scope": "redo/store-1"})).json()
    await api.registry.lease_erasure(told["erasure_id"], "me", 60_000)
    progress = Progress(erased={RAW: 1}, applied_at=1_790_000_000_000, log_clear_at=1_790_000_600_000)
    await api.registry.finish_erasure(told["erasure_id"], "me", progress)
    shown = (await api.get(f"{ERASURES}/{told['erasure_id']}", "one-admin")).json()
    assert (shown["state"], shown["erased"]) == ("done", {RAW: 1})
    assert shown["applied_at"] < shown["log_clear_at"] < shown["finished_at"]
    assert len(shown["identifiers"]) == 1


@pytest.mark.parametrize("token", ["one-read", "one-write"])
async def test_other_tokens_are_refused(api: Api, ann: str, token: str) -> None:
    for path in (ERASURES, EXPORT):
        assert (await post(api, path, ANN, token)).status_code == 403
    assert (await api.get(ERASURES, token)).status_code == 403
    assert (await post(api, ERASURES, ANN, "")).status_code == 401
    assert await api.registry.open_erasures() == []


async def test_several_have_the_value(api: Api, ann: str) -> None:
    for path in (ERASURES, EXPORT):
        answer = await post(api, path, ANN)
        assert (answer.status_code, answer.json()["code"]) == (409, "person_ambiguous")
        assert "redo/store-1, redo/store-2" in answer.json()["message"]


async def test_another_tenant_s_persons_and_erasures_are_unknown(api: Api, ann: str) -> None:
    for path in (ERASURES, EXPORT):
        for named in ({**ANN, "scope": "redo/store-1"}, ANN, {"kind": "person", "value": ann}):
            answer = await post(api, path, named, "two-admin")
            assert (answer.status_code, answer.json()["code"]) == (404, "person_unknown")
    told = (await post(api, ERASURES, {"kind": "person", "value": ann})).json()
    answer = await api.get(f"{ERASURES}/{told['erasure_id']}", "two-admin")
    assert (answer.status_code, answer.json()["code"]) == (404, "erasure_unknown")
    assert (await api.get(ERASURES, "two-admin")).json() == {"erasures": []}


async def test_a_store_s_token_exports_from_its_own_store(api: Api, ann: str) -> None:
    _, own = await api.registry.add_token(1, "redo", scopes=("read",), store="store-1")
    answer = await post(api, EXPORT, ANN, own)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert (answer.status_code, [line.get("source") for line in lines]) == (200, [None, "store-1"])
    answer = await post(api, EXPORT, {**ANN, "scope": "redo/store-2"}, own)
    assert (answer.status_code, answer.json()["code"]) == (403, "store_not_allowed")
    elsewhere = person_id(identifier(1, "redo/store-2", "email", EMAIL))
    answer = await post(api, EXPORT, {"kind": "person", "value": elsewhere}, own)
    assert (answer.status_code, answer.json()["code"]) == (404, "person_unknown")
    answer = await post(api, ERASURES, ANN, own)
    assert (answer.status_code, answer.json()["code"]) == (403, "admin_only")
    assert (await api.get(ERASURES, own)).status_code == 403


async def test_an_export_streams_lines(api: Api, ann: str) -> None:
    answer = await post(api, EXPORT, {**ANN, "scope": "redo/store-1"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert answer.headers["cache-control"] == "no-store"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["part"] for line in lines] == ["person", "event"]
    assert (lines[0]["person_id"], lines[1]["source"]) == (ann, "store-1")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "name", "value": "Ann"},
        {"kind": "email"},
        {"kind": "email", "value": ""},
        {"kind": "email", "value": "a@b.c", "tenant": 2},
        {"kind": "email", "value": "a@b.c", "dry_run": "yes"},
        [],
        "x" * 70_000,
    ],
)
async def test_a_body_that_cannot_be_used(api: Api, body: Any) -> None:
    answer = await post(api, ERASURES, body)
    assert answer.status_code in (400, 413)
    assert answer.json()["code"] in ("body_invalid", "body_too_large")
    assert await api.registry.open_erasures() == []


async def test_names_that_nobody_has(api: Api) -> None:
    for named in (
        {"kind": "person", "value": "not-a-uuid"},
        {"kind": "person", "value": str(uuid4())},
        {"kind": "id", "value": "' OR 1=1 --", "scope": "redo/store-1"},
        {"kind": "device", "value": "%(tenant_id)s"},
        {"kind": "phone", "value": "+"},
    ):
        answer = await post(api, ERASURES, named)
        assert (answer.status_code, answer.json()["code"]) == (404, "person_unknown"), named
