"""schemas/conditions: what is read, and what is refused with its place and a way out."""

from typing import Any

import pytest

from schemas.conditions import (
    All,
    AnyOf,
    Comparison,
    ConditionsInvalid,
    EventCondition,
    FieldCondition,
    Moment,
    Not,
    Period,
    ProfileCondition,
    PropertyCondition,
    date_ms,
    read_filter,
    read_segment,
)
from schemas.conditions.reading import CONDITIONS_MAX, DEPTH_MAX, EVENT_CONDITIONS_MAX

ONE: dict[str, Any] = {"profile": "email", "operator": "exists"}
NOON = "2026-04-02T12:00:00Z"


def test_a_whole_tree() -> None:
    given = {
        "all": [
            {
                "event": "Order Placed",
                "count": {"operator": "between", "value": [2, 5]},
                "period": {"last_days": 30},
                "where": {
                    "any": [
                        {"property": "VIP Tier", "operator": "is", "value": "gold"},
                        {"field": "value", "operator": ">=", "value": 99.5},
                    ]
                },
            },
            {"not": {"profile": "custom_fields.Age at Signup", "operator": "<", "value": 18}},
            {"event": None, "period": {"from": NOON}},
        ]
    }
    assert read_segment(given) == All(
        (
            EventCondition(
                "Order Placed",
                Comparison("between", (2, 5)),
                Period(last_days=30),
                AnyOf(
                    (
                        PropertyCondition("VIP Tier", Comparison("is", "gold")),
                        FieldCondition("value", Comparison(">=", 99.5)),
                    )
                ),
            ),
            Not(ProfileCondition("custom_fields", Comparison("<", 18), "Age at Signup")),
            EventCondition(None, Comparison(">=", 1), Period(from_ms=1_775_131_200_000)),
        )
    )


def test_conditions_on_one_event() -> None:
    given = {"all": [{"field": "event_name", "operator": "is", "value": "x"}, {"not": ONE_PROPERTY}]}
    assert read_filter(given) == All(
        (
            FieldCondition("event_name", Comparison("is", "x")),
            Not(PropertyCondition("p", Comparison("exists"))),
        )
    )
    for alien in (ONE, {"event": "x"}):
        with pytest.raises(ConditionsInvalid, match=r"exactly one of `property`, `field`|a filter knows"):
            read_filter({"event": "e", "where": alien})


ONE_PROPERTY = {"property": "p", "operator": "exists"}


@pytest.mark.parametrize(
    ("operator", "value", "operand"),
    [
        ("is", "gold", "gold"),
        ("is", 5, 5),
        ("is", True, True),
        ("is", NOON, Moment(1_775_131_200_000)),
        ("is", "2026-02-30T12:00:00Z", "2026-02-30T12:00:00Z"),
        ("contains", NOON, NOON),
        ("before", NOON, Moment(1_775_131_200_000)),
        ("between", [NOON, NOON], (Moment(1_775_131_200_000), Moment(1_775_131_200_000))),
        ("between", [1, 2.5], (1, 2.5)),
        (">", -(2**63), -(2**63)),
    ],
)
def test_operands(operator: str, value: object, operand: object) -> None:
    read = read_filter({"property": "p", "operator": operator, "value": value})
    assert isinstance(read, PropertyCondition)
    assert (read.test.operand, type(read.test.operand)) == (operand, type(operand))


def of_property(operator: object, **value: object) -> dict[str, Any]:
    return {"event": "e", "where": {"property": "p", "operator": operator, **value}}


def of_profile(field: object, operator: object, **value: object) -> dict[str, Any]:
    return {"profile": field, "operator": operator, **value}


