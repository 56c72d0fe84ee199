"""The condition tree: what a segment or a filter asks for, read and checked."""

from typing import Literal, get_args

from msgspec import Struct

Operator = Literal["is", "is_not", "contains", "exists", ">", ">=", "<", "<=", "between", "before", "after"]
OPERATORS: tuple[str, ...] = get_args(Operator)

Kind = Literal["any", "text", "number", "date", "count"]
"""What a value can be: `any` is of the type that the producer gave it, event by event."""

OPERATORS_OF: dict[Kind, tuple[str, ...]] = {
    "any": OPERATORS,
    "text": ("is", "is_not", "contains", "exists"),
    "number": ("is", "is_not", "exists", ">", ">=", "<", "<=", "between"),
    "date": ("is", "is_not", "exists", "before", "after", "between"),
    "count": ("is", "is_not", ">", ">=", "<", "<=", "between"),
}
"""Which operators a value of that kind can be tested with."""

EVENT_FIELDS: dict[str, Kind] = {
    "event_name": "text",
    "event_type": "text",
    "value": "number",
    "currency": "text",
    "order_id": "text",
    "dialect": "text",
    "source": "text",
    "url": "text",
    "country": "text",
    "city": "text",
    "device_type": "text",
    "occurred_at": "date",
}
"""What every event has besides its properties: columns of `events`."""

PROFILE_FIELDS: dict[str, Kind] = {
    "customer_id": "text",
    "email": "text",
    "phone": "text",
    "first_name": "text",
    "last_name": "text",
    "dialect": "text",
    "source": "text",
    "created_at": "date",
    "updated_at": "date",
}
"""Columns of `customers`."""

PROFILE_OBJECTS = ("location", "custom_fields")
"""Columns of `customers` that hold a JSON object; a condition names one member, as in `location.city`."""


class Moment(Struct, frozen=True):
    """A point in time, in Unix ms."""

    ms: int


Scalar = str | bool | int | float | Moment


class Comparison(Struct, frozen=True):
    """An operator and what it compares with: two values for `between`, None for `exists`."""

    operator: Operator
    operand: Scalar | tuple[Scalar, Scalar] | None = None


class Period(Struct, frozen=True):
    """When events happened: in the last days before the question, or from a time on until before another.

    Times are Unix ms; None leaves that side open.
    """

    last_days: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None


class PropertyCondition(Struct, frozen=True):
    """A property of an event, by the name that its producer gave it."""

    name: str
    test: Comparison


class FieldCondition(Struct, frozen=True):
    """A field that every event has, one of EVENT_FIELDS."""

    name: str
    test: Comparison


class ProfileCondition(Struct, frozen=True):
    """A field of the customer: one of PROFILE_FIELDS, or the member `key` of one of PROFILE_OBJECTS."""

    name: str
    test: Comparison
    key: str = ""


class EventCondition(Struct, frozen=True):
    """How often a customer's events of that name, in that period, met `where`. No name: any event."""

    name: str | None
    count: Comparison
    period: Period
    where: "Condition | None" = None


class All(Struct, frozen=True):
    """Each of them holds."""

    conditions: tuple["Condition", ...]


class AnyOf(Struct, frozen=True):
    """At least one of them holds."""

    conditions: tuple["Condition", ...]


class Not(Struct, frozen=True):
    """It does not hold."""

    condition: "Condition"


Condition = All | AnyOf | Not | PropertyCondition | FieldCondition | ProfileCondition | EventCondition
