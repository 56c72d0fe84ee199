"""The stage `fraud`: every rule, the score, the consent it needs, and what it does without the key store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from schemas.event import Event
from schemas.topics import RAW, Coordinates, Partition
from stores.base import StoreUnavailable
from stores.keys import MemoryKeys
from tests.unit.workers.fraud_cases import (
    FIRES,
    FROM_EVENT,
    PERSON,
    SILENT,
    Paced,
    by_address,
    by_person,
    from_place,
    many,
    seen_in,
    sold,
)
from tests.unit.workers.judged import BROWSER, HOUR_MS, NOW, event, purchase
from workers.consent import BITS
from workers.fraud import rules
from workers.fraud.rules import RULES, Reason
from workers.resources import Resources
from workers.stage import KEEP
from workers.stages.fraud import Fraud

PAGE = Path(__file__).parents[3] / "docs/fraud.md"


def fraud(keys: object | None = None) -> Paced:
    return Paced(Fraud(cast(Resources, SimpleNamespace(keys=keys or MemoryKeys()))))


async def judged(events: Sequence[Event], stage: Paced | None = None) -> Sequence[Event]:
    verdicts = await (stage or fraud()).judge(events)
    assert list(verdicts) == [KEEP] * len(events)
    return events


async def reasons(events: Sequence[Event], stage: Paced | None = None) -> tuple[str, ...]:
    """Return the reasons against the last of some events."""
    return (await judged(events, stage))[-1].fraud_reasons


@pytest.mark.parametrize("case", FIRES)
async def test_it_fires(case: str) -> None:
    reason, events = FIRES[case]
    assert reason in await reasons(events)
    assert events[-1].fraud_score is not None
    assert events[-1].fraud_score >= RULES[reason].weight


@pytest.mark.parametrize("case", SILENT)
async def test_it_is_silent(case: str) -> None:
    reason, events = SILENT[case]
    assert reason not in await reasons(events)


def test_each_rule_is_seen_in_both_ways() -> None:
    assert {reason for reason, _ in FIRES.values()} == set(RULES)
    assert {reason for reason, _ in SILENT.values()} == set(RULES)


def test_the_page_has_each_rule_with_its_weight() -> None:
    for reason, rule in RULES.items():
        assert f"| `{reason}` | {rule.weight} |" in PAGE.read_text()


async def test_the_first_events_of_a_burst_are_not_blamed() -> None:
    events = await judged(by_address(700, 59_000, **FROM_EVENT))
    blamed = [index for index, each in enumerate(events) if "velocity_ip" in each.fraud_reasons]
    assert blamed == list(range(600, 700))


async def test_what_is_plain_scores_nothing() -> None:
    (plain,) = await judged([event(user_agent=BROWSER, ip="203.0.113.9", country="MX", **FROM_EVENT)])
    assert (plain.fraud_score, plain.fraud_reasons) == (0, ())


async def test_the_score_adds_up_and_ends_at_a_hundred() -> None:
    wild: dict[str, Any] = {"order_id": "o", "user_agent": "curl/8", "clock": "future", **FROM_EVENT}
    events = [*sold(300), purchase(430, **wild), purchase(431, value="99999.000000", **wild)]
    last = (await judged(events))[-1]
    assert sum(RULES[cast(Reason, reason)].weight for reason in last.fraud_reasons) > 100
    assert last.fraud_score == 100


async def test_a_batch_judged_again_is_counted_once() -> None:
    stage = fraud()
    for _ in range(10):  # as while a later stage waits for its store
        events = [*by_address(100, 59_000, **FROM_EVENT)]
        for each in events:
            each.anonymous_id, each.person_id = "d", PERSON
        assert await reasons(events, stage) == ()


async def test_a_batch_judged_again_is_judged_as_before() -> None:
    stage = fraud()
    for _ in range(3):
        events = by_address(700, 59_000, **FROM_EVENT)
        for each in events:
            each.anonymous_id = "d"
        assert set(await reasons(events, stage)) == {"velocity_ip", "velocity_device"}


async def test_events_come_in_many_batches() -> None:
    stage = fraud()
    events = by_address(700, 59_000, **FROM_EVENT)
    for start in range(0, 700, 7):
        await judged(events[start : start + 7], stage)
    blamed = [index for index, each in enumerate(events) if "velocity_ip" in each.fraud_reasons]
    assert blamed == list(range(600, 700))


async def test_two_workers_count_together() -> None:
    keys = MemoryKeys()
    first, second = fraud(keys), fraud(keys)
    events = by_address(800, 59_000, **FROM_EVENT)
    for start in range(0, 800, 20):
        await judged(events[start : start + 10], first)
        await judged(events[start + 10 : start + 20], second)
    blamed = [index for index, each in enumerate(events) if "velocity_ip" in each.fraud_reasons]
    sixteenth = int(rules.IP_EVENTS_MAX * rules.SHARED_FROM)
    assert 600 <= min(blamed) <= 600 + sixteenth
    assert max(blamed) == 799


class Down:
    """A key store that is down."""

    def __init__(self) -> None:
        self.asked = 0

    async def count(self, counts: Mapping[str, int], keep_ms: int) -> Sequence[int]:
        self.asked += 1
        raise StoreUnavailable("down")


async def test_without_the_key_store_its_rules_are_silent() -> None:
    keys = Down()
    events = by_address(700, 59_000, **FROM_EVENT)
    for each in events:
        each.anonymous_id, each.person_id = "d", PERSON
    assert await reasons(events, fraud(keys)) == ("velocity_device",)
    assert keys.asked == 1


class Counting(MemoryKeys):
    """Remembers how often it was asked, and for how many counters."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def count(self, counts: Mapping[str, int], keep_ms: int) -> Sequence[int]:
        self.asked.append(len(counts))
        return await super().count(counts, keep_ms)


