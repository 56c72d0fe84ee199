"""Reading events: only one's own, only what was asked for, at most so many."""

import json
from uuid import uuid4

import pytest

from tests.unit.console.conftest import EVENT_IDS, RECEIVED_AT, Api

EVENTS = "/penstock/v1/events"


async def ids(api: Api, token: str, **params: str) -> list[str]:
    answer = await api.get(EVENTS, token, **params)
    assert answer.status_code == 200, answer.text
    return [event["event_id"] for event in answer.json()["events"]]


async def test_a_tenant_sees_its_own_newest_first(api: Api) -> None:
    assert await ids(api, "one-read") == [str(event_id) for event_id in reversed(EVENT_IDS[1])]
    assert await ids(api, "two-read") == [str(event_id) for event_id in reversed(EVENT_IDS[2])]


async def test_no_parameter_opens_another_tenant(api: Api) -> None:
    foreign = str(EVENT_IDS[2][0])
    assert await ids(api, "one-admin", event_id=foreign) == []
    assert await ids(api, "one-admin", request_id="request-2") == []
    for attack in (
        "' OR 1=1 --",
        "request-1') OR (tenant_id = 2",
        "\\' OR tenant_id = 2 --",
        "%(tenant_id)s",
    ):
        assert await ids(api, "one-admin", request_id=attack) == []
        assert await ids(api, "one-admin", subject=attack) == []


async def test_conditions_hold_together(api: Api) -> None:
    first, *others = (str(event_id) for event_id in EVENT_IDS[1])
    assert await ids(api, "one-read", type="page_viewed") == [first]
    assert await ids(api, "one-read", type="order_completed", request_id="request-1") == others[::-1]
    assert await ids(api, "one-read", type="order_completed", event_id=first) == []
    assert await ids(api, "one-read", subject="o'clock\\ %(tenant_id)s", limit="1") == [others[-1]]


async def test_values_arrive_whole(api: Api) -> None:
    answer = await api.get(EVENTS, "one-read", event_id=str(EVENT_IDS[1][0]))
    [event] = json.loads(answer.content, parse_float=str)["events"]
    assert event["value"] == "9007199254740993.123456"
    assert event["properties"] == {"order_id": "A-1", "n": 9007199254740993}
    assert event["received_at"] == "2026-09-21T14:13:20Z"
    assert RECEIVED_AT == 1_790_000_000_000
    assert event["person_id"] is None


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "many"),
        ("event_id", "1"),
        ("colour", "red"),
        ("subject", ""),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(api: Api, parameter: str, value: str) -> None:
    answer = await api.get(EVENTS, "one-read", **{parameter: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    assert f"`{parameter}`" in answer.json()["message"]
    assert len(value) < 3 or value not in answer.json()["message"]


async def test_a_parameter_that_there_is_not_is_told_which_there_are(api: Api) -> None:
    answer = await api.get(EVENTS, "one-read", evnt="x")
    message = answer.json()["message"]
    assert "no parameter `evnt`" in message
    assert "`event_id`" in message


async def test_a_word_that_does_not_fit_is_told_which_do_and_is_not_repeated(api: Api) -> None:
    answer = await api.get(f"/penstock/v1/filters/{uuid4()}/deliveries", "one-read", state="s3cret")
    message = answer.json()["message"]
    assert "`delivered`" in message
    assert "s3cret" not in message
