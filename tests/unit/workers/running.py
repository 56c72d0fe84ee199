"""A pipeline over the bus in memory and the recording warehouse, run to the end of the log."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from bus.base import Bus, Claim, Record
from bus.memory import MemoryBus, MemoryLog
from schemas.envelope import Envelope, encode
from schemas.event import Event
from schemas.rows import EVENTS, event_row
from schemas.topics import DEAD, RAW, Partition
from stores.base import Warehouse
from tests.unit.workers.recorder import Recorder
from workers.inserts import Inserts
from workers.intent import Note
from workers.matches import match
from workers.partitions import Limits, Partitions
from workers.pipeline import Pipeline, Worker
from workers.pipelines.events import READS, outcome, read_event
from workers.recovery import Written
from workers.sink import Sink
from workers.stage import KEEP, Stage, Verdict

RECEIVED_AT = 1_750_000_000_000
LIMITS = Limits(records_max=100, bytes_max=2**20, wait_ms=5)


def event_id(n: int) -> str:
    return str(UUID(int=(7 << 76) | (2 << 62) | n))


def envelope(n: int, **changes: object) -> bytes:
    """The n-th accepted event: a page view of alana, with every stamp of its own."""
    made = Envelope(
        v=1,
        id=event_id(n),
        dialect="alana",
        endpoint="events",
        tenant=1,
        received_at=RECEIVED_AT + n,
        request=f"request-{n}",
        of=1,
        event=msgspec.Raw(b'{"eventType":"home-page-view","visitorId":"v%d"}' % (n % 7)),
    )
    return encode(msgspec.structs.replace(made, **changes))


def record(n: int, **changes: object) -> Record:
    return Record(b"1|v%d" % (n % 7), envelope(n, **changes))


FILTER = "00000000-0000-4000-8000-0000000000f1"


class MatchAll:
    """A stage by which every event meets one filter."""

    name = "filters"

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        for event in events:
            event.matched = ((FILTER, "All"),)
        return [KEEP] * len(events)


def events_only(stages: Sequence[Stage] = (), limits: Limits = LIMITS) -> Pipeline[Event]:
    """The pipeline `events` with other stages."""
    return Pipeline(
        name="events",
        reads=READS,
        read=read_event,
        stages=tuple(stages),
        table=EVENTS,
        row=event_row,
        outcome=outcome,
        match=match,
        limits=limits,
    )


@dataclass
class System:
    """What outlives a worker: the log and the warehouse."""

    log: MemoryLog = field(default_factory=lambda: MemoryLog(partitions=2, inc=1))
    warehouse: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        self.bus = MemoryBus(self.log)

    async def publish(self, *numbers: int) -> None:
        await self.bus.publish(RAW, [record(n) for n in numbers])

    def dead(self) -> list[bytes]:
        """Return the values of all dead letters."""
        return [taken.value for partition in self.log.topic(DEAD) for taken in partition]

    def coordinates(self) -> list[tuple[int, int]]:
        """Return partition and offset of every record of events.raw."""
        return [(p, taken.offset) for p, records in enumerate(self.log.topic(RAW)) for taken in records]

    def complete(self, group: str = "penstock-events", topic: str = RAW) -> bool:
        """Whether all of the log is committed and no range is open."""
        offsets = self.log.group(topic, group).offsets
        return all(
            not records
            or (offsets.get(p, (0, ""))[0] == len(records) and Note.parse(offsets[p][1]).intent is None)
            for p, records in enumerate(self.log.topic(topic))
        )

    def worker(
        self, pipeline: Pipeline[Event] | None = None, *, stop: asyncio.Event, topic: str = RAW
    ) -> Worker[Event]:
        """Make a worker with a connection of its own to the bus."""
        return make_worker(
            pipeline or events_only(),
            bus=MemoryBus(self.log),
            warehouse=self.warehouse,
            stop=stop,
            topic=topic,
        )

    async def drain(self, pipeline: Pipeline[Event] | None = None, *, seconds: float = 10) -> None:
        """Run one worker until everything is complete. Raises what the worker raises."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.worker(pipeline, stop=stop).run())
        try:
            async with asyncio.timeout(seconds):
                while not self.complete() and not running.done():
                    await asyncio.sleep(0.005)
        finally:
            stop.set()
        await running

    async def run_for(self, seconds: float, pipeline: Pipeline[Event] | None = None) -> None:
        """Run one worker for a while and crash it."""
        running = asyncio.create_task(self.worker(pipeline, stop=asyncio.Event()).run())
        await asyncio.sleep(seconds)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    def check_books(self) -> None:
        """Every offset of events.raw stands in exactly one place, once: a row, an outcome, a dead letter."""
        stored = [(row.kp, row.ko) for row in self.warehouse.rows["events"]]
        ended = [(row.kp, row.ko) for row in self.warehouse.rows["outcomes"]]
        letters = [msgspec.json.decode(value) for value in self.dead()]
        dead = {(letter["src_kp"], letter["src_ko"]) for letter in letters if letter["src_topic"] == RAW}
        assert sorted([*stored, *ended, *dead]) == sorted(self.coordinates())
        self._check_batches()

    def _check_batches(self) -> None:
        for p, records in enumerate(self.log.topic(RAW)):
            ranges = sorted(
                {(row.ko, row.row["end"]) for row in self.warehouse.rows["batches"] if row.kp == p}
            )
            edges = [0, *(end for _, end in ranges)]
            assert [start for start, _ in ranges] == edges[:-1]
            assert edges[-1] == len(records)


def make_worker(
    pipeline: Pipeline[Event], *, bus: Bus, warehouse: Warehouse, stop: asyncio.Event, topic: str = RAW
) -> Worker[Event]:
    """Put a worker together as workers/run.py does."""
    written = Written(warehouse, pipeline.table, outcomes=pipeline.outcome is not None)
    remembering = pipeline.remembering
    partitions = Partitions(
        bus,
        written,
        topic=topic,
        group=pipeline.group,
        limits=pipeline.limits,
        stop=stop,
        remembering=remembering,
    )
    sink = Sink(
        warehouse=warehouse,
        inserts=Inserts(warehouse),
        bus=bus,
        written=written,
        pipeline=pipeline.name,
        worker="test",
        remembering=remembering,
    )
    return Worker(pipeline, partitions, sink, stop)


def claim(
    *, committed: int | None = None, note: str = "", log_start: int = 0, log_end: int = 0, epoch: int = 1
) -> Claim:
    """The first partition of events.raw, owned."""
    return Claim(
        partition=Partition(RAW, 0),
        inc=1,
        epoch=epoch,
        committed=committed,
        note=note,
        log_start=log_start,
        log_end=log_end,
    )
