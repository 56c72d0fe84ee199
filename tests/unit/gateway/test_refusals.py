"""Requests that are refused before their events are looked at, and what every answer has."""

from typing import Any
from uuid import UUID

import pytest

from tests.unit.gateway.rig import (
    ALANA_EVENTS,
    BATCH,
    CONVERSION,
    INSTALL,
    INTERACTIONS,
    JSON,
    REDO,
    RELO,
    TRACK,
    Rig,
    batch,
)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_key_that_cannot_be_used_is_refused(rig: Rig) -> None:
    answer = await rig.ask(BATCH, batch(INSTALL), {**RELO, "idempotency-key": "x" * 300})
    assert (answer.status, answer.code) == (400, "invalid_idempotency_key")
    assert rig.accepted == []


@pytest.mark.parametrize(
    ("request_of", "status", "code"),
    [
        ({"path": "/nothing"}, 404, "not_found"),
        ({"method": "GET"}, 405, "method_not_allowed"),
        ({"headers": {}}, 401, "unauthorized"),
        ({"headers": {**RELO, "content-type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"headers": {**RELO, "content-encoding": "gzip, br"}}, 415, "unsupported_encoding"),
        ({"body": b"{"}, 400, "invalid_json"),
        ({"body": b"\xff"}, 400, "not_utf8"),
        ({"body": {"events": {}}}, 400, "events_required"),
        ({"body": batch(*[INSTALL] * 10_001)}, 400, "too_many_events"),
        ({"body": b" " * (32 * 2**20 + 1)}, 413, "body_too_large"),
    ],
)
async def test_requests_refused_as_a_whole(
    rig: Rig, request_of: dict[str, Any], status: int, code: str
) -> None:
    answer = await rig.ask(**{"path": BATCH, "body": batch(INSTALL), "headers": RELO, **request_of})
    assert (answer.status, answer.code) == (status, code)
    assert answer.json["message"].endswith(".")
    assert answer.headers["content-type"] == "application/json"
    assert not rig.accepted
    assert not rig.rejected
    assert rig.measured("requests_refused_total", code=code) == 1
    assert rig.measured("requests_total", status=str(status)) == 1


async def test_the_order_of_refusals(rig: Rig) -> None:
    everything_wrong = {"content-type": "image/png", "content-encoding": "x"}
    codes = [
        (await rig.ask("/nothing", b"\xff", everything_wrong, method="GET")).code,
        (await rig.ask(BATCH, b"\xff", everything_wrong, method="GET")).code,
        (await rig.ask(BATCH, b"\xff", everything_wrong)).code,
        (await rig.ask("/v2.2/stores/other/events", b"\xff", {**REDO, **everything_wrong})).code,
        (await rig.ask(BATCH, b"\xff", {**RELO, **everything_wrong})).code,
        (await rig.ask(BATCH, b"\xff", {**RELO, "content-encoding": "x"})).code,
        (await rig.ask(BATCH, b"\xff", RELO)).code,
    ]
    assert codes == [
        "not_found",
        "method_not_allowed",
        "unauthorized",
        "forbidden_store",
        "unsupported_media_type",
        "unsupported_encoding",
        "not_utf8",
    ]


async def test_a_rate_comes_before_the_body(rig: Rig) -> None:
    answers = [await rig.ask(BATCH, batch(), RELO) for _ in range(100)]
    assert {a.status for a in answers} == {200}
    assert answers[0].headers["ratelimit-limit"] == "100"
    answer = await rig.ask(BATCH, b"\xff", RELO)
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.headers.keys() >= {
        "retry-after",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
    }


@pytest.mark.parametrize("path", [BATCH, ALANA_EVENTS, "/health", "/ready", "/live", "/openapi.json"])
async def test_a_slash_at_the_end_changes_nothing(rig: Rig, path: str) -> None:
    assert (
        (await rig.ask(path, method="PUT")).status == (await rig.ask(path + "/", method="PUT")).status == 405
    )


async def test_methods(rig: Rig) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        answer = await rig.ask(BATCH, method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        assert "access-control-allow-origin" not in answer.headers
    answer = await rig.ask(ALANA_EVENTS, method="GET")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert "GET" in (await rig.ask("/health", method="POST")).headers["allow"]


async def test_browsers_may_ask_first(rig: Rig) -> None:
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    answer = await rig.ask(ALANA_EVENTS, headers=asked, method="OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    assert answer.headers["access-control-allow-origin"] == "*"
    refused = await rig.ask(ALANA_EVENTS, batch(), {"origin": "https://shop.example"})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "*")


async def test_the_api_lives_elsewhere() -> None:
    rig = Rig(port=9000)
    for method in ("GET", "POST", "DELETE"):
        answer = await rig.ask("/penstock/v1/receipts/x", method=method)
        assert (answer.status, answer.code) == (404, "not_found")
        assert "api process" in answer.json["message"]
        assert "9001" in answer.json["message"]


async def test_the_request_id_is_the_callers_or_a_new_one(rig: Rig) -> None:
    answer = await rig.ask(BATCH, batch(INSTALL), {**RELO, "x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    assert rig.accepted[0].request == "mine-1"
    for path in (BATCH, "/nothing", "/health"):
        answer = await rig.ask(path, headers={"x-request-id": "not sane"})
        assert UUID(answer.headers["x-request-id"]).version == 7


async def test_who_stops_sending_halfway_costs_nothing(rig: Rig) -> None:
    answer = await rig.ask(BATCH, b'{"events":[', RELO, hangs_up=True)
    assert (answer.status, answer.code) == (400, "incomplete_body")
    assert answer.headers["connection"] == "close"
    assert rig.operations.bodies.held_bytes == 0
    assert rig.measured("clients_gone_total", endpoint="relo.batch") == 1
    assert rig.measured("requests_in_flight") == 0


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (CONVERSION, 200, {"status": "skipped", "transaction_id": None}),
        (TRACK, 400, None),
        (INTERACTIONS, 400, None),
    ],
)
async def test_who_stops_halfway_is_answered_as_the_protocol_says(
    rig: Rig, path: str, status: int, says: object
) -> None:
    """A conversion is answered with 200 or 429, whatever came of its body."""
    answer = await rig.ask(path, b'{"tenant_slug":"mi-neg', JSON, hangs_up=True)
    assert answer.status == status
    assert answer.json == says or answer.code == "incomplete_body"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert rig.measured("clients_gone_total") == 1
    assert rig.measured("requests_swallowed_total", code="incomplete_body") == (status == 200)
    assert not rig.accepted
    assert not rig.rejected