@pytest.mark.parametrize(
    ("given", "place", "reason"),
    [
        ([], "conditions", "a JSON object"),
        ({}, "conditions", "exactly one of `event`, `profile`, `all`, `any`, `not`"),
        ({"all": [ONE], "any": [ONE]}, "conditions", "exactly one of"),
        ({"all": [ONE], "note": 1}, "conditions", "a member is unknown; there are `all`"),
        ({"all": []}, "conditions.all", "at least one"),
        ({"all": ONE}, "conditions.all", "a list"),
        ({"any": [ONE, {"not": 5}]}, "conditions.any[1].not", "a JSON object"),
        ({"property": "p", "operator": "exists"}, "conditions", "exactly one of `event`"),
        ({"event": 5}, "conditions.event", "the name of an event, or null for any event"),
        ({"event": ""}, "conditions.event", "1 to 256 bytes"),
        ({"event": "ü" * 129}, "conditions.event", "1 to 256 bytes"),
        ({"event": "e", "colour": 1}, "conditions", "there are `event`, `count`, `period`, `where`"),
        ({"event": "e", "where": ONE}, "conditions.where", "exactly one of `property`, `field`"),
        ({"event": "e", "count": 2}, "conditions.count", "an object like"),
        (
            {"event": "e", "count": {"operator": "many", "value": 2}},
            "conditions.count.operator",
            "is, is_not",
        ),
        ({"event": "e", "count": {"operator": "exists"}}, "conditions.count.operator", "one of is"),
        ({"event": "e", "count": {"operator": ">", "value": 1.5}}, "conditions.count.value", "whole number"),
        ({"event": "e", "count": {"operator": ">", "value": -1}}, "conditions.count.value", "from 0"),
        (
            {"event": "e", "count": {"operator": "is", "value": True}},
            "conditions.count.value",
            "whole number",
        ),
        ({"event": "e", "period": {}}, "conditions.period", "give `last_days`"),
        ({"event": "e", "period": 30}, "conditions.period", "a JSON object"),
        ({"event": "e", "period": {"last_days": 0}}, "conditions.period.last_days", "1 to 3660"),
        ({"event": "e", "period": {"last_days": 1, "to": NOON}}, "conditions.period", "either"),
        ({"event": "e", "period": {"from": "yesterday"}}, "conditions.period.from", "2026-04-02T12:00:00Z"),
        ({"event": "e", "period": {"from": "2026-04-02"}}, "conditions.period.from", "with a zone"),
        ({"event": "e", "period": {"from": NOON, "to": NOON}}, "conditions.period", "`from` must lie before"),
        ({"event": "e", "period": {"since": NOON}}, "conditions.period", "`last_days`, `from`, `to`"),
        (of_property("like", value="x"), "conditions.where.operator", "one of is, is_not, contains, exists"),
        (of_property(["is"], value="x"), "conditions.where.operator", "one of is"),
        (of_property("is"), "conditions.where", "`is` needs a `value`"),
        (of_property("exists", value=True), "conditions.where", "takes no value"),
        (of_property("is", value=None), "conditions.where.value", "a text of 1"),
        (of_property("is", value=["a"]), "conditions.where.value", "a text of 1"),
        (of_property("is", value=""), "conditions.where.value", "a text of 1 to 1000"),
        (of_property("is", value="x" * 1001), "conditions.where.value", "1000 characters"),
        (of_property("is", value=2**63), "conditions.where.value", "64 bits"),
        (of_property("contains", value=5), "conditions.where.value", "a text"),
        (of_property(">", value="5"), "conditions.where.value", "a number"),
        (of_property(">", value=True), "conditions.where.value", "a number"),
        (of_property("before", value="2026-04-02"), "conditions.where.value", "a date-time with a zone"),
        (of_property("after", value=5), "conditions.where.value", "a date-time with a zone"),
        (of_property("between", value=[1]), "conditions.where.value", "a list of two"),
        (of_property("between", value=[2, 1]), "conditions.where.value", "the lower value comes first"),
        (of_property("between", value=[1, NOON]), "conditions.where.value[1]", "a number"),
        (of_property("between", value=[NOON, 1]), "conditions.where.value[1]", "a date-time"),
        (of_property("between", value=["a", "b"]), "conditions.where.value[0]", "a date-time"),
        (of_profile("shoe_size", "exists"), "conditions.profile", "use one of `customer_id`, `email`"),
        (of_profile("location", "exists"), "conditions.profile", "`location.<name>`"),
        (of_profile("custom_fields.", "exists"), "conditions.profile", "`custom_fields.<name>`"),
        (of_profile("email.x", "exists"), "conditions.profile", "there is no such field"),
        (of_profile("tenant_id", "is", value="2"), "conditions.profile", "there is no such field"),
        (of_profile("email", ">", value=5), "conditions.operator", "one of is, is_not, contains, exists"),
        (of_profile("email", "is", value=5), "conditions.value", "a text"),
        (of_profile("created_at", "contains", value="2026"), "conditions.operator", "before, after"),
        (of_profile("created_at", "is", value=5), "conditions.value", "a date-time"),
        (
            {"event": "e", "where": {"field": "raw", "operator": "exists"}},
            "conditions.where.field",
            "`value`",
        ),
        (
            {"event": "e", "where": {"field": "value", "operator": "is", "value": "5"}},
            "conditions.where.value",
            "a number",
        ),
    ],
)
def test_what_cannot_be_says_where_and_what_to_do(given: object, place: str, reason: str) -> None:
    with pytest.raises(ConditionsInvalid) as refused:
        read_segment(given)
    message = str(refused.value)
    assert message.startswith(f"`{place}`: ")
    assert reason in message
    assert message.endswith(".")


