"""One partition while this worker owns it: the records in hand, and the range being written."""

import asyncio
from collections.abc import Sequence

from bus.base import Batch, Claim, LogChanged, Mark, Taken
from workers.breaker import Breaker
from workers.intent import Note
from workers.ranges import Range
from workers.resume import Start


class Lane:
    """Everything below `position` is complete; at most one range, which begins there, is under way.

    `writing` is the task that stores `range`. `confirmed_at` (monotonic) is when the bus last took a
    commit from us as the owner. A lane is `lost` once another worker may own the partition.
    """

    def __init__(self, claim: Claim, start: Start, breaker: Breaker) -> None:
        self.claim = claim
        self.start = start
        self.breaker = breaker
        self.intent = start.intent
        self.position = start.position
        self.before = start.before
        self.checked = False
        self.lost = False
        self.range: Range | None = None
        self.writing: asyncio.Task[None] | None = None
        self.confirmed_at = 0.0
        self._backlog: list[Taken] = []
        self._next_offset = start.next_offset
        # What the log has says the same or more (an open range): nothing to commit yet.
        self._committed = self.mark

    def add(self, batch: Batch) -> None:
        """Keep what was taken. Raises LogChanged if it is not what comes next."""
        if batch.start != self._next_offset:
            raise LogChanged(
                f"{self.claim.partition}: offset {self._next_offset} should come next, {batch.start} came"
            )
        self._backlog.extend(batch.records)
        self._next_offset = batch.end

    @property
    def has_backlog(self) -> bool:
        """Whether records are in hand that no range holds."""
        return bool(self._backlog)

    @property
    def in_hand(self) -> int:
        """How many records were taken and are not complete: under way, or waiting here."""
        return self._next_offset - self.position

    @property
    def resting(self) -> bool:
        """Whether the breaker lets nothing pass now."""
        return self.breaker.may_take() == 0

    @property
    def ready(self) -> bool:
        """Whether a portion can be had without taking more from the log."""
        return self.intent is not None or (self.has_backlog and not self.resting)

    def cut(self, records_max: int) -> Batch | None:
        """Return the next batch, or None if there is none or the breaker lets none pass."""
        allowed = self.breaker.may_take()
        count = records_max if allowed is None else min(records_max, allowed)
        records, self._backlog = self._backlog[:count], self._backlog[count:]
        if not records:
            return None
        if allowed is not None:
            self.breaker.begin_trial()
        return Batch(self.claim, records)

    def put_back(self, records: Sequence[Taken]) -> None:
        """Take back the end of a batch that was cut."""
        self._backlog[:0] = records

    @property
    def mark(self) -> Mark:
        """What stands with the partition's offset now: all below is complete, and what is under way."""
        intent = self.range.intent if self.range is not None else None
        return Mark(self.claim, self.position, str(Note(self.claim.inc, self.before, intent)))

    @property
    def committed(self) -> bool:
        """Whether the bus has the present mark."""
        return self._committed == self.mark

    def confirm(self, mark: Mark, now: float) -> None:
        """Note that the bus took `mark` from us."""
        self._committed = mark
        self.confirmed_at = now

    def declare(self, range_: Range) -> None:
        """Put a range under way; it counts once the mark is committed."""
        assert self.range is None, "one unresolved range per partition"
        assert range_.start == self.position, "ranges follow each other without a gap"
        self.range = range_

    def complete(self) -> Range:
        """Note that all of the range is stored; the next commit says so."""
        assert self.range is not None
        done, self.range, self.writing = self.range, None, None
        self.position = done.end
        self.before = done.last_digest
        return done

    def lose(self) -> None:
        """Drop what is in hand: the next owner reads it again."""
        self.lost = True
        self._backlog.clear()
        if self.writing is not None and not self.writing.cancel() and not self.writing.cancelled():
            self.writing.exception()  # whatever it was, the next owner meets it
