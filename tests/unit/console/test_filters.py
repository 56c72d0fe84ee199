"""Automation filters over HTTP: saved, tried, replayed; who may do what, and what is shown to whom."""

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.webhooks import KEEP_TRYING_MS, sign
from stores.registry import Ended, NewDelivery
from stores.registry.filters import FILTERS_MAX
from tests.unit.console.conftest import Api

FILTERS = "/penstock/v1/filters"
URL = "https://hooks.example/services/T0/secret?key=1"
PURCHASES = {"event": "purchase"}
MATCH = "7f0f3c0e-0d0c-4a3e-9b1a-5a5f0c1d2e3f"


async def ask(
    api: Api, method: str, path: str, body: object = None, token: str = "one-admin"
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api.secrets[token]}"} if token else {}
    return await api.client.request(method, path, json=body, headers=headers)


async def save(api: Api, name: str = "Purchases", **more: Any) -> dict[str, Any]:
    answer = await ask(api, "POST", FILTERS, {"name": name, "conditions": PURCHASES} | more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"{FILTERS}/{made['id']}"
    return made


async def test_a_filter_is_saved_shown_replaced_and_removed(api: Api) -> None:
    made = await save(api, url=URL)
    secret = made.pop("secret")
    assert secret.startswith("pk_webhook_")
    assert (made["conditions"], made["url"], made["active"]) == (PURCHASES, URL, True)
    path = f"{FILTERS}/{made['id']}"
    assert (await ask(api, "GET", path)).json() == made
    assert (await ask(api, "GET", FILTERS)).json() == {"filters": [made]}
    other = {"name": "Other", "conditions": {"event": None}, "url": URL, "active": False}
    changed = (await ask(api, "PUT", path, other)).json()
    assert (changed["name"], changed["active"], "secret" in changed) == ("Other", False, False)
    fresh = (await ask(api, "PUT", path, other | {"fresh_secret": True})).json()
    assert fresh["secret"] not in ("", secret)
    assert (await ask(api, "DELETE", path)).status_code == 204
    for method, body in (("GET", None), ("PUT", other), ("DELETE", None)):
        answer = await ask(api, method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "filter_unknown")


async def test_who_may_do_what(api: Api) -> None:
    made = await save(api, url=URL)
    path = f"{FILTERS}/{made['id']}"
    [seen] = (await ask(api, "GET", FILTERS, token="one-read")).json()["filters"]
    assert seen["url"] == "https://hooks.example/…"
    assert (await ask(api, "GET", path, token="one-read")).json()["url"] == "https://hooks.example/…"
    body = {"name": "n", "conditions": PURCHASES}
    changes = (("POST", FILTERS, body), ("PUT", path, body), ("DELETE", path, None))
    for method, at, given in (*changes, ("POST", f"{path}/deliveries/replay", {})):
        for token, status, code in (
            ("one-read", 403, "admin_only"),
            ("one-write", 403, "scope_missing"),
            ("", 401, "token_missing"),
        ):
            answer = await ask(api, method, at, given, token)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
    for method, at in (("GET", path), ("DELETE", path), ("GET", f"{path}/deliveries")):
        assert (await ask(api, method, at, token="two-admin")).status_code == 404
    assert (await ask(api, "GET", FILTERS, token="two-admin")).json() == {"filters": []}


@pytest.mark.parametrize(
    ("body", "status", "code", "reason"),
    [
        ({"conditions": {"event": "e", "count": {}}}, 400, "conditions_invalid", "a filter judges one event"),
        ({"conditions": {"profile": "email"}}, 400, "conditions_invalid", "a filter knows the event"),
        (
            {"conditions": PURCHASES, "url": "http://a.example/"},
            400,
            "conditions_invalid",
            "must begin with https",
        ),
        (
            {"conditions": PURCHASES, "url": "https://10.0.0.1/"},
            400,
            "conditions_invalid",
            "must not be private",
        ),
        ({"conditions": PURCHASES, "secret": "mine"}, 400, "body_invalid", "there is no member `secret`"),
        ({}, 400, "body_invalid", "missing required field `conditions`"),
        ({"conditions": PURCHASES, "name": "Taken"}, 409, "filter_refused", "choose another name"),
    ],
)
async def test_what_cannot_be_saved(
    api: Api, body: dict[str, Any], status: int, code: str, reason: str
) -> None:
    await save(api, "Taken")
    answer = await ask(api, "POST", FILTERS, {"name": "n"} | body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert reason in answer.json()["message"]


async def test_a_tenant_has_so_many(api: Api) -> None:
    for number in range(FILTERS_MAX):
        await api.registry.add_filter(1, f"filter {number}", "{}")
    answer = await ask(api, "POST", FILTERS, {"name": "one more", "conditions": PURCHASES})
    assert (answer.status_code, answer.json()["code"]) == (409, "filter_refused")
    assert f"at most {FILTERS_MAX}" in answer.json()["message"]


@pytest.mark.parametrize(
    ("event", "meets"),
    [
        ({"event_name": "purchase", "value": 5, "properties": {"p": "x"}}, True),
        ({"event_name": "purchase", "value": 4.999999, "properties": {"p": "x"}}, False),
        ({"event_name": "purchase", "value": 5, "occurred_at": "2026-04-02T12:00:00Z"}, False),
        ({}, False),
    ],
)
async def test_a_sample_event(api: Api, event: object, meets: bool) -> None:
    where = {
        "all": [{"field": "value", "operator": ">=", "value": 5}, {"property": "p", "operator": "exists"}]
    }
    body = {"conditions": PURCHASES | {"where": where}, "event": event}
    answer = await ask(api, "POST", f"{FILTERS}/test", body, "one-read")
    assert (answer.status_code, answer.json()) == (200, {"matches": meets})


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"eventName": "x"}, "no member 'eventName'"),
        ({"value": "5"}, "Expected `int | float | null`"),
        ({"value": 1e40}, "an amount below"),
        ({"occurred_at": "yesterday"}, "date-time with a zone"),
        ({"event_type": "bought"}, "event_type"),
    ],
)
async def test_a_sample_that_cannot_be(api: Api, event: object, reason: str) -> None:
    answer = await ask(api, "POST", f"{FILTERS}/test", {"conditions": PURCHASES, "event": event})
    assert (answer.status_code, answer.json()["code"]) == (400, "body_invalid")
    assert reason in answer.json()["message"]


