"""A log on SQLite and a warehouse whose books a test writes itself, offset by offset."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from bus.base import Claim, Mark, Record
from bus.log import open_log
from bus.log.bus import LogBus
from bus.log.database import Database
from bus.log.retention import Retention
from bus.log.topic import make
from console.ledger import Books, Line, ledger
from schemas.envelope import VERSION, DeadLetter, encode
from schemas.rows import (
    BATCHES,
    EVENTS,
    LANDING,
    OUTCOMES,
    QUARANTINE,
    Outcome,
    batch_row,
    columns,
    event_row,
    outcome_row,
    quarantine_row,
)
from schemas.settings import Settings
from schemas.topics import DEAD, RAW, READERS, Coordinates, Partition
from stores.warehouse import ClickHouse
from tests.contract.warehouse_rows import RECEIVED_MS, event

FIRST = Partition(RAW, 0)


class _Reader:
    """Takes all partitions from where they are, to commit for them."""

    def __init__(self) -> None:
        self.claims: dict[Partition, Claim] = {}

    async def assigned(self, claims: Sequence[Claim]) -> Mapping[Partition, int]:
        self.claims |= {claim.partition: claim for claim in claims}
        return {claim.partition: claim.committed or claim.log_start for claim in claims}

    async def revoked(self, claims: Sequence[Claim]) -> None:
        return


@dataclass
class Planted:
    """One log of one partition a topic, and one database."""

    bus: LogBus
    warehouse: ClickHouse
    home: Path
    inc: int = 1

    async def publish(self, count: int, topic: str = RAW) -> None:
        """Append `count` records that nobody reads."""
        await self.bus.publish(topic, [Record(b"1|s", b"record")] * count)

    async def commit(self, offset: int, topic: str = RAW, *, inc: int = 1) -> None:
        """Commit as a worker does."""
        reader = _Reader()
        subscription = await self.bus.subscribe(topic, group=READERS[topic], owner=reader)
        async with asyncio.timeout(10):
            while not reader.claims:
                await asyncio.sleep(0.01)
        mark = Mark(reader.claims[Partition(topic, 0)], offset, f"v1;inc={inc}")
        await subscription.commit([mark])
        await subscription.close()

    async def store(self, offsets: Iterable[int], *, inc: int = 1) -> None:
        await self._insert(EVENTS, {ko: event_row(event(ko)) for ko in offsets}, FIRST, inc)

    async def end(self, offsets: Iterable[int], outcome: Outcome) -> None:
        await self._insert(OUTCOMES, {ko: outcome_row(event(ko), outcome) for ko in offsets}, FIRST, 1)

    async def bury(self, offsets: Iterable[int], topic: str = RAW) -> None:
        """Publish dead letters, as the worker does before it commits."""
        await self.bus.publish(DEAD, [Record(b"1|s", encode(letter(ko, topic))) for ko in offsets])

    async def quarantine(self, letters: Mapping[int, DeadLetter], topic: str = DEAD) -> None:
        """Store letters by their own offsets, as the quarantine worker does."""
        rows = {ko: quarantine_row(content, Coordinates(1, topic, 0, ko)) for ko, content in letters.items()}
        await self._insert(QUARANTINE, rows, Partition(topic, 0), 1)

    async def finish(self, start: int, end: int, *, topic: str = RAW, inc: int = 1, **counts: int) -> None:
        """Write the row of a finished range; what is not counted was stored."""
        given = {"duplicate": 0, "dropped": 0, "dead": 0, **counts}
        stored = end - start - sum(given.values())
        row = batch_row(end=end, stored=stored, worker="test", written_at=RECEIVED_MS, **given)
        await self._insert(BATCHES, {start: row}, Partition(topic, 0), inc)

    async def forget(self, before: int, topic: str = RAW) -> None:
        """Let retention delete the log's blocks that end up to `before`."""
        file = Database(self.home / "bus" / "topics" / f"{topic}.db", make(1))
        try:
            Retention(lambda log_id: {0: before}, bytes_max=0, every_s=0).run(file)
        finally:
            file.close()

    async def books(self, *, history: bool = True) -> Books:
        books = await ledger(self.bus, self.warehouse, self.inc, history=history)
        for line in books.lines:
            check_identity(line)
        return books

    async def line(self, topic: str = RAW, *, inc: int = 1) -> Line:
        [found] = [line for line in (await self.books()).lines if (line.topic, line.inc) == (topic, inc)]
        return found

    async def _insert(self, table: str, rows: Mapping[int, str], partition: Partition, inc: int) -> None:
        block = columns(partition, inc, list(rows), list(rows.values()))
        await self.warehouse.insert(LANDING[table], block, token=uuid4().hex, query_id=uuid4().hex)


@asynccontextmanager
async def open_planted(home: Path, warehouse: ClickHouse) -> AsyncIterator[Planted]:
    """Begin with an empty log and empty tables."""
    for table in LANDING:
        await warehouse.execute(f"TRUNCATE TABLE {table}")
    async with open_log(Settings(home=str(home), bus_partitions=1)) as bus:
        yield Planted(bus, warehouse, home)


def letter(offset: int, topic: str = RAW) -> DeadLetter:
    """The dead letter about one record."""
    return DeadLetter(
        v=VERSION,
        id=str(UUID(int=offset + 1)),
        received_at=RECEIVED_MS,
        stage="map",
        code="missing_field",
        message="",
        raw="record",
        src_topic=topic,
        src_kp=0,
        src_ko=offset,
        src_inc=1,
    )


def check_identity(line: Line) -> None:
    """What came in is what became of it."""
    accounted = line.stored + line.duplicate + line.dropped + line.dead + line.erased + line.in_flight
    assert line.received + line.overlaps == accounted + line.gaps, line
    assert min(line.gaps, line.overlaps, line.in_flight, line.received) >= 0, line
