"""The partitions this worker owns: what is in hand of each, and the commits that declare and complete ranges.

Only the worker's own task calls the subscription; `revoked` alone may come in between, and it starts nothing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from bus.base import Batch, Bus, BusError, BusUnavailable, Claim, Fenced, Subscription
from schemas.topics import Partition
from workers.backoff import Backoff
from workers.breaker import Breakers
from workers.gauges import Gauges
from workers.intent import Intent
from workers.lane import Lane
from workers.ranges import Range
from workers.recovery import Written
from workers.resume import check_log, find_start, read_range
from workers.stage import Remembers

log = logging.getLogger("penstock.worker")

HAND_BYTES_MAX = 24 * 2**20
"""Record bytes taken in one round over all partitions, so that memory does not grow with their number."""

HOLD_S = 0.5
PATIENCE_S = 5.0
"""For so long the subscription is left alone: pausing it throws away what Kafka's client has fetched."""

REVOKE_S = 20.0
"""The bus waits 25 s at most; the rest is for the commit."""

CONFIRM_EVERY_S = 2.0
CONFIRMED_S = 5.0
"""An owner that the bus did not confirm for so long asks before it writes: it is replaced after 10 s."""


class Limits(NamedTuple):
    """How much one range holds, and how long it waits for more."""

    records_max: int
    bytes_max: int
    wait_ms: int


class Portion(NamedTuple):
    """Records of one partition to be judged; `intent` if a former owner had declared exactly them."""

    lane: Lane
    batch: Batch
    intent: Intent | None


