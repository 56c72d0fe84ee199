"""Tests as SQL: each is 0 or 1, never null, so that `not` means what it says where a value is missing."""

from console.segments.binding import Binding
from schemas.conditions import Comparison
from schemas.conditions.comparing import (
    RELATIONS,
    is_beyond_doubles,
    is_of_dates,
    number_of,
    text_of,
    typed_of,
)


def typed(value: str, test: Comparison, bind: Binding) -> str:
    """Test the SQL `value`, a text as console/segments/typed.py describes."""
    if test.operator == "exists":
        return f"({value} != '')"
    if test.operator == "is_not":
        return f"(NOT {typed(value, Comparison('is', test.operand), bind)})"
    if test.operator == "contains":
        # From the second character on: the first one tells the type.
        return f"(startsWith({value}, 's') AND position({value}, {bind(text_of(test))}, 2) > 0)"
    if is_of_dates(test):
        return f"(startsWith({value}, 'd') AND {_compared(_date_of(value), test, bind)})"
    if test.operator == "is" and isinstance(test.operand, str | bool):
        return f"({value} = {bind(typed_of(test.operand))})"
    if test.operator == "is" and is_beyond_doubles(test.operand):
        return f"({value} = {bind(str(test.operand))})"
    return f"ifNull({_compared(f'toFloat64OrNull({value})', test, bind)}, 0)"


def text(column: str, test: Comparison, bind: Binding) -> str:
    """Test a column of type String; an empty one was not given."""
    if test.operator == "exists":
        return f"({column} != '')"
    given = bind(text_of(test))
    if test.operator == "contains":
        return f"(position({column}, {given}) > 0)"
    return f"({column} {RELATIONS[test.operator].sql} {given})"


def number(column: str, test: Comparison, bind: Binding) -> str:
    """Test a column of numbers, which may be null."""
    if test.operator == "exists":
        return f"isNotNull({column})"
    if test.operator == "is_not":
        return f"(NOT {number(column, Comparison('is', test.operand), bind)})"
    return f"ifNull({_compared(f'toFloat64({column})', test, bind)}, 0)"


def count(column: str, test: Comparison, bind: Binding) -> str:
    """Test a column of whole numbers that is never null."""
    return _compared(column, test, bind)


def moment(column: str, test: Comparison, bind: Binding) -> str:
    """Test a column of type DateTime64(3) that is never null."""
    if test.operator == "exists":
        return "1"
    return _compared(f"toUnixTimestamp64Milli({column})", test, bind)


def _compared(value: str, test: Comparison, bind: Binding) -> str:
    if isinstance(test.operand, tuple):
        low, high = (bind(number_of(one)) for one in test.operand)
        return f"({value} BETWEEN {low} AND {high})"
    return f"({value} {RELATIONS[test.operator].sql} {bind(number_of(test.operand))})"


def _date_of(value: str) -> str:
    return f"toInt64OrZero(substring({value}, 2))"
