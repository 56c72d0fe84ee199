"""Operators and the values they compare with: which go together, and how each is read."""

import math
from collections.abc import Mapping
from typing import Any

from schemas.conditions.moments import date_ms
from schemas.conditions.tree import OPERATORS_OF, Comparison, Kind, Moment, Operator, Scalar

TEXT_CHARACTERS_MAX = 1000
COUNT_MAX = 10**9
_A_TEXT = f"a text of 1 to {TEXT_CHARACTERS_MAX} characters"
_INT64_MAX = 2**63 - 1

_AT_LEAST_ONCE = Comparison(">=", 1)


class ConditionsInvalid(Exception):
    """Conditions that cannot be; the message names the place and says how to fix it, without any value."""

    def __init__(self, at: str, reason: str) -> None:
        super().__init__(f"`{at}`: {reason}.")


def read_count(given: object, at: str) -> Comparison:
    """Read how often; not given: at least once. Raises ConditionsInvalid."""
    if given is None:
        return _AT_LEAST_ONCE
    if not isinstance(given, dict) or set(given) - {"operator", "value"}:
        raise ConditionsInvalid(at, 'this is an object like {"operator": ">=", "value": 2}')
    return read_test(given, at, "count")


def read_test(members: Mapping[str, Any], at: str, kind: Kind) -> Comparison:
    """Read the members `operator` and `value` for a value of that kind. Raises ConditionsInvalid."""
    operator = members.get("operator")
    allowed = OPERATORS_OF[kind]
    if operator not in allowed:
        raise ConditionsInvalid(f"{at}.operator", f"this is one of {', '.join(allowed)}")
    if operator == "exists":
        if "value" in members:
            raise ConditionsInvalid(at, "`exists` takes no value; put it into `not` for the opposite")
        return Comparison("exists")
    if "value" not in members:
        raise ConditionsInvalid(at, f"`{operator}` needs a `value`")
    given = members["value"]
    if operator == "between":
        return Comparison("between", _bounds(given, f"{at}.value", kind))
    return Comparison(operator, _scalar(given, f"{at}.value", _narrowed(operator, kind)))


def _narrowed(operator: Operator, kind: Kind) -> Kind:
    """Return what the operator makes of a value that can be anything."""
    if kind != "any" or operator in ("is", "is_not"):
        return kind
    if operator == "contains":
        return "text"
    return "date" if operator in ("before", "after") else "number"


def _bounds(given: object, at: str, kind: Kind) -> tuple[Scalar, Scalar]:
    if not isinstance(given, list) or len(given) != 2:
        raise ConditionsInvalid(at, "this is a list of two values, the lower first; both belong to it")
    if kind == "any":
        kind = "date" if isinstance(given[0], str) else "number"
    low, high = (_scalar(one, f"{at}[{index}]", kind) for index, one in enumerate(given))
    if _ordinal(low) > _ordinal(high):
        raise ConditionsInvalid(at, "the lower value comes first")
    return low, high


def _ordinal(value: Scalar) -> float:
    assert not isinstance(value, str)
    return value.ms if isinstance(value, Moment) else value


def _scalar(given: object, at: str, kind: Kind) -> Scalar:
    if kind == "text":
        return _text(given, at)
    if kind == "date":
        return _moment(given, at)
    if kind == "count":
        if type(given) is not int or not 0 <= given <= COUNT_MAX:
            raise ConditionsInvalid(at, f"this is a whole number from 0 to {COUNT_MAX}")
        return given
    if kind == "number" or type(given) in (int, float):
        return _number(given, at)
    if isinstance(given, bool):
        return given
    ms = date_ms(given) if isinstance(given, str) else None
    if ms is not None:
        return Moment(ms)
    return _text(given, at, f"{_A_TEXT}, a number, true, false, or a date-time with a zone")


def _text(given: object, at: str, wanted: str = _A_TEXT) -> str:
    if not isinstance(given, str) or not 1 <= len(given) <= TEXT_CHARACTERS_MAX:
        raise ConditionsInvalid(at, f"this is {wanted}")
    return given


def _moment(given: object, at: str) -> Moment:
    ms = date_ms(given) if isinstance(given, str) else None
    if ms is None:
        raise ConditionsInvalid(at, "this is a date-time with a zone, like 2026-04-02T12:00:00Z")
    return Moment(ms)


def _number(given: object, at: str) -> int | float:
    if type(given) is float and math.isfinite(given):
        return given
    if type(given) is int and -_INT64_MAX - 1 <= given <= _INT64_MAX:
        return given
    raise ConditionsInvalid(at, "this is a number; whole ones have 64 bits at most")
