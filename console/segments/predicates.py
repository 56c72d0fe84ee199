"""Tests as SQL: each is 0 or 1, never null, so that `not` means what it says where a value is missing."""

from console.segments.binding import Binding
from schemas.conditions import Comparison, Moment, Scalar

INTEGER_EXACT_MAX = 2**53 - 1
"""Numbers are compared as doubles, which hold no greater integers exactly."""


def typed(value: str, test: Comparison, bind: Binding) -> str:
    """Test the SQL `value`, a text as console/segments/typed.py describes."""
    if test.operator == "exists":
        return f"({value} != '')"
    if test.operator == "is_not":
        return f"(NOT {typed(value, Comparison('is', test.operand), bind)})"
    if test.operator == "contains":
        # From the second character on: the first one tells the type.
        return f"(startsWith({value}, 's') AND position({value}, {bind(_text(test))}, 2) > 0)"
    if _is_of_dates(test):
        return f"(startsWith({value}, 'd') AND {_compared(_date_of(value), test, bind)})"
    if test.operator == "is" and isinstance(test.operand, str | bool):
        text = f"s{test.operand}" if isinstance(test.operand, str) else str(test.operand).lower()
        return f"({value} = {bind(text)})"
    if test.operator == "is" and _is_beyond_doubles(test.operand):
        return f"({value} = {bind(str(test.operand))})"
    return f"ifNull({_compared(f'toFloat64OrNull({value})', test, bind)}, 0)"


def text(column: str, test: Comparison, bind: Binding) -> str:
    """Test a column of type String; an empty one was not given."""
    if test.operator == "exists":
        return f"({column} != '')"
    given = bind(_text(test))
    if test.operator == "contains":
        return f"(position({column}, {given}) > 0)"
    return f"({column} {'=' if test.operator == 'is' else '!='} {given})"


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


_SYMBOLS = {
    "is": "=",
    "is_not": "!=",
    ">": ">",
    ">=": ">=",
    "<": "<",
    "<=": "<=",
    "before": "<",
    "after": ">",
}


def _compared(value: str, test: Comparison, bind: Binding) -> str:
    if isinstance(test.operand, tuple):
        low, high = (bind(_number(one)) for one in test.operand)
        return f"({value} BETWEEN {low} AND {high})"
    return f"({value} {_SYMBOLS[test.operator]} {bind(_number(test.operand))})"


def _number(operand: Scalar | None) -> int | float:
    if isinstance(operand, Moment):
        return operand.ms
    assert isinstance(operand, int | float)
    return float(operand) if _is_beyond_doubles(operand) else operand


def _text(test: Comparison) -> str:
    assert isinstance(test.operand, str)
    return test.operand


def _date_of(value: str) -> str:
    return f"toInt64OrZero(substring({value}, 2))"


def _is_of_dates(test: Comparison) -> bool:
    first = test.operand[0] if isinstance(test.operand, tuple) else test.operand
    return isinstance(first, Moment)


def _is_beyond_doubles(operand: object) -> bool:
    return isinstance(operand, int) and abs(operand) > INTEGER_EXACT_MAX
