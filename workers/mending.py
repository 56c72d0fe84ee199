"""Brings a table to where it has each row of a range once, after an insert whose outcome is unknown.

The rows are counted by offset, and only what is missing is inserted: a token alone proves nothing, because
a server can remember it and lose the rows.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from bus.base import Fenced
from schemas.rows import BATCHES
from stores.base import InsertRefused, StoreMisconfigured, StoreUnavailable
from workers import metrics
from workers.backoff import Backoff
from workers.breaker import DEAD_MAX, Breaker
from workers.crash import crash_point
from workers.inserts import Confirm, Inserts, Part
from workers.ranges import Range
from workers.recovery import Written

log = logging.getLogger("penstock.worker")

Rows = Callable[[], Mapping[int, str]]
"""What the range has to put into the table as of now: fewer, once some are refused."""

Wait = Callable[[Backoff, Exception], Awaitable[None]]


class TooManyRefused(Exception):
    """The engine refuses so many rows of a block that rather the block than its events must be at fault."""


class Mending:
    """Over one range, by its own inserts; waits for the warehouse as long as it takes."""

    def __init__(
        self, inserts: Inserts, written: Written, range_: Range, breaker: Breaker, confirm: Confirm
    ) -> None:
        self._inserts = inserts
        self._written = written
        self._range = range_
        self._breaker = breaker
        self._confirm = confirm
        self._may_be_running = True

    async def end_inserts(self) -> None:
        """End what an earlier attempt may still be inserting. Raises StoreUnavailable."""
        if self._may_be_running:
            await self._written.kill_inserts(self._range.claim)
            self._may_be_running = False

    async def insert(self, table: str, rows: Mapping[int, str], token: str) -> None:
        """Insert rows of this range alone. Raises Fenced, and as `Inserts.insert`."""
        if await self._inserts.insert(table, [Part(self._range, rows, self._confirm)], token):
            raise Fenced(f"{self._range.claim.partition} has another owner")

    async def mend(self, table: str, rows: Rows, tokens: Sequence[str], wait: Wait) -> None:
        """Return when each row is there once. Each token serves one acknowledged insert.

        Raises Fenced, and StoreMisconfigured when acknowledged rows are not there again and again.
        """
        metrics.VERIFIED.labels(table).inc()
        left = list(tokens)
        backoff = Backoff()
        while True:
            try:
                missing = await self._missing(table, rows)
                if not missing:
                    return
                if not left:
                    raise StoreMisconfigured(
                        f"{len(missing)} rows of {self._range.name} were acknowledged {len(tokens)} times "
                        f"and are not in {table}"
                    )
                await self._insert_halving(table, missing, left[0])
                left.pop(0)  # acknowledged: what is still missing then, this token cannot bring
            except StoreUnavailable as error:
                self._may_be_running = True
                await wait(backoff, error)
            except TooManyRefused:
                log.error("%s: too many rows are refused; resting a minute", self._range.name)
                await self._breaker.rest()

    async def _missing(self, table: str, rows: Rows) -> Mapping[int, str]:
        """Return the rows that are not in the table, after extra copies have been deleted."""
        written, range_ = self._written, self._range
        await self.end_inserts()
        while True:
            copies = await written.copies(range_, table)
            crash_point("in_recovery")
            doubled = [offset for offset, count in copies.items() if count > 1]
            if not doubled:
                break
            log.error("%s: %d offsets stand twice in %s; deleting", range_.name, len(doubled), table)
            metrics.REPAIRED_ROWS.labels(table, "doubled").inc(len(doubled))
            await self._confirm()
            await written.delete_doubled(range_, table, doubled)
        # A row that an earlier attempt wrote is not at hand; if it is gone, somebody has erased it since.
        missing = {offset: row for offset, row in rows().items() if row and offset not in copies}
        metrics.REPAIRED_ROWS.labels(table, "missing").inc(len(missing))
        return missing

    async def _insert_halving(self, table: str, rows: Mapping[int, str], token: str) -> None:
        """Insert rows, narrowing down by halves what the engine refuses until those rows are alone."""
        refused = 0
        blocks = [(rows, token)]
        while blocks:
            rows, token = blocks.pop()
            try:
                await self.insert(table, rows, token)
            except InsertRefused as error:
                if len(rows) > 1:
                    blocks.extend(self._halves(rows, token))
                    continue
                if table == BATCHES:
                    raise StoreMisconfigured(
                        f"the counts of {self._range.name} are refused: {error}"
                    ) from error
                self._range.refuse(next(iter(rows)), str(error))
                refused += 1
                if refused >= DEAD_MAX:
                    raise TooManyRefused from error
        if refused:
            self._breaker.record(0, refused)

    def _halves(self, rows: Mapping[int, str], token: str) -> list[tuple[Mapping[int, str], str]]:
        """Return both halves, the first one last; each has a token of its own, made of its offsets."""
        offsets = list(rows)
        middle = len(offsets) // 2
        # The partition's index: another range may use the same token.
        token = f"{token.partition(':')[0]}:{self._range.claim.partition.index}"
        return [
            ({offset: rows[offset] for offset in half}, f"{token}/{half[0]}-{half[-1]}")
            for half in (offsets[middle:], offsets[:middle])
        ]
