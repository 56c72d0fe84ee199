"""Conditions over customers and events, as segments and automation filters state them.

docs/segments.md has the form in JSON and what each condition means. Both those who ask the warehouse and
those who judge an event as it comes read them here, so that they cannot understand them differently.
"""

from schemas.conditions.judging import names_of, test_of
from schemas.conditions.moments import date_ms
from schemas.conditions.reading import ConditionsInvalid, read_filter, read_segment
from schemas.conditions.tree import (
    All,
    AnyOf,
    Comparison,
    Condition,
    EventCondition,
    FieldCondition,
    Moment,
    Not,
    Operator,
    Period,
    ProfileCondition,
    PropertyCondition,
    Scalar,
)

__all__ = [
    "All",
    "AnyOf",
    "Comparison",
    "Condition",
    "ConditionsInvalid",
    "EventCondition",
    "FieldCondition",
    "Moment",
    "Not",
    "Operator",
    "Period",
    "ProfileCondition",
    "PropertyCondition",
    "Scalar",
    "date_ms",
    "names_of",
    "read_filter",
    "read_segment",
    "test_of",
]