async def test_deliveries_and_their_replay(api: Api) -> None:
    made = await save(api, url=URL)
    path = f"{FILTERS}/{made['id']}/deliveries"
    assert (await ask(api, "GET", path, token="one-read")).json() == {"deliveries": []}
    await api.registry.take_deliveries([NewDelivery(MATCH, made["id"], "{}")], keep_trying_ms=KEEP_TRYING_MS)
    [claimed] = await api.registry.claim_deliveries(made["id"], count=1, lease_ms=1000)
    await api.registry.end_deliveries([Ended(claimed, "dead", 410, "the receiver answered 410")])
    [dead] = (await ask(api, "GET", path + "?state=dead&limit=5", token="one-read")).json()["deliveries"]
    assert (dead["id"], dead["state"], dead["attempts"], dead["status"]) == (MATCH, "dead", 1, 410)
    assert dead["next_attempt_at"] is None
    assert dead["ended_at"].endswith("Z")
    assert (await ask(api, "GET", path + "?state=waiting")).json() == {"deliveries": []}
    assert (await ask(api, "GET", path + "?state=lost")).status_code == 400
    replay = f"{path}/replay"
    for wrong in ("nobody", "", 7):
        refused = await ask(api, "POST", replay, {"id": wrong})
        assert (refused.status_code, refused.json()["code"]) == (400, "body_invalid")
        assert "`id`" in refused.json()["message"]
    nobody = "00000000-0000-4000-8000-000000000000"
    assert (await ask(api, "POST", replay, {"id": nobody})).json() == {"replayed": 0}
    assert (await ask(api, "POST", replay, {"id": MATCH})).json() == {"replayed": 1}
    assert (await ask(api, "POST", replay, {})).json() == {"replayed": 0}
    [waits] = (await ask(api, "GET", path)).json()["deliveries"]
    assert (waits["state"], waits["attempts"], waits["ended_at"]) == ("waiting", 0, None)


def test_the_documented_check_of_a_signature() -> None:
    page = (Path(__file__).parents[3] / "docs/filters.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    body = json.dumps({"é": 1}, ensure_ascii=False).encode()
    headers = {"Penstock-Timestamp": "1775131200", "Penstock-Signature": sign("secret", 1775131200, body)}
    assert names["is_genuine"]("secret", headers, body)
    assert not names["is_genuine"]("another", headers, body)
    assert not names["is_genuine"]("secret", headers, body + b" ")
    assert not names["is_genuine"]("secret", headers | {"Penstock-Timestamp": "1775131201"}, body)
    mac = hmac.new(b"secret", b"1775131200." + body, hashlib.sha256).hexdigest()
    assert headers["Penstock-Signature"] == f"v1={mac}"
