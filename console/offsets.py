"""What the tables say of the offsets of a topic: counted one by one, or by whole finished ranges."""

# ruff: noqa: S608 - statements are put together from our own text; every value is a parameter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from schemas.rows import EVENTS, QUARANTINE
from schemas.topics import DEAD, RAW
from stores.base import Warehouse

MISSING_MAX = 100_000
"""So many missing offsets of a partition are named."""

SLICE_OFFSETS = 100_000_000
"""Counted by one query: ten million take about a second on two cores, and a query has 25 s."""


class Span(Struct, frozen=True):
    """The offsets [start, until) of a partition that are counted one by one."""

    topic: str
    kp: int
    inc: int
    start: int
    until: int

    @property
    def width(self) -> int:
        """How many offsets there are."""
        return self.until - self.start


class Count(Struct, frozen=True):
    """What was found in a span: `found` places of `known` distinct offsets, by outcome."""

    found: int = 0
    known: int = 0
    stored: int = 0
    duplicate: int = 0
    dropped: int = 0
    dead: int = 0
    erased: int = 0

    def plus(self, other: "Count") -> "Count":
        """Return the count of two spans together that share no offset."""
        names = self.__struct_fields__
        return Count(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Whole(Struct, frozen=True):
    """What finished ranges say: from offset `first` on they hold `covered` records, `known` offsets."""

    first: int
    covered: int = 0
    known: int = 0
    stored: int = 0
    duplicate: int = 0
    dropped: int = 0
    dead: int = 0


class Past(Struct, frozen=True):
    """The finished ranges of a partition in an earlier incarnation of the log, up to before `last`."""

    kp: int
    inc: int
    last: int
    whole: Whole


_OF_TOPIC = "topic = %(topic)s AND inc = %(inc)s"
_IN_WINDOW = "ko >= arrayElement(%(starts)s, kp + 1) AND ko < arrayElement(%(until)s, kp + 1)"

_STRADDLING = f"""
SELECT kp, max(end) AS reach
FROM batches
WHERE {_OF_TOPIC}
    AND start < arrayElement(%(starts)s, kp + 1) AND end > arrayElement(%(starts)s, kp + 1)
GROUP BY kp
"""

_WRITTEN = f"SELECT kp, max(end) AS end FROM batches WHERE {_OF_TOPIC} GROUP BY kp"

# An erased row is on record before it goes: until then it counts as erased. One that stands in both places
# for over a day is there twice. A letter can be published twice, and a record that a letter is about stands
# under its source coordinates: of the topic itself, or (letters that could not be read) of one of the two
# letter topics.
_ERASED = (
    f"SELECT kp, ko FROM outcomes WHERE {_OF_TOPIC} AND {_IN_WINDOW} AND outcome = 'erased' "
    "AND stored_at > now() - toIntervalDay(1)"
)
_PLACES = f"""
SELECT kp, ko, 'stored' AS outcome FROM {{table}}
WHERE {_OF_TOPIC} AND {_IN_WINDOW} AND (kp, ko) NOT IN ({_ERASED})
UNION ALL
SELECT kp, ko, outcome FROM outcomes WHERE {_OF_TOPIC} AND {_IN_WINDOW}
UNION ALL
SELECT DISTINCT kp, ko, 'dead' AS outcome
FROM (SELECT src_kp AS kp, src_ko AS ko FROM quarantine
      WHERE topic = '{DEAD}' AND src_topic = %(topic)s AND src_inc = %(inc)s)
WHERE {_IN_WINDOW} AND (kp, ko) NOT IN ({_ERASED})
"""

_COUNTED = """
SELECT
    kp,
    count() AS found,
    groupBitmap(ko) AS known,
    countIf(outcome = 'stored') AS stored,
    countIf(outcome = 'duplicate') AS duplicate,
    countIf(outcome = 'dropped') AS dropped,
    countIf(outcome = 'dead') AS dead,
    countIf(outcome = 'erased') AS erased
FROM ({places})
GROUP BY kp
"""

# As bitmaps: ten million offsets without a gap take a megabyte.
_MISSING = """
SELECT bitmapToArray(bitmapSubsetLimit(bitmapAndnot(expected, found), 0, %(limit)s)) AS missing
FROM (SELECT groupBitmapState(number) AS expected FROM numbers(%(start)s, %(width)s)) AS e
CROSS JOIN (SELECT groupBitmapState(ko) AS found FROM ({places}) WHERE kp = %(kp)s) AS f
"""

# In the order of the table's key, so that the engine sorts nothing; FINAL, as a range may be there twice.
_WHOLE = """
SELECT
    kp,
    inc,
    min(start) AS first,
    max(end) AS last,
    sum(end - start) AS covered,
    sum(if(end > reach, end - greatest(start, reach), 0)) AS known,
    sum(stored) AS stored,
    sum(duplicate) AS duplicate,
    sum(dropped) AS dropped,
    sum(dead) AS dead
FROM
(
    SELECT
        *,
        max(end) OVER (
            PARTITION BY topic, kp, inc ORDER BY start, end
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS reach
    FROM batches FINAL
    WHERE {condition}
)
GROUP BY kp, inc
ORDER BY inc, kp
"""


async def audited(warehouse: Warehouse, topic: str, inc: int, starts: Sequence[int]) -> list[int]:
    """Return from which offset on each partition is counted one by one: where its log starts.

    A finished range that began before the log does is judged as a whole, with the older ones.
    """
    params = {"topic": topic, "inc": inc, "starts": list(starts)}
    reach = {row["kp"]: row["reach"] for row in await warehouse.query(_STRADDLING, params)}
    return [reach.get(kp, start) for kp, start in enumerate(starts)]


async def written(warehouse: Warehouse, topic: str, inc: int) -> Mapping[int, int]:
    """Return one past the last offset of the finished ranges, for each partition that has any."""
    rows = await warehouse.query(_WRITTEN, {"topic": topic, "inc": inc})
    return {row["kp"]: row["end"] for row in rows}


async def counted(
    warehouse: Warehouse, topic: str, inc: int, starts: Sequence[int], until: Sequence[int]
) -> Mapping[int, Count]:
    """Count the offsets [starts[kp], until[kp]) of each partition; one of which none is found is left out."""
    widths = [max(end - start, 0) for start, end in zip(starts, until, strict=True)]
    slices = 1 + sum(widths) // SLICE_OFFSETS
    sql = _COUNTED.format(places=_places(topic))
    counts: dict[int, Count] = {}
    edges = list(starts)
    for number in range(1, slices + 1):
        begin, edges = (
            edges,
            [start + width * number // slices for start, width in zip(starts, widths, strict=True)],
        )
        params = {"topic": topic, "inc": inc, "starts": begin, "until": edges}
        for row in await warehouse.query(sql, params):
            kp = row.pop("kp")
            counts[kp] = counts.get(kp, Count()).plus(Count(**row))
    return counts


async def missing(warehouse: Warehouse, span: Span) -> list[int]:
    """Return the offsets of the span that no table knows, in order; of very many the first."""
    starts, until = [0] * span.kp + [span.start], [0] * span.kp + [span.until]
    params: dict[str, Any] = {"topic": span.topic, "inc": span.inc, "starts": starts, "until": until}
    params |= {"kp": span.kp, "start": span.start, "width": span.width, "limit": MISSING_MAX}
    [row] = await warehouse.query(_MISSING.format(places=_places(span.topic)), params)
    return list(row["missing"])


async def whole(warehouse: Warehouse, topic: str, kp: int, inc: int, before: int) -> Whole | None:
    """Return what the finished ranges that end up to `before` say; None where there are none."""
    condition = f"{_OF_TOPIC} AND kp = %(kp)s AND end <= %(before)s"
    params = {"topic": topic, "kp": kp, "inc": inc, "before": before}
    rows = await warehouse.query(_WHOLE.format(condition=condition), params)
    return _whole(rows[0]) if rows else None


async def past(warehouse: Warehouse, topic: str, inc: int) -> list[Past]:
    """Return what the finished ranges of incarnations before `inc` say, by incarnation and partition."""
    condition = "topic = %(topic)s AND inc < %(inc)s"
    rows = await warehouse.query(_WHOLE.format(condition=condition), {"topic": topic, "inc": inc})
    return [Past(row["kp"], row["inc"], row["last"], _whole(row)) for row in rows]


def named(offsets: Iterable[int], *, runs_max: int = 5) -> str:
    """Return offsets as a person reads them: `7, 10-12`; of many runs the first."""
    runs: list[list[int]] = []
    for offset in offsets:
        if runs and offset == runs[-1][1] + 1:
            runs[-1][1] = offset
        elif len(runs) == runs_max:
            return f"{_joined(runs)}, and more"
        else:
            runs.append([offset, offset])
    return _joined(runs)


def _joined(runs: Sequence[Sequence[int]]) -> str:
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def _places(topic: str) -> str:
    return _PLACES.format(table=EVENTS if topic == RAW else QUARANTINE)


def _whole(row: Mapping[str, int]) -> Whole:
    return Whole(**{name: row[name] for name in Whole.__struct_fields__})
