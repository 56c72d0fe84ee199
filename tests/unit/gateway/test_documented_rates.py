"""The limits that the four protocols state, by their figures, with time standing still."""

from collections.abc import Iterator
from itertools import count

import pytest

from schemas.tenants import Token
from stores.keys import MemoryKeys
from tests.unit.gateway.rig import (
    ALANA,
    ALANA_EVENTS,
    BATCH,
    CONVERSION,
    INSTALL,
    INTERACTIONS,
    JSON,
    REDO,
    REDO_BULK,
    REDO_EVENT,
    RELO,
    TENANT,
    TRACK,
    Rig,
    batch,
)

VISIT = batch({"eventType": "home-page-view", "visitorId": "v-1"})
EVENT = {"eventName": "e", "customer": {"id": "c-1"}}
SECOND_NS = 1_000_000_000


class Clock:
    """Stands still until a test moves it."""

    now_ns = SECOND_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rig(clock: Clock) -> Rig:
    return Rig(keys=MemoryKeys(clock_ns=clock))


def addresses() -> Iterator[str]:
    return (f"198.51.{n // 250}.{n % 250 + 1}" for n in count())


async def passed(rig: Rig, path: str, body: object, headers: dict[str, str], *, client: str = "") -> int:
    """Send until one is refused, from one address, or each from another one; return how many were taken."""
    for number, address in enumerate(addresses()):
        answer = await rig.ask(path, body, headers, client=client or address)
        if answer.status == 429:
            assert (answer.code, answer.headers["retry-after"]) == ("rate_limited", "1")
            return number
        assert answer.status in {200, 201, 202}, answer.body
    raise AssertionError("not reached")


async def test_relo_has_100_a_minute_for_each_token(rig: Rig, clock: Clock) -> None:
    other = Token("second", "relo", TENANT, frozenset({"write"}), client_ids=frozenset({3}))
    second = rig.registry.add("second", other)
    for _ in range(2):
        assert await passed(rig, BATCH, batch(INSTALL), RELO) == 100
        assert await passed(rig, BATCH, batch(INSTALL), second) == 100
        clock.now_ns += 60 * SECOND_NS


async def test_health_has_no_limit_and_wants_no_token(rig: Rig) -> None:
    answers = [await rig.ask("/health", method="GET") for _ in range(300)]
    assert {answer.status for answer in answers} <= {200, 503}
    assert not any("ratelimit-limit" in answer.headers for answer in answers)


async def test_alana_has_1000_a_minute_for_each_key_and_100_of_them_for_an_address(
    rig: Rig, clock: Clock
) -> None:
    assert await passed(rig, ALANA_EVENTS, VISIT, ALANA, client="203.0.113.1") == 100
    assert await passed(rig, ALANA_EVENTS, VISIT, ALANA) == 900
    clock.now_ns += 60 * SECOND_NS
    assert await passed(rig, ALANA_EVENTS, VISIT, ALANA) == 1000


async def test_redo_has_100_a_second_for_each_store_and_endpoint(rig: Rig, clock: Clock) -> None:
    for _ in range(2):
        assert await passed(rig, REDO_EVENT, EVENT, REDO) == 100
        assert await passed(rig, REDO_BULK, batch(EVENT), REDO) == 100
        clock.now_ns += SECOND_NS


async def test_the_tracker_has_60_a_minute_for_an_address_and_600_for_a_tenant(rig: Rig) -> None:
    tracked = {"tenant_id": "1", "type": "call"}
    assert await passed(rig, TRACK, tracked, JSON, client="203.0.113.1") == 60
    assert await passed(rig, CONVERSION, {"tenant_slug": "mi-negocio"}, JSON, client="203.0.113.1") == 0
    viewed = {"tenant_id": 1, "type": "view"}
    assert await passed(rig, INTERACTIONS, viewed, JSON, client="203.0.113.1") == 60
    assert await passed(rig, INTERACTIONS, viewed, JSON) == 540
