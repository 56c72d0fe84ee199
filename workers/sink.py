"""Writes a declared range so that each of its rows is in the warehouse exactly once, whatever happens.

The ranges of a round share their first inserts (workers/bundle.py). A clean first insert is believed; after
anything else a range goes alone, and what is there of it is counted (workers/mending.py).
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bus.base import Bus, BusUnavailable, Record, Taken
from schemas.rows import BATCHES, OUTCOMES, PATCHES, batch_row
from schemas.topics import DEAD, MATCHED, Coordinates
from stores.base import InsertRefused, StoreUnavailable, Warehouse
from workers import metrics
from workers.backoff import Backoff
from workers.breaker import Breaker
from workers.bundle import Bundle
from workers.crash import crash_point
from workers.inserts import Confirm, Inserts, Part
from workers.letters import dead_letter
from workers.matches import match_records
from workers.mending import Mending
from workers.ranges import Range
from workers.recovery import Written
from workers.resume import read_range
from workers.stage import Remembers

log = logging.getLogger("penstock.worker")

LETTERS_MAX = 500
"""Dead letters published at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Where the ranges of a pipeline go. `worker` names this process in `batches`."""

    warehouse: Warehouse
    inserts: Inserts
    bus: Bus
    written: Written
    pipeline: str
    worker: str
    remembering: tuple[Remembers, ...] = ()

    async def store(
        self, range_: Range, breaker: Breaker, confirm: Confirm, bundle: Bundle | None = None
    ) -> None:
        """Return when every row of the range is stored and its matches and dead letters are durable.

        `bundle` has the range as a member; a resumed one has none. Waits for ever.
        Raises Fenced and StoreMisconfigured.
        """
        with metrics.RANGE_SECONDS.labels(self.pipeline).time():
            await _Writing(self, range_, breaker, confirm, bundle).run()
        crash_point("after_store")


class _Writing:
    """The writing of one range."""

    def __init__(
        self, sink: Sink, range_: Range, breaker: Breaker, confirm: Confirm, bundle: Bundle | None
    ) -> None:
        self._sink = sink
        self._range = range_
        self._breaker = breaker
        self._confirm = confirm
        self._bundle = bundle
        self._mending = Mending(sink.inserts, sink.written, range_, breaker, confirm)

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
        await self._mending.end_inserts()
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
        if self._range.patches or self._range.resumed or self._bundle is not None:
            await self._patiently(self._apply_patches)

    async def _apply_patches(self) -> None:
        if self._bundle is not None:
            try:
                await self._bundle.apply(self._part(self._range.patches or {}))
            except StoreUnavailable:
                self._go_alone()
                raise
        else:
            await self._confirm()
            await self._sink.written.apply_patches([self._range])

    async def _store(self, table: str) -> None:
        if self._bundle is not None:
            try:
                await self._bundle.insert(table, self._part(self._rows(table)))
            except InsertRefused as error:
                log.warning("%s: a row for %s is refused: %s", self._range.name, table, error)
                self._go_alone()
            except StoreUnavailable as error:
                self._go_alone()
                await self._wait(Backoff(), error)
            else:
                return
        if self._rows(table):
            await self._mending.mend(table, lambda: self._rows(table), self._tokens(), self._wait)

    def _tokens(self) -> list[str]:
        """Return what the tokens of this range's inserts begin with, from the first attempt on.

        The bundle's comes first, so that a block of its first owner which arrives late collides with it. An
        acknowledged insert whose rows are not there shows that its token is spoilt, or that another range
        of the bundle has used it: then the next one is used.
        """
        name, shared = self._range.name, self._range.token
        return ([shared] if shared else []) + [name, f"{name}-r1", f"{name}-r2"]

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

    def _go_alone(self) -> None:
        bundle, self._bundle = self._bundle, None
        if bundle is not None:
            bundle.leave(self._range.claim.partition)

    def _part(self, rows: Mapping[int, str]) -> Part:
        return Part(self._range, rows, self._confirm)

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
