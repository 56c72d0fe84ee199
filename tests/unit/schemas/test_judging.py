"""Conditions on one event, judged here: the trees that filters may be, and the names they are about."""

from typing import Any

import pytest

from schemas.conditions import ConditionsInvalid, names_of, read_filter, test_of
from schemas.conditions.judging import Facts
from tests.unit.workers.judged import event


def meets(conditions: object, **changes: Any) -> bool:
    return test_of(read_filter(conditions))(Facts(event(**changes)))


def prop(name: str, operator: str, *value: object) -> dict[str, Any]:
    return {"property": name, "operator": operator} | ({"value": value[0]} if value else {})


def test_an_event_is_tested_by_name_property_and_field() -> None:
    order = {
        "event": "Order Placed",
        "where": {"all": [prop("Total", ">", 50), {"field": "currency", "operator": "is", "value": "USD"}]},
    }
    placed = {"event_name": "Order Placed", "currency": "USD", "properties": '{"Total":50.5}'}
    assert meets(order, **placed)
    assert not meets(order, **(placed | {"event_name": "Order Paid"}))
    assert not meets(order, **(placed | {"currency": "EUR"}))
    assert not meets(order, **(placed | {"properties": '{"Total":50}'}))
    assert meets({"not": order}, **(placed | {"properties": "{}"}))
    assert meets({"event": None}, event_name="anything")
    assert meets({"any": [order, {"event": "b"}]}, event_name="b")


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        (
            {"event": "e", "count": {"operator": ">=", "value": 1}},
            "`conditions.count`: a filter judges one event",
        ),
        (
            {"event": "e", "period": {"last_days": 1}},
            "`conditions.period`: a filter judges an event as it comes",
        ),
        (
            {"profile": "email", "operator": "exists"},
            "`conditions.profile`: a filter knows the event and not",
        ),
        ({"all": [{"event": "e", "where": {"event": "f"}}]}, "exactly one of `property`, `field`"),
        ({"event": "e", "when": 1}, "a member is unknown; there are `event`, `where`"),
        ({"any": []}, "a list of at least one condition"),
    ],
)
def test_what_makes_no_sense_for_one_event_is_refused(conditions: object, sentence: str) -> None:
    with pytest.raises(ConditionsInvalid) as refused:
        read_filter(conditions)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({"event": "a"}, {"a"}),
        ({"event": None}, None),
        ({"event": "a", "where": prop("p", "exists")}, {"a"}),
        ({"any": [{"event": "a"}, {"event": "b"}]}, {"a", "b"}),
        ({"any": [{"event": "a"}, prop("p", "exists")]}, None),
        ({"all": [{"event": "a"}, prop("p", "exists")]}, {"a"}),
        ({"all": [{"event": "a"}, {"event": "b"}]}, set()),
        ({"not": {"event": "a"}}, None),
        ({"field": "event_name", "operator": "is", "value": "a"}, {"a"}),
        ({"field": "event_name", "operator": "is_not", "value": "a"}, None),
    ],
)
def test_names_outside_of_which_nothing_can_match(conditions: object, names: set[str] | None) -> None:
    assert names_of(read_filter(conditions)) == names
