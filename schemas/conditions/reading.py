"""From JSON to the condition tree; what cannot be is refused with its place and a way out."""

from collections.abc import Mapping
from typing import Any

from schemas.conditions.moments import date_ms
from schemas.conditions.operands import ConditionsInvalid, read_count, read_test
from schemas.conditions.tree import (
    EVENT_FIELDS,
    PROFILE_FIELDS,
    PROFILE_OBJECTS,
    All,
    AnyOf,
    Condition,
    EventCondition,
    FieldCondition,
    Kind,
    Not,
    Period,
    ProfileCondition,
    PropertyCondition,
)

__all__ = ["ConditionsInvalid", "read_filter", "read_segment"]

DEPTH_MAX = 8
CONDITIONS_MAX = 100
EVENT_CONDITIONS_MAX = 20
NAME_BYTES_MAX = 256
LAST_DAYS_MAX = 3660

_GROUPS = ("all", "any", "not")
_OF_CUSTOMERS = ("event", "profile", *_GROUPS)
_OF_EVENTS = ("property", "field", *_GROUPS)
_OF_FILTERS = ("event", "property", "field", *_GROUPS)

_ONE_EVENT = {
    "count": "a filter judges one event as it comes, so nothing can be counted; ask a segment for it",
    "period": "a filter judges an event as it comes, so there is no period; test the field `occurred_at`",
}
_NO_PROFILE = (
    "a filter knows the event and not what is stored of its customer; use `property` or `field`, or a segment"
)


def read_segment(document: object) -> Condition:
    """Read conditions over customers, from what JSON gave. Raises ConditionsInvalid."""
    return _Reading().condition(document, "conditions", _OF_CUSTOMERS, 1)


def read_filter(document: object) -> Condition:
    """Read conditions over one event as an automation filter has them: the event's name too.

    Of a condition on events only `event` and `where` make sense there. Raises ConditionsInvalid.
    """
    return _Reading(of_filter=True).condition(document, "conditions", _OF_FILTERS, 1)


class _Reading:
    """Reads one document and counts what is in it."""

    def __init__(self, *, of_filter: bool = False) -> None:
        self._of_filter = of_filter
        self._conditions = 0
        self._event_conditions = 0

    def condition(self, given: object, at: str, kinds: tuple[str, ...], depth: int) -> Condition:
        members = _members(given, at)
        self._conditions += 1
        if self._conditions > CONDITIONS_MAX:
            raise ConditionsInvalid(at, f"there are more than {CONDITIONS_MAX} conditions; use fewer")
        if depth > DEPTH_MAX:
            raise ConditionsInvalid(at, f"groups are nested over {DEPTH_MAX} deep; use fewer levels")
        if self._of_filter and "profile" in members:
            raise ConditionsInvalid(f"{at}.profile", _NO_PROFILE)
        named = [kind for kind in kinds if kind in members]
        if len(named) != 1:
            raise ConditionsInvalid(at, f"a condition here has exactly one of {_listed(kinds)}")
        if named[0] in _GROUPS:
            return self._group(named[0], members, at, kinds, depth)
        if named[0] == "event":
            return self._event(members, at, depth)
        return _tested(named[0], members, at)

    def _group(
        self, name: str, members: Mapping[str, Any], at: str, kinds: tuple[str, ...], depth: int
    ) -> Condition:
        _only(members, at, (name,))
        inside = f"{at}.{name}"
        if name == "not":
            return Not(self.condition(members["not"], inside, kinds, depth + 1))
        given = members[name]
        if not isinstance(given, list) or not given:
            raise ConditionsInvalid(inside, "this is a list of at least one condition")
        read = tuple(
            self.condition(one, f"{inside}[{index}]", kinds, depth + 1) for index, one in enumerate(given)
        )
        return All(read) if name == "all" else AnyOf(read)

    def _event(self, members: Mapping[str, Any], at: str, depth: int) -> EventCondition:
        self._event_conditions += 1
        if self._event_conditions > EVENT_CONDITIONS_MAX:
            raise ConditionsInvalid(
                at, f"there are more than {EVENT_CONDITIONS_MAX} conditions on events; use fewer"
            )
        for member, reason in _ONE_EVENT.items():
            if self._of_filter and member in members:
                raise ConditionsInvalid(f"{at}.{member}", reason)
        _only(members, at, ("event", "where") if self._of_filter else ("event", "count", "period", "where"))
        name = members["event"]
        where = members.get("where")
        return EventCondition(
            name=None if name is None else _name(name, f"{at}.event", "an event, or null for any event"),
            count=read_count(members.get("count"), f"{at}.count"),
            period=_period(members.get("period"), f"{at}.period"),
            where=None if where is None else self.condition(where, f"{at}.where", _OF_EVENTS, depth + 1),
        )


