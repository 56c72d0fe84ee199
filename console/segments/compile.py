"""A condition tree as one query of the warehouse: how many customers of a tenant meet it, and some of them.

Events are read once. Each condition on events is a column of zeros and ones there, summed up by person; the
person's overrides are applied to the sums, and the customers are tested with them.
"""

from typing import Any, NamedTuple, assert_never

from console.segments import predicates
from console.segments.binding import Binding
from console.segments.typed import of_member, of_property
from schemas.conditions import (
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
from schemas.conditions.tree import EVENT_FIELDS, PROFILE_FIELDS, Kind

DAY_MS = 86_400_000

SAMPLE_COLUMNS = (
    "person_id",
    "dialect",
    "source",
    "customer_id",
    "email",
    "phone",
    "first_name",
    "last_name",
    "created_at",
    "updated_at",
)

# What is put in for the names in braces is our own text; all that a caller gave is a parameter.
_CUSTOMERS = """\
SELECT
    count() AS customers,
    groupArraySample({size}, 1)(({sample})) AS sample
FROM customers{joined}
WHERE customers.tenant_id = %(tenant_id)s AND {condition}"""

_COUNTED = """
LEFT ANY JOIN
(
    SELECT
        if(override.canonical_id = toUUID('00000000-0000-0000-0000-000000000000'),
            stored.person, override.canonical_id) AS canonical,
        {sums_of_sums}
    FROM
    (
        SELECT person, {sums}
        FROM
        (
            SELECT
                assumeNotNull(person_id) AS person,
                {matches}
            FROM events
            WHERE tenant_id = %(tenant_id)s AND isNotNull(person_id){bounds}
        )
        WHERE {any_match}
        GROUP BY person
    ) AS stored
    LEFT ANY JOIN
    (
        SELECT person_id, canonical_id FROM person_overrides_current WHERE tenant_id = %(tenant_id)s
    ) AS override ON override.person_id = stored.person
    GROUP BY canonical
) AS counted ON counted.canonical = customers.person_id"""


class Query(NamedTuple):
    """What `Warehouse.query` takes."""

    sql: str
    params: dict[str, Any]


def compile_segment(
    condition: Condition, *, tenant_id: int, now_ms: int, sample_size: int, store: str = ""
) -> Query:
    """Return the query; it answers one row: `customers` and `sample`, tuples of SAMPLE_COLUMNS.

    `store` limits it to the customers of a redo store.
    """
    compiled = _Segment(now_ms)
    tested = compiled.customer(condition)
    if store:
        of_store = f"customers.dialect = 'redo' AND customers.source = {compiled.bind(store)}"
        tested = f"{of_store} AND {tested}"
    sql = _CUSTOMERS.format(
        size=int(sample_size),
        sample=", ".join(f"customers.{column}" for column in SAMPLE_COLUMNS),
        joined=compiled.counted(),
        condition=tested,
    )
    return Query(sql, {**compiled.bind.params, "tenant_id": tenant_id})


def compile_event(condition: Condition) -> Query:
    """Return the test of an event that a filter is: text for a WHERE, and its parameters."""
    compiled = _Segment(0)
    return Query(compiled.event(condition), compiled.bind.params)


class _Segment:
    """One tree being compiled; `_matches[i]` is what an event must meet to count in the column n<i>."""

    def __init__(self, now_ms: int) -> None:
        self.bind = Binding()
        self._now_ms = now_ms
        self._matches: list[str] = []
        self._names: set[str | None] = set()
        self._starts: list[int | None] = []

    def customer(self, condition: Condition) -> str:
        """Return the test of a customer."""
        match condition:
            case All() | AnyOf():
                return _joined(condition, [self.customer(one) for one in condition.conditions])
            case Not():
                return f"(NOT {self.customer(condition.condition)})"
            case EventCondition():
                return predicates.count(f"counted.n{self._count(condition)}", condition.count, self.bind)
            case ProfileCondition():
                return self._profile(condition)
            case PropertyCondition() | FieldCondition():
                raise AssertionError("a condition on an event stands in the `where` of one on events")
        assert_never(condition)

    def counted(self) -> str:
        """Return the join with how many events of each condition a person has; "" if none is needed."""
        if not self._matches:
            return ""
        numbers = range(len(self._matches))
        return _COUNTED.format(
            sums_of_sums=", ".join(f"sum(stored.s{n}) AS n{n}" for n in numbers),
            sums=", ".join(f"sum(m{n}) AS s{n}" for n in numbers),
            matches=",\n                ".join(f"{match} AS m{n}" for n, match in enumerate(self._matches)),
            bounds=self._bounds(),
            any_match=" OR ".join(f"m{n}" for n in numbers),
        )

    def _profile(self, condition: ProfileCondition) -> str:
        column = f"customers.{condition.name}"
        if condition.key:
            return predicates.typed(of_member(column, condition.key, self.bind), condition.test, self.bind)
        test = condition.test
        if condition.name == "email" and isinstance(test.operand, str):
            test = Comparison(test.operator, test.operand.strip().casefold())  # as the stored ones are
        return self._column(column, PROFILE_FIELDS[condition.name], test)

    def _column(self, column: str, kind: Kind, test: Comparison) -> str:
        if kind == "number":
            return predicates.number(column, test, self.bind)
        if kind == "date":
            return predicates.moment(column, test, self.bind)
        return predicates.text(column, test, self.bind)

    def _count(self, condition: EventCondition) -> int:
        """Have the events of the condition counted; return the number of the column."""
        period = condition.period
        start = period.from_ms
        if period.last_days is not None:
            start = self._now_ms - period.last_days * DAY_MS
        tests = []
        if condition.name is not None:
            tests.append(f"event_name = {self.bind(condition.name)}")
        if start is not None:
            tests.append(f"occurred_at >= {self._time(start)}")
        if period.last_days is not None:
            tests.append(f"occurred_at <= {self._time(self._now_ms)}")
        if period.to_ms is not None:
            tests.append(f"occurred_at < {self._time(period.to_ms)}")
        if condition.where is not None:
            tests.append(self.event(condition.where))
        self._names.add(condition.name)
        self._starts.append(start)
        self._matches.append(f"({' AND '.join(tests)})" if tests else "toUInt8(1)")
        return len(self._matches) - 1

    def event(self, condition: Condition) -> str:
        """Return the test of an event; only of a filter is its name one of the conditions."""
        match condition:
            case All() | AnyOf():
                return _joined(condition, [self.event(one) for one in condition.conditions])
            case Not():
                return f"(NOT {self.event(condition.condition)})"
            case PropertyCondition():
                return predicates.typed(of_property(condition.name, self.bind), condition.test, self.bind)
            case FieldCondition():
                return self._column(condition.name, EVENT_FIELDS[condition.name], condition.test)
            case EventCondition():
                return self._named(condition)
            case ProfileCondition():
                raise AssertionError("a `where` is about one event")
        assert_never(condition)

    def _named(self, condition: EventCondition) -> str:
        tests = [] if condition.name is None else [f"event_name = {self.bind(condition.name)}"]
        if condition.where is not None:
            tests.append(self.event(condition.where))
        return f"({' AND '.join(tests)})" if tests else "toUInt8(1)"

    def _bounds(self) -> str:
        """Return what all counted events have in common, so that others are not read at all."""
        bounds = ""
        if None not in self._names:
            bounds += f" AND event_name IN {self.bind(tuple(sorted(filter(None, self._names))))}"
        starts = [start for start in self._starts if start is not None]
        if len(starts) == len(self._starts):
            # Rows lie by received_at; no event is stored as happening over a day after it came.
            bounds += f" AND received_at >= {self._time(min(starts) - DAY_MS)}"
        return bounds

    def _time(self, ms: int) -> str:
        return f"fromUnixTimestamp64Milli(toInt64({self.bind(ms)}), 'UTC')"


def _joined(group: All | AnyOf, tests: list[str]) -> str:
    return "(" + (" AND " if isinstance(group, All) else " OR ").join(tests) + ")"
