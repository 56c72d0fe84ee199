"""What follows from an attempt, and when an endpoint is left alone."""

import time

import pytest
from msgspec.structs import replace

from stores.registry import Delivery
from workers.webhooks.endpoints import (
    FAILURES_MAX,
    REST_FIRST_S,
    REST_MAX_S,
    ROOM,
    Endpoint,
    Endpoints,
)
from workers.webhooks.schedule import (
    ATTEMPTS_MAX,
    FIRST_S,
    LONGEST_S,
    RETRY_AFTER_MAX_S,
    Answer,
    next_of,
    wait_s,
)

LATER = int(time.time() * 1000) + 100 * 86_400_000
WAITING = Delivery("m", "f", 1, "waiting", 0, 0, LATER, "c", 0, "", 0, None, "{}")


@pytest.mark.parametrize("code", [200, 204, 299])
def test_delivered(code: int) -> None:
    assert next_of(WAITING, Answer(code)).state == "delivered"


@pytest.mark.parametrize("answer", [Answer(410), Answer(0, "refused", hopeless=True)])
def test_what_no_attempt_can_help_is_dead_at_once(answer: Answer) -> None:
    assert next_of(WAITING, answer).state == "dead"


@pytest.mark.parametrize("code", [0, 199, 301, 400, 401, 404, 429, 500, 503])
def test_all_else_is_tried_again(code: int) -> None:
    now = time.time() * 1000
    after = next_of(WAITING, Answer(code))
    assert after.state == "waiting"
    assert now + 1000 * FIRST_S / 2 - 1 <= after.due_at <= now + 1000 * FIRST_S + 60_000


def test_attempts_and_time_are_bounded() -> None:
    failed = Answer(500)
    assert next_of(replace(WAITING, attempts=ATTEMPTS_MAX - 2), failed).state == "waiting"
    assert next_of(replace(WAITING, attempts=ATTEMPTS_MAX - 1), failed).state == "dead"
    late = replace(WAITING, expires_at=int(time.time() * 1000))
    assert "not delivered in time" in next_of(late, failed).reason


def test_waits_grow_with_jitter_and_end() -> None:
    steps = {1: FIRST_S, 2: 2 * FIRST_S, 5: 16 * FIRST_S, 18: LONGEST_S, 10**6: LONGEST_S}
    for attempts, step_s in steps.items():
        waits = {wait_s(attempts) for _ in range(50)}
        assert len(waits) > 10
        assert all(step_s / 2 <= wait <= step_s for wait in waits)


def test_a_receiver_may_ask_for_more_time() -> None:
    assert wait_s(1, 60) == 60
    assert wait_s(1, 10**9) == RETRY_AFTER_MAX_S
    assert wait_s(1, 1) >= FIRST_S / 2


def test_the_breaker_opens_tries_and_closes() -> None:
    now = [0.0]
    endpoint = Endpoint(lambda: now[0])
    assert endpoint.room == ROOM
    assert [endpoint.record(delivered=False) for _ in range(FAILURES_MAX - 1)] == [False] * (FAILURES_MAX - 1)
    assert (endpoint.room, endpoint.open) == (1, False)
    assert endpoint.record(delivered=False)
    rest_s = REST_FIRST_S
    for _ in range(6):
        assert (endpoint.room, endpoint.open) == (0, True)
        now[0] += rest_s - 0.1
        assert endpoint.room == 0
        now[0] += 0.1
        assert endpoint.room == 1  # the trial
        endpoint.in_flight = 1
        assert endpoint.room == 0
        endpoint.in_flight = 0
        assert not endpoint.record(delivered=False)
        rest_s = min(rest_s * 2, REST_MAX_S)
    now[0] += rest_s
    endpoint.record(delivered=True)
    assert (endpoint.room, endpoint.open) == (ROOM, False)


def test_one_tenants_failures_are_not_anothers() -> None:
    endpoints = Endpoints()
    failing = endpoints.of(1, "https://hooks.example/", "f-1")
    for _ in range(FAILURES_MAX):
        failing.record(delivered=False)
    assert endpoints.of(1, "https://hooks.example/", "f-1") is failing
    assert endpoints.of(2, "https://hooks.example/", "f-2").room == ROOM
    assert endpoints.resting() == ["f-1"]
    assert endpoints.lift() == ["f-1"]
    assert failing.room == ROOM
    assert endpoints.resting() == []


def test_idle_endpoints_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.webhooks.endpoints.ENDPOINTS_MAX", 2)
    endpoints = Endpoints()
    busy = endpoints.of(1, "a", "f")
    busy.in_flight = 1
    idle = endpoints.of(1, "b", "f")
    endpoints.of(1, "c", "f")
    assert endpoints.of(1, "a", "f") is busy
    assert endpoints.of(1, "b", "f") is not idle
