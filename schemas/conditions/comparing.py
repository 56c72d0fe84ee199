"""What a comparison means, for those who judge an event in Python and those who ask the warehouse in SQL."""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from schemas.conditions.tree import Comparison, Moment, Operator, Scalar

INTEGER_EXACT_MAX = 2**53 - 1
"""Numbers are compared as doubles, which hold no greater integers exactly."""


class Relation(NamedTuple):
    """How two values lie to each other, in either language."""

    holds: Callable[[Any, Any], bool]
    sql: str


RELATIONS: dict[Operator, Relation] = {
    "is": Relation(operator.eq, "="),
    "is_not": Relation(operator.ne, "!="),
    ">": Relation(operator.gt, ">"),
    ">=": Relation(operator.ge, ">="),
    "<": Relation(operator.lt, "<"),
    "<=": Relation(operator.le, "<="),
    "before": Relation(operator.lt, "<"),
    "after": Relation(operator.gt, ">"),
}
"""The operators that compare with one value; `between`, `contains` and `exists` do not."""


def number_of(operand: Scalar | None) -> int | float:
    """Return a number or a moment as it is compared."""
    if isinstance(operand, Moment):
        return operand.ms
    assert isinstance(operand, int | float)
    return float(operand) if is_beyond_doubles(operand) else operand


def text_of(test: Comparison) -> str:
    """Return the text that a value is compared with."""
    assert isinstance(test.operand, str)
    return test.operand


def typed_of(operand: str | bool) -> str:
    """Return a text or a truth as a property's value is stored: a text that tells its type."""
    return f"s{operand}" if isinstance(operand, str) else str(operand).lower()


def is_of_dates(test: Comparison) -> bool:
    """Tell whether it compares with one moment, or with two."""
    first = test.operand[0] if isinstance(test.operand, tuple) else test.operand
    return isinstance(first, Moment)


def is_beyond_doubles(operand: object) -> bool:
    """Tell whether it is an integer that a double does not hold exactly."""
    return isinstance(operand, int) and abs(operand) > INTEGER_EXACT_MAX
