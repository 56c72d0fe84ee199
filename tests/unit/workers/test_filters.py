"""Filters in the worker: read for all tenants of a batch at once, compiled once, kept through an outage."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import pytest

from bus.base import RECORD_BYTES_MAX
from schemas.event import Event
from schemas.matches import decode_match, match_id
from schemas.settings import Settings
from stores.base import StoreUnavailable
from stores.registry import Filter
from tests.unit.workers.judged import event
from workers.filters import known
from workers.filters.known import KnownFilters
from workers.matches import RECORDS_MAX, match, match_records
from workers.stage import KEEP, Unavailable
from workers.stages.filters import Filters
from workers.tenants import RETRY_S

PAGE_VIEWS = {"event": "page_view"}


def saved(number: int, conditions: object, *, tenant_id: int = 1, name: str = "") -> Filter:
    id = f"00000000-0000-4000-8000-{number:012}"
    return Filter(id, tenant_id, name or f"filter {number}", json.dumps(conditions), "", "", True, 1, 1)


class Registry:
    """Answers with `filters`, or is down; keeps what it was asked for."""

    def __init__(self, *filters: Filter) -> None:
        self.filters = list(filters)
        self.asked: list[list[int]] = []
        self.down = False

    async def active_filters(self, tenant_ids: Collection[int]) -> Sequence[Filter]:
        self.asked.append(sorted(tenant_ids))
        if self.down:
            raise StoreUnavailable("down")
        return [one for one in self.filters if one.tenant_id in tenant_ids]


class Use:
    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.settings = Settings()


def stage(*filters: Filter) -> Filters:
    return Filters(Use(Registry(*filters)))  # type: ignore[arg-type]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(known, "monotonic", lambda: now[0])
    return now


async def judged(stage: Filters, *events: Event) -> list[list[str]]:
    assert await stage.judge(events) == [KEEP] * len(events)
    return [[name for _, name in event.matched] for event in events]


async def test_an_event_meets_the_filters_of_its_tenant() -> None:
    views, anything = saved(1, PAGE_VIEWS), saved(2, {"event": None})
    gold = saved(3, {"property": "Tier", "operator": "is", "value": "gold"})
    others = saved(4, {"event": None}, tenant_id=2)
    told = await judged(
        stage(views, anything, gold, others),
        event(1),
        event(2, event_name="purchase", properties='{"Tier":"gold"}'),
        event(3, tenant_id=2),
        event(4, tenant_id=3),
        event(5, allowed=0xFE),  # no consent to analytics
    )
    assert told == [["filter 1", "filter 2"], ["filter 2", "filter 3"], ["filter 4"], [], []]


async def test_one_that_cannot_be_read_stops_no_other() -> None:
    unusable = [saved(n, conditions) for n, conditions in enumerate(({"event": 5}, {"count": 1}, []))]
    assert await judged(stage(*unusable, saved(9, PAGE_VIEWS)), event(1)) == [["filter 9"]]


async def test_an_event_that_cannot_be_read_is_stored_and_matches_nothing() -> None:
    exists = saved(1, {"property": "p", "operator": "exists"})
    views = saved(2, PAGE_VIEWS)
    for properties in ("{", '{"p":"\\ud800"}', "[]"):
        told = await judged(stage(exists, views), event(1, properties=properties), event(2))
        assert told == [[], ["filter 2"]]


async def test_they_are_read_anew_in_one_question(clock: list[float]) -> None:
    registry = Registry(saved(1, PAGE_VIEWS))
    filters = KnownFilters(registry, fresh_s=15)
    assert set(await filters.of({1, 2})) == {1}
    assert set(await filters.of({1, 2})) == {1}
    assert registry.asked == [[1, 2]]
    registry.filters = [saved(2, PAGE_VIEWS, tenant_id=2)]
    clock[0] += 14.9
    assert set(await filters.of({1, 2})) == {1}
    clock[0] += 0.1
    assert set(await filters.of({1, 2, 3})) == {2}
    assert registry.asked == [[1, 2], [1, 2, 3]]


async def test_an_unchanged_filter_is_compiled_once(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    compile_filter = known.compile_filter

    def counting(row: Filter) -> known.Compiled | None:
        compiled.append(row.name)
        return compile_filter(row)

    monkeypatch.setattr(known, "compile_filter", counting)
    registry = Registry(saved(1, PAGE_VIEWS, name="a"), saved(2, PAGE_VIEWS, name="b"))
    filters = KnownFilters(registry, fresh_s=15)
    await filters.of({1})
    registry.filters[1] = saved(2, {"event": "purchase"}, name="c")
    clock[0] += 20
    found = (await filters.of({1}))[1]
    assert compiled == ["a", "b", "c"]
    assert [one.name for one in found.of("purchase")] == ["c"]
    assert [one.name for one in found.of("page_view")] == ["a"]


async def test_the_registry_is_down(clock: list[float]) -> None:
    """What is known goes on; what was never read waits, because a match would be missed."""
    registry = Registry(saved(1, PAGE_VIEWS))
    filters = KnownFilters(registry, fresh_s=15)
    await filters.of({1})
    registry.down = True
    clock[0] += 100
    assert set(await filters.of({1})) == {1}
    asked = len(registry.asked)
    assert set(await filters.of({1})) == {1}
    assert len(registry.asked) == asked  # left alone for a while
    with pytest.raises(Unavailable, match="tenant 2"):
        await filters.of({1, 2})
    registry.down = False
    clock[0] += RETRY_S
    assert set(await filters.of({1, 2})) == {1}


def test_a_record_names_its_match_for_good() -> None:
    given = event(1, matched=(("f-1", "One"), ("f-2", "Zwei")), properties='{"é":[1.50]}', value="5.100000")
    matched = match(given)
    assert matched is not None
    [[first, second]] = match_records([matched])
    for record, filter_id in ((first, "f-1"), (second, "f-2")):
        told = decode_match(record.value)
        assert told.id == match_id(filter_id, given.event_id)
        assert record.key == told.id.encode() == dict(record.headers)["id"]
        assert told.filter.id == filter_id
    assert match_id("f-1", "e") == "2ea87788-b11d-5ff6-b238-eb379773bda9" != match_id("f-2", "e")
    shown: dict[str, Any] = json.loads(first.value)["event"]
    assert (shown["event_id"], shown["properties"], shown["value"]) == (given.event_id, {"é": [1.5]}, 5.1)
    assert shown["received_at"] == "2025-06-15T15:06:41.000Z"
    assert match(event(1)) is None


def test_a_match_whose_record_would_be_too_large_has_no_properties() -> None:
    large = json.dumps({"p": "x" * RECORD_BYTES_MAX})
    matched = match(event(1, matched=(("f-1", "One"),), properties=large))
    assert matched is not None
    [[record]] = match_records([matched])
    shown = json.loads(record.value)["event"]
    assert len(record.value) < RECORD_BYTES_MAX
    assert (shown["properties"], shown["properties_left_out"]) == ({}, True)


def test_records_come_in_bounded_parts() -> None:
    many = match(event(1, matched=tuple((f"f-{n}", "x") for n in range(RECORDS_MAX + 1))))
    filters = tuple((f"f-{n}", "x") for n in range(30))
    large = match(event(2, matched=filters, properties=json.dumps({"p": "x" * 300_000})))
    assert many is not None
    assert large is not None
    parts = list(match_records([many, large]))
    assert sum(map(len, parts)) == RECORDS_MAX + 31
    assert all(len(part) <= RECORDS_MAX for part in parts)
    assert all(sum(len(record.value) for record in part) < 5 * 2**20 for part in parts)


def test_a_match_of_a_newer_version_is_none() -> None:
    matched = match(event(1, matched=(("f-1", "One"),)))
    assert matched is not None
    [[record]] = match_records([matched])
    newer = msgspec.json.encode(json.loads(record.value) | {"v": 2})
    for value in (newer, b"", b"[]", b"{}", b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
            decode_match(value)
