"""The ledger: shows, per partition, that every record that came in is accounted for exactly once.

Offsets that the log still holds (topics keep 7 days) are counted one by one in the tables they went to;
older ones stand by the row of `batches` that was written with their range.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from bus.base import Bus
from schemas.envelope import EnvelopeError, decode_dead
from schemas.topics import DEAD, RAW, READERS, REJECTED, Coordinates, Partition
from stores.base import Warehouse

_UNDER_WAY_MAX = 100_000  # dead letters looked at that the quarantine worker has not stored yet


class Line(Struct, frozen=True):
    """The books of one partition; all figures are records.

    `received` is the sum of the five outcomes and `in_flight`, plus `gaps`, minus `overlaps`. A gap is
    an offset that no table knows, an overlap one that is there twice.
    """

    topic: str
    partition: int
    inc: int
    received: int
    stored: int
    duplicate: int
    dropped: int
    dead: int
    erased: int
    in_flight: int
    gaps: int
    overlaps: int

    @property
    def balanced(self) -> bool:
        """Whether every offset is accounted for once."""
        return self.gaps == 0 and self.overlaps == 0


_WHOLE_RANGES = """
SELECT
    kp,
    min(start) AS first,
    sum(end - start) AS covered,
    sum(stored) AS stored,
    sum(duplicate) AS duplicate,
    sum(dropped) AS dropped,
    sum(dead) AS dead
FROM batches
WHERE topic = %(topic)s AND inc = %(inc)s AND end <= arrayElement(%(audited)s, kp + 1)
GROUP BY kp
"""

_STRADDLING = """
SELECT kp, max(end) AS audited
FROM batches
WHERE topic = %(topic)s AND inc = %(inc)s
    AND start < arrayElement(%(starts)s, kp + 1) AND end > arrayElement(%(starts)s, kp + 1)
GROUP BY kp
"""

_WINDOW = "ko >= arrayElement(%(audited)s, kp + 1) AND ko < arrayElement(%(until)s, kp + 1)"
_OF_TOPIC = "topic = %(topic)s AND inc = %(inc)s"

_RAW_OFFSETS = f"""
SELECT kp, ko, 'stored' AS outcome FROM events WHERE {_OF_TOPIC} AND {_WINDOW}
UNION ALL
SELECT kp, ko, outcome FROM outcomes WHERE {_OF_TOPIC} AND {_WINDOW}
UNION ALL
SELECT DISTINCT src_kp AS kp, src_ko AS ko, 'dead' AS outcome
FROM (SELECT src_kp, src_ko, src_kp AS kp, src_ko AS ko FROM quarantine
      WHERE src_topic = %(topic)s AND src_inc = %(inc)s)
WHERE {_WINDOW}
"""  # noqa: S608 - put together from the constants above

_LETTER_OFFSETS = f"""
SELECT kp, ko, 'stored' AS outcome FROM quarantine WHERE {_OF_TOPIC} AND {_WINDOW}
UNION ALL
SELECT kp, ko, outcome FROM outcomes WHERE {_OF_TOPIC} AND {_WINDOW}
"""  # noqa: S608 - put together from the constants above

_BOOKS = """
SELECT
    kp,
    count() AS found,
    groupBitmap(ko) AS distinct_offsets,
    countIf(outcome = 'stored') AS stored,
    countIf(outcome = 'duplicate') AS duplicate,
    countIf(outcome = 'dropped') AS dropped,
    countIf(outcome = 'dead') AS dead,
    countIf(outcome = 'erased') AS erased
