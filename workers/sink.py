"""Writes a declared range so that each of its rows is in the warehouse exactly once, whatever happens.

A clean first insert is believed. After anything else the rows are counted by offset, and only what is
missing is inserted: a token alone proves nothing, because a server can remember it and lose the rows.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from bus.base import Bus, BusUnavailable, Record, Taken
from schemas.rows import BATCHES, LANDING, OUTCOMES, PATCHES, batch_row, columns
from schemas.topics import DEAD, MATCHED, Coordinates
from stores.base import InsertRefused, StoreMisconfigured, StoreUnavailable, Warehouse
from workers import metrics
from workers.backoff import Backoff
from workers.breaker import DEAD_MAX, Breaker
from workers.crash import crash_point
from workers.letters import dead_letter
from workers.matches import match_records
from workers.ranges import Range
from workers.recovery import Written
from workers.resume import read_range
from workers.stage import Remembers

log = logging.getLogger("penstock.worker")

TOKEN_ENDINGS = ("", "-r1", "-r2")
"""The second attempt has the first one's token, so that a late first one collides with it. An acknowledged
insert whose rows are not there shows that its token is spoilt: then the next ending is used."""

LETTERS_MAX = 500
"""Dead letters published at a time."""

INSERTS_MAX = 4
"""At a time. A block on its way is there three times: rows, columns, and what is sent."""

Confirm = Callable[[], Awaitable[None]]
"""Awaited before every write; raises Fenced if the partition has another owner."""


class TooManyRefused(Exception):
    """The engine refuses so many rows of a block that rather the block than its events must be at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Where the ranges of a pipeline go. `worker` names this process in `batches`."""

    warehouse: Warehouse
    bus: Bus
    written: Written
    pipeline: str
    worker: str
    remembering: tuple[Remembers, ...] = ()
    inserts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(INSERTS_MAX))

    async def store(self, range_: Range, breaker: Breaker, confirm: Confirm) -> None:
        """Return when every row of the range is stored and its matches and dead letters are durable.

        Waits for ever. Raises Fenced and StoreMisconfigured.
        """
        with metrics.RANGE_SECONDS.labels(self.pipeline).time():
            await _Writing(self, range_, breaker, confirm).run()
        crash_point("after_store")


class _Writing:
    """The writing of one range."""

    def __init__(self, sink: Sink, range_: Range, breaker: Breaker, confirm: Confirm) -> None:
        self._sink = sink
        self._range = range_
        self._breaker = breaker
        self._confirm = confirm

    async def run(self) -> None:
        if self._range.resumed:
            await self._patiently(self._take_stock)
        await self._store_patches()
        await self._store(self._range.table)
        await self._store(OUTCOMES)
        if self._range.matches:
            await self._patiently(self._publish_matches)
            crash_point("after_matches")
        if self._range.dead:
            await self._patiently(self._bury)
            crash_point("after_dead_letters")
        self._range.check()
        await self._store(BATCHES)

    async def _take_stock(self) -> None:
        """What an earlier attempt wrote stands, even if today's judgement differs."""
        written, range_ = self._sink.written, self._range
        await written.kill_inserts(range_.claim)
        stored = await written.copies(range_, range_.table)
        outcomes = await written.outcomes(range_)
        # Kept today, ended before: what this judgement claimed belongs to nobody.
        ended = [o for o, outcome in outcomes.items() if outcome != "erased" and o in range_.stored]
        await self._release(ended)
        range_.defer_to(tuple(stored), outcomes)

    async def _release(self, offsets: Sequence[int]) -> None:
        """Give up the keys of events that are not stored after all."""
        if not (offsets and self._sink.remembering):
            return
        claim, records = self._range.claim, list[tuple[Coordinates, Taken]]()
        for offset in offsets:
            (record,) = await read_range(self._sink.bus, claim.partition, offset, offset + 1)
            at = Coordinates(claim.inc, claim.partition.topic, claim.partition.index, offset)
            records.append((at, record))
        for stage in self._sink.remembering:
            await stage.release(records)

    async def _store_patches(self) -> None:
        """First of all: an event whose patch is refused is dead, and then it must not be stored."""
        if self._range.patches is None:
            return
        await self._store(PATCHES)
        if self._range.patches or self._range.resumed:
            await self._patiently(self._apply_patches)

    async def _apply_patches(self) -> None:
        await self._confirm()
        await self._sink.written.apply_patches(self._range)

    async def _store(self, table: str) -> None:
        rows = self._rows(table)
        if not rows:
            return
        if not self._range.resumed:
            try:
                await self._insert(table, rows, TOKEN_ENDINGS[0])
            except InsertRefused as error:
                log.warning("%s: a row for %s is refused: %s", self._range.name, table, error)
            except StoreUnavailable as error:
                await self._wait(Backoff(), error)
            else:
                return
        await self._store_verified(table)

    async def _store_verified(self, table: str) -> None:
        metrics.VERIFIED.labels(table).inc()
        endings = list(TOKEN_ENDINGS)
        backoff = Backoff()
        while True:
            try:
                missing = await self._missing(table)
                if not missing:
                    return
                if not endings:
                    raise StoreMisconfigured(
                        f"{len(missing)} rows of {self._range.name} were acknowledged three times "
                        f"and are not in {table}"
                    )
                await self._insert_halving(table, missing, endings[0])
                endings.pop(0)  # acknowledged: what is still missing then, this token cannot bring
            except StoreUnavailable as error:
                await self._wait(backoff, error)
            except TooManyRefused:
                log.error("%s: too many rows are refused; resting a minute", self._range.name)
                await self._breaker.rest()

    async def _missing(self, table: str) -> Mapping[int, str]:
        """Return the rows that are not in the table, after extra copies have been deleted."""
        written, range_ = self._sink.written, self._range
        await written.kill_inserts(range_.claim)
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
        missing = {o: row for o, row in self._rows(table).items() if row and o not in copies}
        metrics.REPAIRED_ROWS.labels(table, "missing").inc(len(missing))
        return missing

    async def _insert_halving(self, table: str, rows: Mapping[int, str], ending: str) -> None:
        """Insert rows, narrowing down by halves what the engine refuses until those rows are alone."""
        refused = 0
        blocks = [(rows, ending)]
        while blocks:
            rows, ending = blocks.pop()
            try:
                await self._insert(table, rows, ending)
            except InsertRefused as error:
                if len(rows) > 1:
                    blocks.extend(_halves(rows, ending))
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

    async def _insert(self, table: str, rows: Mapping[int, str], ending: str) -> None:
        """Send one block. The same rows always have the same token and the same order."""
        claim = self._range.claim
        async with self._sink.inserts:
            block = columns(claim.partition, claim.inc, list(rows), list(rows.values()))
            await self._confirm()
            crash_point("before_insert")
            with metrics.INSERT_SECONDS.labels(table).time():
                await self._sink.warehouse.insert(
                    LANDING[table],
                    block,
                    token=f"{self._range.name}/{table}{ending}",
                    query_id=f"{self._range.intent.query}/{table}/{uuid4().hex}",
                )
            crash_point("after_insert")

    async def _bury(self) -> None:
        """Publish the dead letters. A repeat is harmless: one row per source coordinates counts."""
        claim, letters = self._range.claim, list[Record]()
        dead: list[tuple[Coordinates, Taken]] = []
        for offset, death in sorted(self._range.dead.items()):
            record = self._range.dead_records.get(offset)
            if record is None:  # its row was refused: only rows are kept at hand
                (record,) = await read_range(self._sink.bus, claim.partition, offset, offset + 1)
            at = Coordinates(claim.inc, claim.partition.topic, claim.partition.index, offset)
            dead.append((at, record))
            letters.append(dead_letter(record, at, death))
        await self._confirm()
        # Before the letters are out: a replay of one must not meet the claim of the dead.
        for stage in self._sink.remembering:
            await stage.release(dead)
        for first in range(0, len(letters), LETTERS_MAX):
            await self._sink.bus.publish(DEAD, letters[first : first + LETTERS_MAX])

    async def _publish_matches(self) -> None:
        """Publish what filters want of stored events. A repeat is harmless: it has the same id."""
        stored = self._range.stored
        matches = [matched for offset, matched in sorted(self._range.matches.items()) if offset in stored]
        await self._confirm()
        number = 0
        for records in match_records(matches):
            await self._sink.bus.publish(MATCHED, records)
            number += len(records)
        metrics.MATCHES.inc(number)

    def _rows(self, table: str) -> Mapping[int, str]:
        if table != BATCHES:
            return self._range.rows_of(table)
        r = self._range
        now_ms = int(time.time() * 1000)
        return {r.start: batch_row(end=r.end, **r.counts, worker=self._sink.worker, written_at=now_ms)}

    async def _patiently(self, step: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff()
        while True:
            try:
                await step()
            except (StoreUnavailable, BusUnavailable) as error:
                await self._wait(backoff, error)
            else:
                return

    async def _wait(self, backoff: Backoff, error: Exception) -> None:
        dependency = "bus" if isinstance(error, BusUnavailable) else "warehouse"
        metrics.RETRIES.labels(self._sink.pipeline, dependency).inc()
        log.warning("%s: trying again: %s", self._range.name, error)
        await backoff.pause()


def _halves(rows: Mapping[int, str], ending: str) -> list[tuple[Mapping[int, str], str]]:
    """Return both halves, the first one last; each has a token of its own, made of its offsets."""
    offsets = list(rows)
    middle = len(offsets) // 2
    ending = ending.partition("/")[0]
    return [
        ({offset: rows[offset] for offset in half}, f"{ending}/{half[0]}-{half[-1]}")
        for half in (offsets[middle:], offsets[:middle])
    ]
