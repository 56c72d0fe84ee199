"""Conditions on one event as a function of it, which says what the compiled query says of its row.

console/segments/predicates.py has the same tests in SQL. Both compare by comparing.py, and a test puts both
to the same events. A tree becomes closures once, so that an event costs calls and comparisons only.
"""

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import assert_never

import msgspec
from msgspec import Raw

from schemas.conditions.comparing import (
    RELATIONS,
    is_beyond_doubles,
    is_of_dates,
    number_of,
    text_of,
    typed_of,
)
from schemas.conditions.moments import date_ms
from schemas.conditions.tree import (
    EVENT_FIELDS,
    All,
    AnyOf,
    Comparison,
    Condition,
    EventCondition,
    FieldCondition,
    Not,
    ProfileCondition,
    PropertyCondition,
)
from schemas.event import Event

_SCALE = 1_000_000
_NOT_SEGMENTABLE = "$extra"

_read = msgspec.json.Decoder(dict[str, Raw]).decode
_read_text = msgspec.json.Decoder(str).decode


class Facts:
    """An event as conditions see it: its properties are read once, and only if one is asked for."""

    __slots__ = ("_properties", "_typed", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._properties: dict[str, Raw] | None = None
        self._typed: dict[str, str] = {}

    def property(self, name: str) -> str:
        """Return a property as `properties_typed` holds it: a text that tells its type, or empty."""
        typed = self._typed.get(name)
        if typed is None:
            if self._properties is None:
                self._properties = _read(self.event.properties or "{}")
            raw = self._properties.get(name)
            typed = "" if raw is None or name == _NOT_SEGMENTABLE else _typed(bytes(raw))
            self._typed[name] = typed
        return typed


Test = Callable[[Facts], bool]


def test_of(condition: Condition) -> Test:
    """Return the test that the conditions are. Only what `read_filter` gives can be one."""
    match condition:
        case All():
            return _all_of(tuple(map(test_of, condition.conditions)))
        case AnyOf():
            return _any_of(tuple(map(test_of, condition.conditions)))
        case Not():
            inner = test_of(condition.condition)
            return lambda facts: not inner(facts)
        case EventCondition():
            return _named(condition)
        case PropertyCondition():
            return _property(condition.name, condition.test)
        case FieldCondition():
            return _field(condition.name, condition.test)
        case ProfileCondition():
            raise AssertionError("a filter is about one event")
    assert_never(condition)


test_of.__test__ = False  # type: ignore[attr-defined]


def names_of(condition: Condition) -> frozenset[str] | None:
    """Return the event names outside of which the conditions cannot hold; None: any name will do."""
    match condition:
        case All():
            given = [names for one in condition.conditions if (names := names_of(one)) is not None]
            return frozenset.intersection(*given) if given else None
        case AnyOf():
            known = [names for one in condition.conditions if (names := names_of(one)) is not None]
            return frozenset().union(*known) if len(known) == len(condition.conditions) else None
        case EventCondition(name=str(name)):
            return frozenset((name,))
        case FieldCondition(name="event_name", test=Comparison(operator="is", operand=str(name))):
            return frozenset((name,))
        case _:
            return None


def _all_of(tests: tuple[Test, ...]) -> Test:
    def met(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs as much as the tests
            if not test(facts):
                return False
        return True

    return met


def _any_of(tests: tuple[Test, ...]) -> Test:
    def met(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - as above
            if test(facts):
                return True
        return False

    return met


def _named(condition: EventCondition) -> Test:
    name = condition.name
    where = None if condition.where is None else test_of(condition.where)
    if where is None:
        return (lambda facts: True) if name is None else (lambda facts: facts.event.event_name == name)
    if name is None:
        return where
    inner = where
    return lambda facts: facts.event.event_name == name and inner(facts)


def _property(name: str, test: Comparison) -> Test:
    accepts = _of_typed(test)
    return lambda facts: accepts(facts.property(name))


def _field(name: str, test: Comparison) -> Test:
    read = operator.attrgetter(name)
    kind = EVENT_FIELDS[name]
    if kind == "number":
        of_number = _of_number(test)
        return lambda facts: of_number(_amount(read(facts.event)))
    if kind == "date":
        if test.operator == "exists":
            return lambda facts: True
        compare = _compare(test)
        return lambda facts: compare(read(facts.event))
    accepts = _of_text(test)
    return lambda facts: accepts(read(facts.event))


def _of_typed(test: Comparison) -> Callable[[str], bool]:
    """Return the test of a value as `Facts.property` gives it."""
    if test.operator == "exists":
        return lambda value: value != ""
    if test.operator == "is_not":
        same = _of_typed(Comparison("is", test.operand))
        return lambda value: not same(value)
    if test.operator == "contains":
        part = text_of(test)
        return lambda value: value[:1] == "s" and part in value[1:]
    if isinstance(test.operand, str | bool):
        wanted = typed_of(test.operand)
        return lambda value: value == wanted
    compare = _compare(test)
    if is_of_dates(test):
        return lambda value: value[:1] == "d" and compare(int(value[1:]))
    if test.operator == "is" and is_beyond_doubles(test.operand):
        digits = str(test.operand)
        return lambda value: _is_number(value) and _digits(value) == digits
    return lambda value: _is_number(value) and compare(float(value))


def _of_text(test: Comparison) -> Callable[[str], bool]:
    if test.operator == "exists":
        return lambda value: value != ""
    wanted = text_of(test)
    if test.operator == "contains":
        return lambda value: wanted in value
    if test.operator == "is":
        return lambda value: value == wanted
    return lambda value: value != wanted


def _of_number(test: Comparison) -> Callable[[float | None], bool]:
    if test.operator == "exists":
        return lambda value: value is not None
    if test.operator == "is_not":
        same = _of_number(Comparison("is", test.operand))
        return lambda value: not same(value)
    compare = _compare(test)
    return lambda value: value is not None and compare(value)


def _compare(test: Comparison) -> Callable[[float], bool]:
    if isinstance(test.operand, tuple):
        low, high = map(number_of, test.operand)
        return lambda value: low <= value <= high
    holds, operand = RELATIONS[test.operator].holds, number_of(test.operand)
    return lambda value: holds(value, operand)


def _typed(raw: bytes) -> str:
    first = raw[:1]
    if first in b"{[n":
        return ""
    if first != b'"':
        return raw.decode()
    text = _read_text(raw)
    ms = date_ms(text)
    return f"s{text}" if ms is None else f"d{ms}"


def _is_number(value: str) -> bool:
    return value[:1] not in ("", "s", "d", "t", "f")


def _digits(number: str) -> str:
    """Return a number as the warehouse writes it: a whole one by its digits."""
    try:
        return str(int(number))
    except ValueError:
        return f"{Decimal(repr(float(number))):f}".removesuffix(".0")


def _amount(value: str | None) -> float | None:
    """Return a decimal as the warehouse makes a double of it."""
    if value is None:
        return None
    whole, _, places = value.partition(".")
    return float(int(whole + places.ljust(6, "0"))) / _SCALE