FROM ({offsets})
GROUP BY kp
"""


class _Window(Struct, frozen=True):
    """Of every partition of a topic, by index: where the log starts and ends, and how far its reader is."""

    starts: Sequence[int]
    ends: Sequence[int]
    until: Sequence[int]


async def ledger(bus: Bus, warehouse: Warehouse, inc: int) -> list[Line]:
    """Return a line per partition of every topic that a worker reads, for incarnation `inc` of the log.

    Raises BusUnavailable, StoreUnavailable.
    """
    # In this order: a dead letter is published before its range is committed, so what is dead below a
    # commit read here is found below, on its way or in the quarantine.
    windows = {topic: await _window(bus, topic) for topic in (RAW, REJECTED, DEAD)}
    dead_under_way = await _dead_under_way(bus)
    lines: list[Line] = []
    for topic, window in windows.items():
        lines += await _topic_lines(warehouse, topic, inc, window, dead_under_way)
    return lines


async def _topic_lines(
    warehouse: Warehouse, topic: str, inc: int, window: _Window, dead_under_way: set[Coordinates]
) -> list[Line]:
    about: dict[str, Any] = {"topic": topic, "inc": inc, "starts": window.starts, "until": window.until}
    # A range that begins before the log does can only be judged as a whole.
    straddling = {row["kp"]: row["audited"] for row in await warehouse.query(_STRADDLING, about)}
    about["audited"] = [straddling.get(kp, start) for kp, start in enumerate(window.starts)]
    offsets = _RAW_OFFSETS if topic == RAW else _LETTER_OFFSETS
    whole, books = await asyncio.gather(
        warehouse.query(_WHOLE_RANGES, about), warehouse.query(_BOOKS.format(offsets=offsets), about)
    )
    whole_by_kp = {row["kp"]: row for row in whole}
    books_by_kp = {row["kp"]: row for row in books}
    return [
        _line(
            Partition(topic, kp),
            inc,
            whole_by_kp.get(kp, {}),
            books_by_kp.get(kp, {}),
            audited=about["audited"][kp],
            until=window.until[kp],
            end=window.ends[kp],
            under_way={c.ko for c in dead_under_way if (c.topic, c.kp, c.inc) == (topic, kp, inc)},
        )
        for kp in range(len(window.starts))
    ]


def _line(
    partition: Partition,
    inc: int,
    whole: Mapping[str, int],
    books: Mapping[str, int],
    *,
    audited: int,
    until: int,
    end: int,
    under_way: set[int],
) -> Line:
    first = whole.get("first", audited)
    distinct = books.get("distinct_offsets", 0)
    expected = max(until - audited, 0)
    # A dead event whose letter is not in the quarantine yet is on its way there, not missing.
    dead_on_the_way = min(sum(audited <= ko < until for ko in under_way), expected - distinct)
    return Line(
        topic=partition.topic,
        partition=partition.index,
        inc=inc,
        received=end - first,
        stored=whole.get("stored", 0) + books.get("stored", 0),
        duplicate=whole.get("duplicate", 0) + books.get("duplicate", 0),
        dropped=whole.get("dropped", 0) + books.get("dropped", 0),
        dead=whole.get("dead", 0) + books.get("dead", 0),
        erased=books.get("erased", 0),
        in_flight=max(end - max(until, audited), 0) + dead_on_the_way,
        gaps=(audited - first - whole.get("covered", 0)) + expected - distinct - dead_on_the_way,
        overlaps=books.get("found", 0) - distinct,
    )


async def _window(bus: Bus, topic: str) -> _Window:
    # The commit is read before the end, so that the reader is never ahead of the log it reads.
    committed = await bus.committed(topic, group=READERS[topic])
    ends = sorted((await bus.ends(topic)).items())
    return _Window(
        starts=[start for _, (start, _) in ends],
        ends=[end for _, (_, end) in ends],
        until=[
            committed[partition][0] if partition in committed else start for partition, (start, _) in ends
        ],
    )


async def _dead_under_way(bus: Bus) -> set[Coordinates]:
    """Source coordinates of dead letters that are published but not yet in the quarantine."""
    committed = await bus.committed(DEAD, group=READERS[DEAD])
    found: set[Coordinates] = set()
    for partition, (start, end) in (await bus.ends(DEAD)).items():
        position = committed[partition][0] if partition in committed else start
        for record in await bus.read(partition, start=position, end=min(end, position + _UNDER_WAY_MAX)):
            try:
                letter = decode_dead(record.value)
            except EnvelopeError:
                continue  # the quarantine worker keeps it as it is; it names no source
            found.add(Coordinates(letter.src_inc, letter.src_topic, letter.src_kp, letter.src_ko))
    return found