async def test_a_batch_asks_the_key_store_once_and_only_for_who_does_much() -> None:
    keys = Counting()
    stage = fraud(keys)
    quiet = [event(n, ip=f"198.51.100.{n}", person_id=str(UUID(int=n)), **FROM_EVENT) for n in range(200)]
    await judged(quiet, stage)
    assert keys.asked == []
    await judged([*by_address(100, 59_000, **FROM_EVENT), *by_person(50, 59_000)], fraud(keys))
    assert len(keys.asked) == 1
    assert keys.asked[0] <= 2 * 2


ALL = 0xFF

WITHOUT: dict[str, tuple[int, list[Event]]] = {
    "identity": (ALL - BITS["identity"], [*many(300, 59_000), *by_person(300, 59_000)]),
    "location": (
        ALL - BITS["location"],
        [
            *by_address(700, 59_000, **FROM_EVENT),
            *seen_in("MX", "FR", step_ms=1),
            purchase(**from_place(country="FR")),
        ],
    ),
    "device": (ALL - BITS["device"], [event(user_agent="curl/8", device_type="bot", **FROM_EVENT)]),
}


@pytest.mark.parametrize("meaning", WITHOUT)
async def test_without_consent_nothing_is_judged_by_it(meaning: str) -> None:
    allowed, events = WITHOUT[meaning]
    stage = fraud()
    for each in events:
        each.allowed = allowed
    for each in await judged(events, stage):
        assert set(each.fraud_reasons) <= ({"velocity_device"} if meaning == "location" else set())


async def test_without_analytics_there_is_no_score() -> None:
    stage = fraud()
    events = [purchase(user_agent="curl/8", clock="future", **from_place(country="FR")), event(1)]
    events[0].allowed = 0
    await judged(events, stage)
    assert (events[0].fraud_score, events[0].fraud_reasons, events[0].flags) == (None, (), [])
    assert events[1].fraud_score == 0
    assert len(stage.stage._purchases._orders) == 0


async def test_cold_state_is_flagged_until_its_windows_have_filled() -> None:
    stage = fraud()
    events = [event(n, received_at=NOW + n * 10 * 60_000) for n in range(10)]
    await judged(events[:4], stage)
    await judged(events[4:], stage)
    assert [each.flags for each in events] == [["fraud_cold"]] * 6 + [[]] * 4


async def test_each_partition_warms_up_for_itself() -> None:
    stage = fraud()
    await judged([event(0), event(1, received_at=NOW + HOUR_MS)], stage)
    late = event(2, received_at=NOW + HOUR_MS)
    other = event(2, received_at=NOW + HOUR_MS, at=Coordinates(1, RAW, 1, 2))
    await judged([late], stage)
    await judged([other], stage)
    assert (late.flags, other.flags) == ([], ["fraud_cold"])


async def test_a_partition_that_another_worker_had_is_cold_again() -> None:
    stage = fraud()
    await judged([event(0), event(1, received_at=NOW + HOUR_MS)], stage)
    before, after, elsewhere = (event(n, received_at=NOW + n * HOUR_MS) for n in (2, 3, 4))
    await judged([before], stage)
    stage.stage.taken_over(Partition(RAW, 0))
    await judged([after], stage)
    stage.stage.taken_over(Partition(RAW, 1))
    await judged([elsewhere], stage)
    assert (before.flags, after.flags, elsewhere.flags) == ([], ["fraud_cold"], [])
