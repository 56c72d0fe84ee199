"""Segments and properties over HTTP: previews, saved segments, who may do what."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest

from console.body import BODY_BYTES_MAX
from stores.registry import SqlRegistry
from stores.registry.segments import SEGMENTS_MAX
from stores.warehouse import ClickHouse
from tests.unit.console.conftest import Api
from tests.unit.console.segments.people import HISTORIES

SEGMENTS = "/penstock/v1/segments"
PREVIEW = f"{SEGMENTS}/preview"
ORDERED = {"event": "Order Placed"}
ANN = {"profile": "first_name", "operator": "is", "value": "Ann"}


async def ask(
    api: Api, method: str, path: str, body: object = None, token: str = "two-read"
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api.secrets[token]}"} if token else {}
    return await api.client.request(method, path, json=body, headers=headers)


async def preview(api: Api, conditions: object, token: str = "two-read") -> httpx.Response:
    return await ask(api, "POST", PREVIEW, {"conditions": conditions}, token)


async def save(api: Api, name: str, conditions: object = ORDERED, token: str = "two-admin") -> dict[str, Any]:
    answer = await ask(api, "POST", SEGMENTS, {"name": name, "conditions": conditions}, token)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"{SEGMENTS}/{made['id']}"
    return made


async def test_a_preview(api: Api) -> None:
    answer = await preview(api, {"all": [ORDERED, ANN]})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = answer.json()
    assert found["count"] == 1
    [once] = found["sample"]
    assert UUID(once.pop("person_id"))
    assert once.pop("created_at").endswith("Z")
    assert once.pop("updated_at").endswith("Z")
    assert once == {
        "dialect": "redo",
        "source": "store",
        "customer_id": "c-1",
        "email": "once@example.com",
        "phone": "+11234567890",
        "first_name": "Ann",
        "last_name": "",
    }


async def test_a_preview_is_of_the_callers_tenant(api: Api, registry: SqlRegistry) -> None:
    everyone = {"not": {"event": "never"}}
    assert (await preview(api, everyone)).json()["count"] == 7
    values = (await preview(api, everyone, "one-read")).json()
    assert values["count"] == 30
    assert len(values["sample"]) == 20
    assert (await preview(api, ORDERED, "one-read")).json() == {"count": 0, "sample": []}
    _, secret = await registry.add_token(HISTORIES, "redo", scopes=["read", "write"], store="store")
    api.secrets["store"] = secret
    _, secret = await registry.add_token(HISTORIES, "redo", scopes=["read"], store="another-store")
    api.secrets["another"] = secret
    assert (await preview(api, everyone, "store")).json()["count"] == 7
    assert (await preview(api, everyone, "another")).json()["count"] == 0


@pytest.mark.parametrize(
    ("body", "status", "code", "reason"),
    [
        (
            {"conditions": {"event": "e", "count": 3}},
            400,
            "conditions_invalid",
            "`conditions.count`: this is",
        ),
        ({"conditions": {"all": []}}, 400, "conditions_invalid", "`conditions.all`: this is a list"),
        ({"conditions": []}, 400, "body_invalid", "Expected `object`"),
        ({}, 400, "body_invalid", "missing required field `conditions`"),
        ({"conditions": ORDERED, "limit": 5}, 400, "body_invalid", "there is no member `limit`"),
        ([], 400, "body_invalid", "Expected `object`"),
        (b"", 400, "body_invalid", "not JSON"),
        (b'{"conditions": NaN}', 400, "body_invalid", "not JSON"),
        (b"\xff", 400, "body_invalid", "not JSON in UTF-8"),
        (b'{"conditions":' + b'{"not":' * 9000, 400, "body_invalid", "nested too deep"),
        (b" " * (BODY_BYTES_MAX + 1), 413, "body_too_large", "64 KiB"),
    ],
)
async def test_what_cannot_be_read(api: Api, body: object, status: int, code: str, reason: str) -> None:
    headers = {"Authorization": f"Bearer {api.secrets['two-read']}"}
    sent: Mapping[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = await api.client.post(PREVIEW, headers=headers, **sent)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert reason in answer.json()["message"]


async def test_a_saved_segment_from_first_to_last(api: Api) -> None:
    made = await save(api, "Buyers", {"all": [ORDERED, {"event": "Page Viewed"}]})
    assert made["conditions"] == {"all": [ORDERED, {"event": "Page Viewed"}]}
    path = f"{SEGMENTS}/{made['id']}"
    assert (await ask(api, "GET", path)).json() == made
    assert (await ask(api, "GET", SEGMENTS)).json() == {"segments": [made]}
    assert [one["email"] for one in (await ask(api, "GET", f"{path}/preview")).json()["sample"]] == [
        "once@example.com"
    ]
    answer = await ask(api, "PUT", path, {"name": "Anns", "conditions": ANN}, "two-admin")
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["id"], changed["name"], changed["conditions"]) == (made["id"], "Anns", ANN)
    assert changed["created_at"] == made["created_at"] <= changed["updated_at"]
    assert (await ask(api, "GET", path + "/")).json() == changed
    answer = await ask(api, "DELETE", path, token="two-admin")
    assert (answer.status_code, answer.content) == (204, b"")
    for method, where in (("GET", path), ("GET", f"{path}/preview"), ("DELETE", path)):
        answer = await ask(api, method, where, token="two-admin")
        assert (answer.status_code, answer.json()["code"]) == (404, "segment_unknown")
    answer = await ask(api, "PUT", path, {"name": "Anns", "conditions": ANN}, "two-admin")
    assert (answer.status_code, answer.json()["code"]) == (404, "segment_unknown")


async def test_names_are_taken_once_a_tenant(api: Api) -> None:
    await save(api, "Buyers")
    other = await save(api, "Anns", ANN)
    await save(api, "Buyers", token="one-admin")
    taken = {"name": " Buyers ", "conditions": ANN}
    for method, path in (("POST", SEGMENTS), ("PUT", f"{SEGMENTS}/{other['id']}")):
        answer = await ask(api, method, path, taken, "two-admin")
        assert (answer.status_code, answer.json()["code"]) == (409, "segment_refused")
        assert "choose another name" in answer.json()["message"]
    renamed = {"name": "Anns", "conditions": ORDERED}
    assert (await ask(api, "PUT", f"{SEGMENTS}/{other['id']}", renamed, "two-admin")).status_code == 200
    found = (await ask(api, "GET", SEGMENTS)).json()["segments"]
    assert [(one["name"], one["conditions"]) for one in found] == [("Anns", ORDERED), ("Buyers", ORDERED)]


async def test_another_tenants_segment_is_unknown(api: Api) -> None:
    path = f"{SEGMENTS}/{(await save(api, 'Mine'))['id']}"
    body = {"name": "Yours", "conditions": ANN}
    for method, where in (("GET", path), ("GET", f"{path}/preview"), ("PUT", path), ("DELETE", path)):
        answer = await ask(api, method, where, body, "one-admin")
        assert (answer.status_code, answer.json()["code"]) == (404, "segment_unknown")
    assert (await ask(api, "GET", SEGMENTS, token="one-read")).json() == {"segments": []}
    assert (await ask(api, "GET", path)).json()["name"] == "Mine"


async def test_what_is_saved_was_read_first(api: Api) -> None:
    path = f"{SEGMENTS}/{(await save(api, 'Kept'))['id']}"
    bad = {"name": "Bad", "conditions": {"event": "e", "colour": 1}}
    for method, where in (("POST", SEGMENTS), ("PUT", path)):
        answer = await ask(api, method, where, bad, "two-admin")
        assert (answer.status_code, answer.json()["code"]) == (400, "conditions_invalid")
        for name in ("", "x" * 201, None):
            answer = await ask(api, method, where, {"name": name, "conditions": ANN}, "two-admin")
            assert (answer.status_code, answer.json()["code"]) == (400, "body_invalid")
        answer = await ask(api, method, where, {"name": "  ", "conditions": ANN}, "two-admin")
        assert (answer.status_code, answer.json()["code"]) == (409, "segment_refused")
    assert [one["name"] for one in (await ask(api, "GET", SEGMENTS)).json()["segments"]] == ["Kept"]


async def test_who_may_do_what(api: Api) -> None:
    path = f"{SEGMENTS}/{(await save(api, 'Kept'))['id']}"
    body = {"name": "Other", "conditions": ANN}
    calls = (
        ("POST", PREVIEW, False),
        ("GET", SEGMENTS, False),
        ("GET", path, False),
        ("GET", f"{path}/preview", False),
        ("GET", "/penstock/v1/properties", False),
        ("POST", SEGMENTS, True),
        ("PUT", path, True),
        ("DELETE", path, True),
    )
    for method, where, changes in calls:
        sent = {"conditions": ANN} if where == PREVIEW else body
        assert (await ask(api, method, where, sent, "")).json()["code"] == "token_missing"
        assert (await ask(api, method, where, sent, "two-write")).json()["code"] == "scope_missing"
        answer = await ask(api, method, where, sent, "two-read")
        assert answer.status_code == (403 if changes else 200)
        assert not changes or answer.json()["code"] == "admin_only"
    assert (await ask(api, "GET", path)).json()["name"] == "Kept"


async def test_other_methods(api: Api) -> None:
    for method, path, allowed in (
        ("DELETE", SEGMENTS, {"GET", "HEAD", "POST"}),
        ("GET", PREVIEW, {"POST"}),
        ("POST", "/penstock/v1/properties", {"GET", "HEAD"}),
    ):
        answer = await ask(api, method, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) == allowed


async def test_an_id_is_a_uuid(api: Api) -> None:
    for id in ("x", "' OR 1=1 --", "1"):
        assert (await ask(api, "GET", f"{SEGMENTS}/{id}")).json()["code"] == "not_found"


async def test_a_tenant_has_a_thousand_segments(api: Api, registry: SqlRegistry) -> None:
    await registry._database.write(_fill)
    answer = await ask(api, "POST", SEGMENTS, {"name": "More", "conditions": ANN}, "two-admin")
    assert (answer.status_code, answer.json()["code"]) == (409, "segment_refused")
    assert "at most 1000" in answer.json()["message"]
    await save(api, "Others", token="one-admin")


async def _fill(connection: Any) -> None:
    await connection.exec_driver_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO segments SELECT 'id-' || i, 2, 'name-' || i, '{}', 0, 0 FROM n",
        (SEGMENTS_MAX,),
    )


async def test_what_a_later_version_saved_is_said(api: Api, registry: SqlRegistry) -> None:
    kept = await registry.add_segment(HISTORIES, "Later", '{"sequence": []}')
    answer = await ask(api, "GET", f"{SEGMENTS}/{kept.segment_id}/preview")
    assert (answer.status_code, answer.json()["code"]) == (400, "conditions_invalid")


async def test_a_question_that_is_too_heavy(
    api: Api, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stores.warehouse import adapter

    monkeypatch.setitem(adapter._QUERY, "max_rows_to_read", 1)
    answer = await preview(api, ORDERED)
    assert (answer.status_code, answer.json()["code"]) == (503, "query_too_heavy")
    assert int(answer.headers["Retry-After"]) >= 1
