"""A condition says of an event as it comes what the compiled query says of its row: the two cannot drift."""

import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from console.segments.compile import compile_event
from console.segments.events import count_events, newest_events
from schemas.conditions import Condition, ConditionsInvalid, read_filter, test_of
from schemas.conditions.judging import Facts
from schemas.event import Event
from schemas.rows import EVENTS, event_row
from schemas.topics import Partition
from stores.warehouse import ClickHouse
from tests.contract.warehouse_rows import event, put
from tests.embedded_clickhouse import EmbeddedClickHouse

DATABASE = "filter_conditions"
PARTITION = Partition("events.raw", 1)
GROUPS = 120

TOGETHER = 30
"""Conditions in one query: it is parsed up to 256 KiB."""

ALONE_EVERY = 25

VALUES = (
    *("0", "-0", "0.0", "5", "5.0", "5e0", "0.1", "-7.25", "1e300", "1e-300", "9007199254740993", "24999.99"),
    *(
        "9007199254740992",
        "9007199254740992.0",
        "-9223372036854775808",
        "9223372036854775807",
        "1e18",
        "1.5E3",
    ),
    *(
        "true",
        "false",
        "null",
        "{}",
        '{"a":1}',
        "[5]",
        '""',
        '"5"',
        '"true"',
        '"gold"',
        '"Gold"',
        '"a gold b"',
    ),
    *(
        r'"quo\"te"',
        r'"back\\slash"',
        r'"\u00e9"',
        '"é"',
        '"with/slash"',
        r'"a\/b"',
        r'"\ud83d\ude00"',
        '"d5"',
    ),
    *(
        '"2026-04-02T12:00:00Z"',
        '"2026-04-02t14:00:00.0000001+02:00"',
        '"2026-02-30T12:00:00Z"',
        '"2026-04-02"',
    ),
    *(r'"2026-04-02T12:00:0\u0030Z"', '"2026-04-02 12:00:00.5z"', '"2300-01-01T00:00:00Z"', '"s"', '"d"'),
    *(
        '"1900-01-01T00:00:00Z"',
        '"2026-04-02T12:00:00"',
        '"2026-04-02T24:00:00Z"',
        '"\u2028"',
        '"nan"',
        '"inf"',
    ),
)
NAMES = ("p", "$extra", "ü ? %s :x", "missing")
AMOUNTS = (None, "0.000000", "5.000000", "0.1", "24999.99", "-7.250000", "123456789012345678.123456")
MOMENT = "2026-04-02T12:00:00Z"

TESTS: tuple[dict[str, Any], ...] = (
    {"operator": "exists"},
    *(
        {"operator": "is", "value": value}
        for value in (5, 0, 0.1, "5", "gold", True, False, MOMENT, 2**53 + 1)
    ),
    *(
        {"operator": "is", "value": value}
        for value in (2**53, 10**18, "é", "d5", 'quo"te', "2026-02-30T12:00:00Z")
    ),
    *({"operator": "is_not", "value": value} for value in (5, "gold", True, MOMENT, 2**53 + 1, -(2**63))),
    *({"operator": "contains", "value": value} for value in ("gold", "5", "/", "\\", "s", "😀", "2026")),
    *(
        {"operator": sign, "value": value}
        for sign in (">", ">=", "<", "<=")
        for value in (5, 0.1, -7.25, 2**60)
    ),
    {"operator": "between", "value": [0, 5]},
    {"operator": "between", "value": [MOMENT, "2026-04-02T12:00:00.001Z"]},
    {"operator": "before", "value": MOMENT},
    {"operator": "after", "value": "2026-04-02T11:59:59.999Z"},
)
FIELDS = ("event_name", "event_type", "value", "currency", "url", "country", "occurred_at", "device_type")


