"""The whole control flow of a worker: take, judge, declare, store, complete.

A pipeline is data: what it reads, the stages in order, and the table its rows go to. While the ranges of
one round are being written, the records of the next are taken and judged.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic

from bus.base import Batch, BusUnavailable, Fenced
from stores.base import StoreUnavailable
from workers import metrics
from workers.backoff import Backoff
from workers.bundle import Bundle, bundle_up, bundles
from workers.buried import buried
from workers.crash import crash_point
from workers.intent import Intent, digest
from workers.judging import Death, Item, Judge, Judged, Reader, decode, pass_through, rows
from workers.lane import Lane
from workers.matches import Matched
from workers.partitions import Limits, Partitions, Portion
from workers.ranges import Range, times_of
from workers.sink import Sink
from workers.stage import Drop, Duplicate, Remembers, Unavailable

log = logging.getLogger("penstock.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline(Generic[Item]):
    """One way from a topic to a table. `outcome` makes the `outcomes` row of what a stage ended; `patch` the
    `customer_patches` row of an item that is stored, or "" for none; `match` what filters get, or None.
    """

    name: str
    reads: tuple[str, ...]
    read: Reader[Item]
    stages: tuple[Judge[Item], ...]
    table: str
    row: Callable[[Item], str]
    outcome: Callable[[Item, Duplicate | Drop], str] | None
    limits: Limits
    patch: Callable[[Item], str] | None = None
    match: Callable[[Item], Matched | None] | None = None

    @property
    def group(self) -> str:
        """The consumer group of all workers of this pipeline."""
        return f"penstock-{self.name}"

    @property
    def remembering(self) -> tuple[Remembers, ...]:
        """The stages that want to know of takeovers and of the dead."""
        return tuple(stage for stage in self.stages if isinstance(stage, Remembers))


class Worker(Generic[Item]):
    """Runs a pipeline over the partitions it owns of one topic, until `stop` is set."""

    def __init__(
        self, pipeline: Pipeline[Item], partitions: Partitions, sink: Sink, stop: asyncio.Event
    ) -> None:
        self._pipeline = pipeline
        self._partitions = partitions
        self._sink = sink
        self._stop = stop

    async def run(self) -> None:
        """Work until told to stop, then finish what is under way.

        Raises LogChanged and StoreMisconfigured, which no retry can help.
        """
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                await self._partitions.join()
                backoff = Backoff()
                while not self._stop.is_set():
                    await self._work_once()
                await self._complete([])
            except (BusUnavailable, StoreUnavailable) as error:
                log.warning("joining the group anew: %s", error)
                metrics.RETRIES.labels(self._pipeline.name, "bus").inc()
                await backoff.pause()
            finally:
                await self._partitions.leave()

    async def _work_once(self) -> None:
        portions = deque(await self._partitions.take())
        crash_point("after_take")
        ranges: list[Range] = []
        while portions:  # each is let go when it is judged: its records are as large as its rows
            if (range_ := await self._judge(portions.popleft())) is not None:
                ranges.append(range_)
        crash_point("after_judge")
        await self._complete(ranges)

    async def _complete(self, ranges: Sequence[Range]) -> None:
        """Wait for the ranges being written; then, in one commit, complete them and declare the next."""
        await self._finish_writing()
        bundle_up(ranges)
        declared = await self._partitions.declare(ranges)
        crash_point("after_complete")
        ranges = [lane.range for lane in declared if lane.range is not None]
        together = bundles(ranges, self._sink.inserts, self._sink.written)
        for lane in declared:
            crash_point("after_intent")
            lane.writing = self._start_storing(lane, together)

    async def _finish_writing(self) -> None:
        writing = {lane.writing: lane for lane in self._partitions.writing() if lane.writing is not None}
        if not writing:
            return
        await self._partitions.hold(until=asyncio.wait(writing))
        for task, lane in writing.items():
            if not self._partitions.owns(lane):
                continue  # lost or given up meanwhile, and dealt with there
            try:
                task.result()
            except Fenced:
                self._partitions.lose(lane)
            else:
                self._count(lane.complete())

    def _start_storing(self, lane: Lane, together: Mapping[str, Bundle]) -> asyncio.Task[None]:
        range_ = lane.range
        assert range_ is not None
        bundle = None if range_.resumed else together[range_.token]
        confirm = partial(self._partitions.confirm, lane)
        task = asyncio.create_task(self._sink.store(range_, lane.breaker, confirm, bundle))
        if bundle is not None:  # also of a task that is ended before it began: the others wait for it
            task.add_done_callback(lambda _: bundle.leave(lane.claim.partition))
        return task

    async def _judge(self, portion: Portion) -> Range | None:
        """Return the portion's range, or None if the worker is to stop while a stage has to wait."""
        lane, batch, intent = portion
        judged = await self._walk(batch, resumed=intent is not None)
        room = lane.breaker.room
        if judged is not None and intent is None and len(judged.dead) > room:
            # Too many dead: only up to the one that opens the breaker, the rest is tried later.
            cut = sorted(judged.dead)[room - 1] + 1 - batch.start
            lane.put_back(batch.records[cut:])
            batch = Batch(lane.claim, batch.records[:cut])
            judged = await self._walk(batch)
        if judged is None:
            return None
        if lane.breaker.record(len(batch.records), len(judged.dead)):
            log.error("%s: too many dead events; resting, one trial a minute", lane.claim.partition)
        return self._range(batch, judged, intent)

    async def _walk(self, batch: Batch, *, resumed: bool = False) -> Judged[Item] | None:
        """Decode a batch and walk it through the stages, again and again while a dependency is down."""
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                with metrics.JUDGE_SECONDS.labels(self._pipeline.name).time():
                    dead = await self._buried(batch) if resumed else {}
                    judged = decode(batch, self._pipeline.read, dead)
                    for stage in self._pipeline.stages:
                        await pass_through(stage, judged)
                    return judged
            except Unavailable as error:
                log.warning("%s: trying again: %s", batch.claim.partition, error)
                metrics.RETRIES.labels(self._pipeline.name, "stage").inc()
                await self._partitions.hold(until=backoff.pause())
        return None

    async def _buried(self, batch: Batch) -> dict[int, Death]:
        sink = self._sink
        return await buried(batch, sink.bus, sink.warehouse, sink.written.replicas)

    def _range(self, batch: Batch, judged: Judged[Item], intent: Intent | None) -> Range:
        patches = self._patches(judged)
        matches = self._matches(judged)
        stored = rows(judged, self._pipeline.row)
        duplicate, dropped = self._outcomes(judged)
        range_ = Range(
            claim=batch.claim,
            start=batch.start,
            end=batch.end,
            table=self._pipeline.table,
            stored=stored,
            duplicate=duplicate,
            dropped=dropped,
            patches=patches,
            matches=matches,
            dead=judged.dead,
            dead_records={offset: batch.records[offset - batch.start] for offset in judged.dead},
            times=times_of(judged.received(), intent),
            resumed=intent is not None,
            token=intent.token if intent is not None else "",
            last_digest=digest(batch.records[-1].value),
        )
        range_.check()
        return range_

    def _patches(self, judged: Judged[Item]) -> dict[int, str] | None:
        if self._pipeline.patch is None:
            return None
        return {offset: row for offset, row in rows(judged, self._pipeline.patch).items() if row}

    def _matches(self, judged: Judged[Item]) -> dict[int, Matched]:
        if self._pipeline.match is None:
            return {}
        made = rows(judged, self._pipeline.match)
        return {offset: matched for offset, matched in made.items() if matched is not None}

    def _outcomes(self, judged: Judged[Item]) -> tuple[dict[int, str], dict[int, str]]:
        duplicate: dict[int, str] = {}
        dropped: dict[int, str] = {}
        for offset, (item, verdict) in judged.ended.items():
            assert self._pipeline.outcome is not None, f"{self._pipeline.name} may end no event"
            rows_of_kind = duplicate if isinstance(verdict, Duplicate) else dropped
            rows_of_kind[offset] = self._pipeline.outcome(item, verdict)
        return duplicate, dropped

    def _count(self, done: Range) -> None:
        for outcome, count in done.counts.items():
            metrics.EVENTS.labels(self._pipeline.name, outcome).inc(count)
        for stage, dead in done.dead.values():
            metrics.DEAD.labels(self._pipeline.name, stage, dead.code).inc()