class Partitions:
    """One member of the consumer group of `topic`. It is the `Owner` of its subscription."""

    def __init__(
        self,
        bus: Bus,
        written: Written,
        *,
        topic: str,
        group: str,
        limits: Limits,
        stop: asyncio.Event,
        remembering: Sequence[Remembers] = (),
    ) -> None:
        self._bus = bus
        self._written = written
        self._topic = topic
        self._group = group
        self._limits = limits
        self._stop = stop
        self._remembering = remembering
        self._lanes: dict[Partition, Lane] = {}
        self.breakers = Breakers()
        self._subscription: Subscription | None = None
        self._paused: list[Claim] = []
        self._committing = asyncio.Lock()
        self._last_take_full = True
        self._taken_at = 0.0
        self._gauges = Gauges(topic)
        self.turned_at = time.monotonic()

    # --- the worker's side

    async def join(self) -> None:
        """Become a member of the group. Raises BusUnavailable."""
        self.turned_at = time.monotonic()
        self._subscription = await self._bus.subscribe(self._topic, group=self._group, owner=self)

    async def leave(self) -> None:
        """Drop what is in hand and leave the group."""
        for lane in self._lanes.values():
            lane.lose()
        self._lanes.clear()
        self._paused.clear()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(BusError):  # it will be missed after the session's time
                await subscription.close()

    @property
    def joined(self) -> bool:
        """Whether the bus took us into the group."""
        return self._subscription is not None

    async def take(self) -> list[Portion]:
        """Return what can be judged now, one portion a partition; waits a moment for records.

        Raises LogChanged, and BusUnavailable or StoreUnavailable: then join anew.
        """
        await self._linger()
        ready = any(lane.ready for lane in self._lanes.values())
        await self._pull(0 if ready else self._limits.wait_ms, rest=False)
        portions = [await self._portion(lane) for lane in tuple(self._lanes.values())]
        return [portion for portion in portions if portion is not None]

    async def hold(self, until: Awaitable[object]) -> None:
        """Wait for `until` as a member of the group, taking nothing more. Raises as `take`."""
        waiting = asyncio.ensure_future(until)
        patient_until = time.monotonic() + PATIENCE_S
        try:
            while not (await asyncio.wait({waiting}, timeout=HOLD_S))[0]:
                if time.monotonic() > patient_until:
                    await self._pull(0, rest=True)
                stale = time.monotonic() - CONFIRM_EVERY_S
                await self._try_commit(
                    [lane for lane in self._lanes.values() if lane.range and lane.confirmed_at < stale]
                )
            waiting.result()
        finally:
            waiting.cancel()

    async def declare(self, ranges: Sequence[Range]) -> list[Lane]:
        """Commit in one round: what was stored is complete, and these ranges are under way.

        Return the partitions whose range may be written now; the others have another owner.
        """
        for range_ in ranges:
            lane = self._lanes.get(range_.claim.partition)
            if lane is not None and lane.claim.epoch == range_.claim.epoch:
                lane.declare(range_)
        backoff = Backoff()
        while not await self._try_commit([lane for lane in self._lanes.values() if not lane.committed]):
            self.turned_at = time.monotonic()
            await backoff.pause()
        return [lane for lane in self._lanes.values() if lane.range and lane.writing is None]

    def writing(self) -> list[Lane]:
        """Return the partitions that have a range being written."""
        return [lane for lane in self._lanes.values() if lane.writing is not None]

    def owns(self, lane: Lane) -> bool:
        """Tell whether the partition is still ours under this claim."""
        return self._lanes.get(lane.claim.partition) is lane

    async def confirm(self, lane: Lane) -> None:
        """Return when the bus confirmed this ownership a moment ago: called right before every write.

        A worker that was frozen must not write what its successor writes. Raises Fenced.
        """
        while not lane.lost:
            if time.monotonic() - lane.confirmed_at < CONFIRMED_S:
                return
            await asyncio.sleep(0.05)  # the worker's task confirms while it holds
        raise Fenced(f"{lane.claim.partition} has another owner")

    def lose(self, lane: Lane) -> None:
        """Drop what is in hand for a partition that has another owner."""
        log.warning("%s has another owner; dropping what is in hand", lane.claim.partition)
        lane.lose()
        if self.owns(lane):
            del self._lanes[lane.claim.partition]

    def owned(self) -> list[Partition]:
        """Return the partitions that are ours."""
        return list(self._lanes)

    # --- the bus's side

    async def assigned(self, claims: Sequence[Claim]) -> Mapping[Partition, int]:
        """Say from which offset each newly owned partition is read."""
        starts = await asyncio.gather(*(self._admit(claim) for claim in claims))
        return {claim.partition: start for claim, start in zip(claims, starts, strict=True)}

    async def revoked(self, claims: Sequence[Claim]) -> None:
        """Finish the ranges being written, or abandon them after 20 s: their next owner verifies them."""
        lanes = [lane for claim in claims if (lane := self._lanes.pop(claim.partition, None)) is not None]
        try:
            await self._give_up({lane.writing: lane for lane in lanes if lane.writing is not None})
        finally:
            for lane in lanes:
                lane.lose()

    # --- how

    async def _give_up(self, writing: Mapping[asyncio.Task[None], Lane]) -> None:
        if not writing:
            return
        done: set[asyncio.Task[None]] = set()
        until = time.monotonic() + REVOKE_S
        while len(done) < len(writing) and (left_s := until - time.monotonic()) > 0:
            await self._try_commit(list(writing.values()))  # they may be waiting for a confirmation
            done, _ = await asyncio.wait(writing, timeout=min(CONFIRM_EVERY_S, left_s))
        stored = [task for task in done if not task.cancelled() and task.exception() is None]
        for task in stored:
            writing[task].complete()
        await self._try_commit([writing[task] for task in stored])

    async def _admit(self, claim: Claim) -> int:
        start = await find_start(claim, self._written, self._bus)
        for stage in self._remembering:
            stage.taken_over(claim.partition)
        if (former := self._lanes.get(claim.partition)) is not None:
            former.lose()  # of an earlier ownership that ended without a word
        self._lanes[claim.partition] = Lane(claim, start, self.breakers.of(claim.partition))
        return start.next_offset

    async def _linger(self) -> None:
        """Let records gather: small ranges make small parts."""
        due_s = self._taken_at + self._limits.wait_ms / 1000 - time.monotonic()
        if due_s > 0 and not self._last_take_full:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), due_s)
        self._taken_at = time.monotonic()

    async def _pull(self, wait_ms: int, *, rest: bool) -> None:
        """Take from the log into the lanes; `rest` or a lane with records in hand: only stay a member."""
        assert self._subscription is not None
        self.turned_at = time.monotonic()
        self._pause([lane for lane in self._lanes.values() if rest or lane.has_backlog or lane.resting])
        share_bytes = HAND_BYTES_MAX // max(len(self._lanes), 1)
        bytes_max = min(self._limits.bytes_max, share_bytes)
        batches = await self._subscription.take(
            records_max=self._limits.records_max, bytes_max=bytes_max, wait_ms=wait_ms
        )
        self._last_take_full = False
        for batch in batches:
            lane = self._lanes.get(batch.claim.partition)
            if lane is not None and lane.claim.epoch == batch.claim.epoch:
                lane.add(batch)
                size_bytes = sum(len(record.value) for record in batch.records)
                self._last_take_full |= len(batch.records) >= self._limits.records_max
                self._last_take_full |= size_bytes >= bytes_max * 0.8
        await self._gauges.show(self._subscription, self._lanes, self.breakers.resting())

    def _pause(self, lanes: Sequence[Lane]) -> None:
        assert self._subscription is not None
        wanted = [lane.claim for lane in lanes]
        owned = [lane.claim for lane in self._lanes.values()]
        if on := [claim for claim in self._paused if claim in owned and claim not in wanted]:
            self._subscription.resume(on)
        if off := [claim for claim in wanted if claim not in self._paused]:
            self._subscription.pause(off)
        self._paused = wanted

    async def _portion(self, lane: Lane) -> Portion | None:
        if not lane.checked:
            await check_log(lane.start, lane.claim, self._bus)
            lane.checked = True
        if lane.intent is not None:
            intent, lane.intent = lane.intent, None
            log.info("%s: verifying [%d, %d)", lane.claim.partition, lane.position, intent.end)
            records = await read_range(self._bus, lane.claim.partition, lane.position, intent.end)
            return Portion(lane, Batch(lane.claim, records), intent)
        batch = lane.cut(self._limits.records_max)
        return Portion(lane, batch, None) if batch is not None else None

    async def _try_commit(self, lanes: Sequence[Lane]) -> bool:
        """Commit the present marks of these partitions; false if the bus did not answer.

        A partition that has another owner is dropped, and the others are committed without it.
        """
        assert self._subscription is not None
        marks = [lane.mark for lane in lanes]
        if not marks:
            return True
        try:
            async with self._committing:
                await self._subscription.commit(marks)
        except BusUnavailable as error:
            log.warning("the bus does not take a commit: %s", error)
            return False
        except Fenced:
            if len(lanes) == 1:
                self.lose(lanes[0])
                return True
            return all([await self._try_commit([lane]) for lane in lanes])
        for lane, mark in zip(lanes, marks, strict=True):
            lane.confirm(mark, time.monotonic())
        return True