def test_no_value_is_repeated() -> None:
    for given in (
        of_property("secret", value="secret"),
        of_property(">", value="secret"),
        {"secret": 1},
        {"event": "e", "secret": "secret"},
        of_profile("secret", "exists"),
        {"event": "e", "period": {"from": "secret"}},
    ):
        with pytest.raises(ConditionsInvalid) as refused:
            read_segment(given)
        assert "secret" not in str(refused.value)


def test_limits() -> None:
    deepest: dict[str, Any] = ONE
    for _ in range(DEPTH_MAX - 1):
        deepest = {"not": deepest}
    read_segment(deepest)
    with pytest.raises(ConditionsInvalid, match="nested over 8 deep"):
        read_segment({"all": [deepest]})
    endless: dict[str, Any] = ONE
    for _ in range(5000):
        endless = {"not": endless}
    with pytest.raises(ConditionsInvalid, match="nested over 8 deep"):
        read_segment(endless)
    read_segment({"any": [ONE] * (CONDITIONS_MAX - 1)})
    with pytest.raises(ConditionsInvalid, match="more than 100 conditions"):
        read_segment({"any": [ONE] * CONDITIONS_MAX})
    read_segment({"any": [{"event": "e"}] * EVENT_CONDITIONS_MAX})
    with pytest.raises(ConditionsInvalid, match="more than 20 conditions on events"):
        read_segment({"any": [{"event": "e"}] * (EVENT_CONDITIONS_MAX + 1)})


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-04-02T12:00:00Z", 1_775_131_200_000),
        ("2026-04-02t14:00:00.5z", 1_775_138_400_500),
        ("2026-04-02 14:00:00+02:00", 1_775_131_200_000),
        ("2026-04-02T12:00:00.1239999Z", 1_775_131_200_123),
        ("1969-12-31T23:59:59.5Z", -500),
        ("1900-01-01T00:00:00-23:59", -2_208_902_460_000),
        ("2299-12-31T23:59:59.999Z", 10_413_791_999_999),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ],
)
def test_dates(text: str, ms: int) -> None:
    assert date_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-04-02", "2026-04-02T12:00:00", "2026-04-02T12:00Z", "20260402T120000Z", "now"),
        *("2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-04-31T00:00:00Z", "2026-00-10T00:00:00Z"),
        *("2026-04-02T24:00:00Z", "2026-04-02T12:60:00Z", "2026-04-02T12:00:60Z", "2026-04-02T12:00:00.Z"),
        *("2026-04-02T12:00:00+24:00", "2026-04-02T12:00:00+0200", "2026-04-02T12:00:00.1234567891Z"),
        *("1899-12-31T00:00:00Z", "2300-01-01T00:00:00Z", "9999-01-01T00:00:00Z", " 2026-04-02T12:00:00Z"),
        *("2026-04-02T12:00:00Z\n", "٢٠٢٦-04-02T12:00:00Z", "2026-04-02T12:00:00ZZ"),
    ],
)
def test_what_only_looks_like_a_date(text: str) -> None:
    assert date_ms(text) is None