def _tested(
    what: str, members: Mapping[str, Any], at: str
) -> PropertyCondition | FieldCondition | ProfileCondition:
    _only(members, at, (what, "operator", "value"))
    name = _name(members[what], f"{at}.{what}", "a " + what)
    if what == "property":
        return PropertyCondition(name, read_test(members, at, "any"))
    if what == "field":
        kind = _kind(EVENT_FIELDS, name, f"{at}.field", tuple(EVENT_FIELDS))
        return FieldCondition(name, read_test(members, at, kind))
    column, dot, key = name.partition(".")
    if dot and key and column in PROFILE_OBJECTS:
        return ProfileCondition(column, read_test(members, at, "any"), key)
    known = (*PROFILE_FIELDS, *(f"{column}.<name>" for column in PROFILE_OBJECTS))
    kind = _kind(PROFILE_FIELDS, name, f"{at}.profile", known)
    return ProfileCondition(name, read_test(members, at, kind))


def _kind(fields: Mapping[str, Kind], name: str, at: str, known: tuple[str, ...]) -> Kind:
    if name not in fields:
        raise ConditionsInvalid(at, f"there is no such field; use one of {_listed(known)}")
    return fields[name]


def _period(given: object, at: str) -> Period:
    if given is None:
        return Period()
    members = _members(given, at)
    _only(members, at, ("last_days", "from", "to"))
    if "last_days" in members:
        days = members["last_days"]
        if len(members) > 1:
            raise ConditionsInvalid(at, "give either `last_days`, or `from` and `to`")
        if type(days) is not int or not 1 <= days <= LAST_DAYS_MAX:
            raise ConditionsInvalid(f"{at}.last_days", f"this is a whole number from 1 to {LAST_DAYS_MAX}")
        return Period(last_days=days)
    if not members:
        raise ConditionsInvalid(at, "give `last_days`, or `from`, or `to`; or leave the period out")
    bounds = {name: _moment(moment, f"{at}.{name}") for name, moment in members.items()}
    period = Period(from_ms=bounds.get("from"), to_ms=bounds.get("to"))
    if period.from_ms is not None and period.to_ms is not None and period.from_ms >= period.to_ms:
        raise ConditionsInvalid(at, "`from` must lie before `to`; exchange them")
    return period


def _moment(given: object, at: str) -> int:
    ms = date_ms(given) if isinstance(given, str) else None
    if ms is None:
        raise ConditionsInvalid(at, "this is a date-time with a zone, like 2026-04-02T12:00:00Z")
    return ms


def _members(given: object, at: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise ConditionsInvalid(at, "this is a JSON object")
    return given


def _only(members: Mapping[str, Any], at: str, known: tuple[str, ...]) -> None:
    if set(members) - set(known):
        raise ConditionsInvalid(at, f"a member is unknown; there are {_listed(known)}")


def _name(given: object, at: str, of: str) -> str:
    if not isinstance(given, str) or not 1 <= len(given.encode()) <= NAME_BYTES_MAX:
        raise ConditionsInvalid(at, f"this is the name of {of}: 1 to {NAME_BYTES_MAX} bytes of text")
    return given


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
