"""Who may ask the api, and what those are told who may not."""

import sqlite3
import time
from pathlib import Path

import pytest

from stores.registry import SqlRegistry
from tests.unit.console.conftest import Api

PATHS = (
    "/penstock/v1/me",
    "/penstock/v1/events",
    "/penstock/v1/quarantine",
    "/penstock/v1/receipts/request-1",
)


@pytest.mark.parametrize("path", PATHS)
async def test_no_resource_is_open(api: Api, path: str) -> None:
    assert (await api.get(path)).json()["code"] == "token_missing"
    assert (await api.get(path, "made-up")).json()["code"] == "token_invalid"
    assert (await api.get(path, "one-write")).json()["code"] == "scope_missing"
    assert (await api.get(path, "one-read")).status_code == 200
    assert (await api.get(path, "one-admin")).status_code == 200


async def test_me_says_what_the_token_may_do(api: Api) -> None:
    told = (await api.get("/penstock/v1/me", "one-read")).json()
    assert (told["tenant"]["id"], told["tenant"]["slug"]) == (1, "one")
    assert told["scopes"] == ["read"]
    assert told["key_id"] == api.key_ids["one-read"]
    assert api.secrets["one-read"] not in str(told)


async def test_unknown_revoked_expired_and_inactive_look_alike(
    api: Api, registry: SqlRegistry, tmp_path: Path
) -> None:
    await registry.revoke_token(api.key_ids["one-read"])
    with sqlite3.connect(tmp_path / "registry.db") as database:
        expired = (int(time.time() * 1000) - 1, api.key_ids["one-admin"])
        database.execute("UPDATE tokens SET expires_at = ? WHERE key_id = ?", expired)
    await registry.set_tenant_active(2, False)
    answers = [
        await api.get("/penstock/v1/me", token) for token in ("made-up", "one-read", "one-admin", "two-read")
    ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert len({answer.content for answer in answers}) == 1
    told = [{name: text for name, text in a.headers.items() if name != "x-request-id"} for a in answers]
    assert told == told[:1] * 4


async def test_bad_tokens_are_limited_and_good_ones_are_not(api: Api) -> None:
    statuses = [(await api.get("/penstock/v1/me", f"guess-{n}")).status_code for n in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    refused = await api.get("/penstock/v1/me", "guess")
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["RateLimit-Limit"] == "20"
    assert (await api.get("/penstock/v1/me", "one-read")).status_code == 200


async def test_while_the_registry_is_down_nobody_is_called_unauthorized(api: Api, tmp_path: Path) -> None:
    await api.registry.__aexit__()
    (tmp_path / "registry.db").rename(tmp_path / "away")
    (tmp_path / "registry.db").mkdir()
    answer = await api.get("/penstock/v1/me", "one-read")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    health = (await api.get("/health")).json()
    assert (health["status"], health["registry"], health["clickhouse"]) == ("degraded", "down", "ok")


async def test_paths_and_methods_that_are_not_there(api: Api) -> None:
    assert (await api.get("/penstock/v1/nothing")).json()["code"] == "not_found"
    answer = await api.client.post("/penstock/v1/events")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]
    assert (await api.get("/penstock/v1/me/", "one-read")).status_code == 200
    for path in ("/health", "/ready", "/live"):
        assert (await api.get(path)).status_code == 200