def conditions() -> list[dict[str, Any]]:
    """Return every test of every property and field that can be one, and groups of them."""
    single: list[dict[str, Any]] = [
        {"property": name} | test for name in NAMES for test in TESTS[:: 1 if name == "p" else 8]
    ]
    single += [{"field": name} | test for name in FIELDS for test in TESTS]
    single += [{"event": name} for name in ("Order Placed", "order placed", None)]
    usable = [one for one in single if read(one) is not None]
    choose = random.Random(20260402)

    def group(depth: int) -> dict[str, Any]:
        kind = choose.choice(("all", "any", "not", "event", "one")) if depth else "one"
        if kind == "not":
            return {"not": group(depth - 1)}
        if kind in ("all", "any"):
            return {kind: [group(depth - 1) for _ in range(choose.randint(1, 3))]}
        if kind == "event":
            name = choose.choice(("Order Placed", None))
            of_event = [one for one in usable if "event" not in one]
            return {"event": name, "where": choose.choice(of_event)}
        return choose.choice(usable)

    return usable + [one for _ in range(GROUPS) if read(one := group(3)) is not None]


def read(one: object) -> Condition | None:
    try:
        return read_filter(one)
    except ConditionsInvalid:
        return None


def events() -> list[Event]:
    """Return an event for each value of a property, and some for the fields."""
    made: list[dict[str, Any]] = [{"properties": f'{{"p":{value}}}'} for value in VALUES]
    made += [{"properties": msgspec.json.encode({name: 5}).decode()} for name in NAMES]
    made += [{"properties": "{}", "value": amount} for amount in AMOUNTS]
    made += [
        {"event_name": "Order Placed", "event_type": "order_completed", "currency": "USD", "country": "MX"},
        {"event_name": "gold", "url": "https://a.example/5?q=gold", "device_type": "s5"},
        {"occurred_at": 1_775_131_200_000},
        {"occurred_at": 1_775_131_199_999},
        {"event_name": "Order Placed", "properties": '{"p":"gold"}', "value": "5.000000"},
    ]
    return [event(number, **changes) for number, changes in enumerate(made)]


@pytest.fixture
async def warehouse(clickhouse: EmbeddedClickHouse) -> AsyncIterator[ClickHouse]:
    await clickhouse.migrate(DATABASE)
    async with clickhouse.warehouse(DATABASE) as opened:
        yield opened


def portions(tried: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [tried[start : start + TOGETHER] for start in range(0, len(tried), TOGETHER)]


async def met(warehouse: ClickHouse, tried: list[dict[str, Any]]) -> list[set[str]]:
    """Return which events meet each condition, by one query that has all of them as columns.

    One query each would take most of its time to be parsed. Where a condition stands in its own query, in
    the place of WHERE, is tried with some.
    """
    columns: list[str] = []
    params: dict[str, Any] = {}
    for number, one in enumerate(tried):
        compiled = compile_event(read_filter(one))
        own = {name: f"c{number}_{name}" for name in compiled.params}
        params |= {own[name]: value for name, value in compiled.params.items()}
        columns.append(compiled.sql % {name: f"%({other})s" for name, other in own.items()})
    meets = ", ".join(f"if({sql}, 1, 0)" for sql in columns)
    rows = await warehouse.query(f"SELECT event_id, [{meets}] AS meets FROM events", params)
    return [{str(row["event_id"]) for row in rows if row["meets"][number]} for number in range(len(tried))]


async def test_an_event_is_judged_as_its_row_is_queried(warehouse: ClickHouse) -> None:
    given = events()
    await put(warehouse, EVENTS, PARTITION, [event_row(one) for one in given])
    tried = conditions()
    assert len(tried) > 300
    found = [there for portion in portions(tried) for there in await met(warehouse, portion)]
    differing = []
    met_by_some = 0
    for one, there in zip(tried, found, strict=True):
        test = test_of(read_filter(one))
        here = {each.event_id for each in given if test(Facts(each))}
        met_by_some += 0 < len(there) < len(given)
        if here != there:
            differing.append(
                (one, [(e.event_name, e.value, e.properties) for e in given if e.event_id in here ^ there])
            )
    assert differing == []
    assert met_by_some > 100
    for one, there in list(zip(tried, found, strict=True))[::ALONE_EVERY]:
        query = newest_events(read_filter(one), tenant_id=1, since_ms=0, size=len(given))
        assert {str(row["event_id"]) for row in await warehouse.query(query.sql, query.params)} == there, one
    query = count_events(read_filter({"event": "Order Placed"}), tenant_id=1, since_ms=0)
    assert await warehouse.query(query.sql, query.params) == [{"looked_at": len(given), "matched": 2}]
