"""Conditions on what customers did, how often and when, and on who they are, asked of the real engine."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from console.segments.compile import compile_segment
from schemas.conditions import read_segment
from stores.base import QueryRefused
from stores.warehouse import ClickHouse
from tests.unit.console.segments.people import HISTORIES, OTHERS, TRICKY, TRICKY_NAME
from tests.unit.console.segments.population import DAY_MS, NOW_MS, who

EVERYONE = ["born", "late", "new-me", "often", "once", "quiet", "viewer"]
ORDERED = ["new-me", "often", "once"]


def days_ago(days: float) -> str:
    return datetime.fromtimestamp((NOW_MS - days * DAY_MS) / 1000, UTC).isoformat()


def at_least(count: int) -> dict[str, Any]:
    return {"operator": ">=", "value": count}


async def found(warehouse: ClickHouse, conditions: object) -> list[str]:
    return await who(warehouse, conditions, tenant_id=HISTORIES)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (None, ORDERED),
        ({"operator": ">=", "value": 0}, EVERYONE),
        ({"operator": "is", "value": 0}, ["born", "late", "quiet", "viewer"]),
        ({"operator": "is", "value": 1}, ["once"]),
        ({"operator": "is_not", "value": 1}, ["born", "late", "new-me", "often", "quiet", "viewer"]),
        ({"operator": ">", "value": 1}, ["new-me", "often"]),
        ({"operator": "<", "value": 2}, ["born", "late", "once", "quiet", "viewer"]),
        ({"operator": "<=", "value": 2}, ["born", "late", "new-me", "once", "quiet", "viewer"]),
        ({"operator": "between", "value": [1, 2]}, ["new-me", "once"]),
    ],
)
async def test_counts(warehouse: ClickHouse, count: object, expected: list[str]) -> None:
    """`new-me` was two persons, each with an order; `old-me` is nobody any more."""
    condition = {"event": "Order Placed"} | ({"count": count} if count else {})
    assert await found(warehouse, condition) == expected
    assert await found(warehouse, {"not": condition}) == sorted(set(EVERYONE) - set(expected))


@pytest.mark.parametrize(
    ("period", "count", "expected"),
    [
        ({"last_days": 30}, 1, ["new-me", "often"]),
        ({"last_days": 30}, 3, ["often"]),
        ({"last_days": 1}, 1, ["often"]),
        ({"last_days": 3660}, 4, ["often"]),
        ({"from": days_ago(20)}, 3, ["often"]),
        ({"from": days_ago(40), "to": days_ago(39)}, 1, ["once"]),
        ({"from": days_ago(41), "to": days_ago(40)}, 1, []),
        ({"to": days_ago(50)}, 1, ["often"]),
        ({"from": days_ago(7), "to": days_ago(4)}, 2, ["new-me"]),
    ],
)
async def test_periods(warehouse: ClickHouse, period: object, count: int, expected: list[str]) -> None:
    """From a time on, until before another; what lies ahead is in no last days."""
    condition = {"event": "Order Placed", "period": period, "count": at_least(count)}
    assert await found(warehouse, condition) == expected


async def test_periods_go_by_when_it_happened(warehouse: ClickHouse) -> None:
    for days, count, expected in ((10, 1, ["late"]), (10, 2, []), (365, 2, ["late"])):
        condition = {"event": "Backfilled", "period": {"last_days": days}, "count": at_least(count)}
        assert await found(warehouse, condition) == expected
    viewed = {"event": "Page Viewed", "period": {"last_days": 30}, "count": {"operator": "is", "value": 1}}
    assert await found(warehouse, viewed) == ["once", "viewer"]  # one view of `viewer` lies ahead
    assert await found(warehouse, {"event": "Page Viewed", "count": at_least(2)}) == ["viewer"]


async def test_any_event(warehouse: ClickHouse) -> None:
    acted = ["late", "new-me", "often", "once", "viewer"]
    assert await found(warehouse, {"event": None}) == acted
    pro = {"property": "plan", "operator": "is", "value": "pro"}
    assert await found(warehouse, {"event": None, "where": pro}) == ["often", "viewer"]


async def test_where_is_about_one_event(warehouse: ClickHouse) -> None:
    """Both hold for the same event, or none of it counts."""
    pro = {"property": "plan", "operator": "is", "value": "pro"}
    recent = {"property": "n", "operator": "<=", "value": 10}
    basic = {"property": "plan", "operator": "is", "value": "basic"}
    condition = {"event": "Order Placed", "where": {"all": [pro, recent]}, "count": at_least(2)}
    assert await found(warehouse, condition) == ["often"]
    assert await found(warehouse, condition | {"count": at_least(3)}) == []
    either = {"event": "Order Placed", "where": {"any": [basic, {"all": [pro, recent]}]}}
    assert await found(warehouse, either) == ["often", "once"]
    neither = {"event": "Order Placed", "where": {"not": {"any": [basic, pro]}}}
    assert await found(warehouse, neither) == ["new-me"]


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("value", ">", 20, ["often"]),
        ("value", "is", 19.99, ["once"]),
        ("value", "between", [19.99, 20.5], ["often", "once"]),
        ("value", "is_not", 20.5, ["new-me", "once"]),
        ("value", "exists", None, ["often", "once"]),
        ("currency", "is", "EUR", ["often"]),
        ("currency", "is_not", "EUR", ["new-me", "once"]),
        ("event_name", "contains", "Placed", ORDERED),
        ("dialect", "is", "redo", ORDERED),
        ("country", "exists", None, []),
        ("occurred_at", "before", days_ago(30), ["often", "once"]),
    ],
)
async def test_fields_of_events(
    warehouse: ClickHouse, field: str, operator: str, value: object, expected: list[str]
) -> None:
    where = {"field": field, "operator": operator} | ({} if value is None else {"value": value})
    assert await found(warehouse, {"event": "Order Placed", "where": where}) == expected


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("email", "is", " ONCE@Example.com", ["once"]),
        ("email", "contains", "EN@ex", ["often"]),
        ("email", "contains", "@example.com", EVERYONE),
        ("customer_id", "is", "c-1", ["once"]),
        ("phone", "exists", None, ["once"]),
        ("first_name", "is", "Ann", ["once"]),
        ("first_name", "is", "Zoe", ["new-me"]),
        ("first_name", "is_not", "Ann", ["born", "late", "new-me", "often", "quiet", "viewer"]),
        ("last_name", "is", "O'Hara", ["born"]),
        ("source", "is", "store", EVERYONE),
        ("location.city", "is", "Seattle", ["viewer"]),
        ("location.latitude", ">", 47, ["viewer"]),
        ("location.city", "is_not", "Seattle", ["born", "late", "new-me", "often", "once", "quiet"]),
        ("custom_fields.Age", "is", 25, ["quiet"]),
        ("custom_fields.Age", "is", "25", []),
        ("custom_fields.Tier", "is", 'Gold "1"', ["quiet"]),
        ("custom_fields.OK", "is", False, ["quiet"]),
        ("custom_fields.Birthday", "before", "1980-01-01T00:00:00Z", ["born"]),
        ("custom_fields.Birthday", "is", "1976-07-04T14:00:00+02:00", ["born"]),
        ("custom_fields.Birthday", "exists", None, ["born"]),
        ("custom_fields." + TRICKY_NAME, "is", TRICKY, []),
        ("created_at", "after", days_ago(6), EVERYONE),
        ("updated_at", "exists", None, EVERYONE),
    ],
)
async def test_profiles(
    warehouse: ClickHouse, field: str, operator: str, value: object, expected: list[str]
) -> None:
    condition = {"profile": field, "operator": operator} | ({} if value is None else {"value": value})
    assert await found(warehouse, condition) == expected
    assert await found(warehouse, {"not": condition}) == sorted(set(EVERYONE) - set(expected))


async def test_groups_in_groups(warehouse: ClickHouse) -> None:
    ordered, viewed = {"event": "Order Placed"}, {"event": "Page Viewed"}
    ann = {"profile": "first_name", "operator": "is", "value": "Ann"}
    assert await found(warehouse, {"all": [ordered, viewed]}) == ["once"]
    assert await found(warehouse, {"any": [ordered, viewed]}) == ["new-me", "often", "once", "viewer"]
    assert await found(warehouse, {"all": [ordered, {"not": {"any": [viewed, ann]}}]}) == ["new-me", "often"]
    assert await found(warehouse, {"not": {"not": {"all": [ordered, ann]}}}) == ["once"]
    deep: dict[str, Any] = ordered
    for _ in range(3):
        deep = {"not": {"all": [deep]}}
    assert await found(warehouse, deep) == sorted(set(EVERYONE) - set(ORDERED))
    assert await found(warehouse, {"not": deep}) == ORDERED


async def test_tenants_do_not_see_each_other(warehouse: ClickHouse) -> None:
    ordered = {"event": "Order Placed"}
    everything = {"any": [{"event": None}, {"not": {"event": None}}]}
    assert await who(warehouse, ordered, tenant_id=OTHERS) == ["elsewhere", "often"]
    assert await who(warehouse, everything, tenant_id=OTHERS) == ["elsewhere", "often"]
    assert await who(warehouse, ordered | {"count": at_least(2)}, tenant_id=OTHERS) == []
    assert await who(warehouse, everything, tenant_id=4) == []
    assert await found(warehouse, everything) == EVERYONE


async def test_a_store_sees_its_own(warehouse: ClickHouse) -> None:
    ordered = {"event": "Order Placed"}
    assert await who(warehouse, ordered, tenant_id=OTHERS, store="store-2") == ["elsewhere"]
    assert await who(warehouse, {"not": ordered}, tenant_id=OTHERS, store="store-2") == []
    assert await who(warehouse, ordered, tenant_id=OTHERS, store="' OR 1=1 --") == []


async def test_the_largest_segment_that_may_be(warehouse: ClickHouse) -> None:
    one = {"property": "plan", "operator": "is", "value": "pro"}
    events = [{"event": f"Event {n}", "where": {"all": [one] * 3}} for n in range(19)]
    conditions = {"any": [*events, {"event": "Order Placed", "where": {"all": [one] * 2}}]}
    assert await found(warehouse, conditions) == ["often"]


def test_what_a_caller_gives_is_never_in_the_statement() -> None:
    given = {
        "all": [
            {"event": "E-secret", "where": {"property": "N-secret", "operator": "is", "value": "V-secret"}},
            {"profile": "custom_fields.C-secret", "operator": "contains", "value": "V-secret"},
            {"profile": "email", "operator": "is", "value": "M-secret"},
            {"event": None, "where": {"field": "value", "operator": ">", "value": 987654321}},
        ]
    }
    query = compile_segment(read_segment(given), tenant_id=1, now_ms=NOW_MS, sample_size=5, store="S-secret")
    assert "secret" not in query.sql
    assert "987654321" not in query.sql
    assert len(re.findall("secret", str(query.params))) == 7
    assert query.sql.count("tenant_id = %(tenant_id)s") == 3


async def test_a_segment_only_reads(warehouse: ClickHouse) -> None:
    for statement in ("INSERT INTO events (ko) VALUES (1)", "SELECT 1 SETTINGS readonly = 0"):
        with pytest.raises(QueryRefused):
            await warehouse.query(statement, {}, threads_max=2)
