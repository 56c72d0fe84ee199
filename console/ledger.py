"""The ledger: shows, per partition, that every record that came in is accounted for exactly once.

Offsets that the log still holds (topics keep 7 days) are counted one by one in the tables they went to;
older ones, and those of earlier incarnations of the log, stand by the row of `batches` written with their
range.
"""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from bus.base import AFTER_A_LOSS, Bus, LogChanged
from console import offsets
from console.offsets import Count, Whole
from console.undelivered import Undelivered, undelivered
from schemas.topics import DEAD, RAW, READERS, REJECTED, Partition
from stores.base import Warehouse

TOPICS = (RAW, REJECTED, DEAD)

_INC = re.compile(r"(?:^|;)inc=(\d+)(?:;|$)")
"""The part of a worker's note (workers/intent.py) that says which incarnation its offset belongs to."""


class Line(Struct, frozen=True):
    """The books of one partition; all figures are records.

    `received` and `overlaps` together are the five outcomes, `in_flight` and `gaps` together. A gap is an
    offset that no table knows, an overlap each further place of an offset that stands in several.
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


class Books(Struct, frozen=True):
    """All lines; `missing` names the first offsets of each gap that was found one by one."""

    lines: Sequence[Line]
    missing: Mapping[Partition, Sequence[int]]

    @property
    def balanced(self) -> bool:
        """Whether every offset of every partition is accounted for once."""
        return all(line.balanced for line in self.lines)

    def complaints(self) -> list[str]:
        """Return a sentence for each partition that does not balance."""
        return [self._complaint(line) for line in self.lines if not line.balanced]

    def _complaint(self, line: Line) -> str:
        where = Partition(line.topic, line.partition)
        named = offsets.named(self.missing.get(where, ()))
        return (
            f"{where} (incarnation {line.inc}) does not balance: {line.gaps} offsets are in no table"
            f"{f' ({named})' if named else ''}, {line.overlaps} stand in more than one place"
        )


class _Window(Struct, frozen=True):
    """Of every partition of a topic, by index: where the log starts and ends, and how far its reader is."""

    starts: Sequence[int]
    ends: Sequence[int]
    until: Sequence[int]


async def ledger(bus: Bus, warehouse: Warehouse, inc: int, *, history: bool = True) -> Books:
    """Return the books of every partition of every topic that a worker reads.

    `inc` is the log's incarnation as it is set here; a worker's later one wins. Without `history` only what
    the log still holds is looked at. Raises BusUnavailable, StoreUnavailable, and LogChanged if a log is
    not the one that was read.
    """
    # Positions first, and the quarantine's among them: a dead letter is published before the range of its
    # record is committed, so a record that is dead below a position read here is found later on, either in
    # the quarantine or between the quarantine's position and the end of its topic.
    committed = {topic: await bus.committed(topic, group=READERS[topic]) for topic in TOPICS}
    inc = max([inc, *(_inc(note, inc) for read in committed.values() for _, note in read.values())])
    # What is written before the ends are read lies below them, unless the log is another one.
    written = {topic: await offsets.written(warehouse, topic, inc) for topic in TOPICS}
    windows = {topic: await _window(bus, topic, committed[topic], written[topic], inc) for topic in TOPICS}
    letters = Undelivered(bus, windows[DEAD].until, windows[DEAD].ends)
    lines: list[Line] = []
    missing: dict[Partition, Sequence[int]] = {}
    for topic, window in windows.items():
        if history:
            lines += [_past_line(topic, old) for old in await offsets.past(warehouse, topic, inc)]
        audited = await offsets.audited(warehouse, topic, inc, window.starts)
        counts = await offsets.counted(warehouse, topic, inc, audited, window.until)
        for kp, start in enumerate(audited):
            span = offsets.Span(topic, kp, inc, start, max(window.until[kp], start))
            count = counts.get(kp, Count())
            lost = await undelivered(warehouse, letters, span, count)
            whole = await offsets.whole(warehouse, topic, kp, inc, start) if history else None
            lines.append(_line(span, window.ends[kp], whole or Whole(first=start), count, lost.on_the_way))
            if lost.offsets:
                missing[Partition(topic, kp)] = lost.offsets
    return Books(lines, missing)


def _line(span: offsets.Span, end: int, whole: Whole, count: Count, on_the_way: int) -> Line:
    return Line(
        topic=span.topic,
        partition=span.kp,
        inc=span.inc,
        received=end - whole.first,
        stored=whole.stored + count.stored,
        duplicate=whole.duplicate + count.duplicate,
        dropped=whole.dropped + count.dropped,
        dead=whole.dead + count.dead,
        erased=count.erased,
        in_flight=end - span.until + on_the_way,
        gaps=(span.start - whole.first - whole.known) + (span.width - count.known) - on_the_way,
        overlaps=(whole.covered - whole.known) + (count.found - count.known),
    )


def _past_line(topic: str, past: offsets.Past) -> Line:
    """Return the line of a partition in an earlier incarnation: nothing of it is in flight any more."""
    span = offsets.Span(topic, past.kp, past.inc, past.last, past.last)
    return _line(span, past.last, past.whole, Count(), on_the_way=0)


async def _window(
    bus: Bus,
    topic: str,
    committed: Mapping[Partition, tuple[int, str]],
    written: Mapping[int, int],
    inc: int,
) -> _Window:
    ends = sorted((await bus.ends(topic)).items())
    until = []
    for partition, (start, end) in ends:
        offset, note = committed.get(partition, (start, ""))
        if _inc(note, inc) != inc:  # of an earlier log: in this one nothing has been read yet
            offset = start
        # Kafka forgets a group's offsets of a topic that is deleted; what was stored of it stays.
        read = max(offset, written.get(partition.index, 0))
        if read > end:
            raise LogChanged(f"{partition} ends at offset {end}, but was read up to {read}. {AFTER_A_LOSS}")
        until.append(offset)
    return _Window([start for _, (start, _) in ends], [end for _, (_, end) in ends], until)


def _inc(note: str, default: int) -> int:
    found = _INC.search(note)
    return int(found[1]) if found else default
