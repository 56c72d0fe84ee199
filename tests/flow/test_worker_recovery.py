"""What a new owner asks of a real ClickHouse: which rows are there, which twice, and where they end."""

import asyncio
from collections.abc import Sequence

import pytest

from bus.base import Batch, Claim, Taken
from bus.memory import MemoryBus, MemoryLog
from schemas.envelope import decode_dead
from schemas.rows import EVENTS, LANDING, OUTCOMES, QUARANTINE, columns, outcome_row, quarantine_row
from schemas.topics import DEAD, RAW, Coordinates, Partition
from stores.base import StoreUnavailable
from stores.warehouse import ClickHouse
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.unit.workers.running import RECEIVED_AT, envelope, event_id, events_only
from workers.breaker import Breaker
from workers.buried import buried
from workers.inserts import OF_PARTITION, Inserts, of_partition
from workers.judging import Death, decode, rows
from workers.letters import dead_letter
from workers.pipelines.events import read_event
from workers.ranges import Range
from workers.recovery import Tail, Written
from workers.replicas import Replicas
from workers.sink import Sink
from workers.stage import Dead

COUNT = 5_000


def range_of(kp: int, *, start: int = 0, count: int = COUNT) -> Range:
    """A range that an earlier owner has left open."""
    claim = Claim(
        partition=Partition(RAW, kp), inc=1, epoch=1, committed=0, note="", log_start=0, log_end=start + count
    )
    batch = Batch(claim, [Taken(start + n, b"k", envelope(kp * COUNT + n)) for n in range(count)])
    judged = decode(batch, read_event, {})
    return Range(
        claim=claim,
        start=batch.start,
        end=batch.end,
        table=EVENTS,
        stored=rows(judged, events_only().row),
        times=(RECEIVED_AT, RECEIVED_AT + 10**9),
        resumed=True,
        last_digest="",
    )


async def insert(warehouse: ClickHouse, range_: Range, offsets: Sequence[int], token: str) -> None:
    block = columns(range_.claim.partition, 1, offsets, [range_.stored[offset] for offset in offsets])
    await warehouse.insert(LANDING[EVENTS], block, token=token, query_id=token)


async def always() -> None:
    """Nobody else owns the partition."""


async def store(warehouse: ClickHouse, range_: Range) -> None:
    written = Written(warehouse, EVENTS, outcomes=True)
    bus = MemoryBus(MemoryLog(partitions=1, inc=1))
    sink = Sink(
        warehouse=warehouse,
        inserts=Inserts(warehouse),
        bus=bus,
        written=written,
        pipeline="events",
        worker="test",
    )
    await asyncio.wait_for(sink.store(range_, Breaker(), always), 60)


async def ids(warehouse: ClickHouse, kp: int) -> list[str]:
    found = await warehouse.query("SELECT toString(event_id) AS id FROM events WHERE kp = %(kp)s", {"kp": kp})
    return sorted(row["id"] for row in found)


def expected(kp: int) -> list[str]:
    return [event_id(kp * COUNT + n) for n in range(COUNT)]


@pytest.fixture
async def database(clickhouse: EmbeddedClickHouse) -> str:
    await clickhouse.migrate("recovery")
    return "recovery"


async def test_rows_that_stand_two_and_three_times_stand_once_afterwards(
    clickhouse: EmbeddedClickHouse, database: str
) -> None:
    range_ = range_of(1)
    async with clickhouse.warehouse(database) as warehouse:
        await insert(warehouse, range_, range(4_000), "first")
        await insert(warehouse, range_, range(3_000), "second")
        await warehouse.execute("OPTIMIZE TABLE events FINAL")  # copies within one part too
        await insert(warehouse, range_, range(10), "third")
        await store(warehouse, range_)
        assert await ids(warehouse, 1) == expected(1)


async def test_only_what_is_missing_is_inserted(clickhouse: EmbeddedClickHouse, database: str) -> None:
    range_ = range_of(2)
    async with clickhouse.warehouse(database) as warehouse:
        await insert(warehouse, range_, range(0, COUNT, 2), "half")
        await store(warehouse, range_)
        assert await ids(warehouse, 2) == expected(2)


async def test_a_token_whose_rows_are_gone_is_passed_by(
    clickhouse: EmbeddedClickHouse, database: str
) -> None:
    range_ = range_of(3)
    async with clickhouse.warehouse(database) as warehouse:
        # The server remembers the token of the whole range, and has next to nothing of it.
        await insert(warehouse, range_, range(3), f"{range_.name}/events")
        await store(warehouse, range_)
        assert await ids(warehouse, 3) == expected(3)


async def test_an_outcome_that_is_on_record_stands(clickhouse: EmbeddedClickHouse, database: str) -> None:
    range_ = range_of(4)
    event = read_event(Taken(7, b"k", envelope(4 * COUNT + 7)), Coordinates(1, RAW, 4, 7))
    async with clickhouse.warehouse(database) as warehouse:
        block = columns(range_.claim.partition, 1, [7], [outcome_row(event, "dropped", reason="test")])
        await warehouse.insert(LANDING[OUTCOMES], block, token="outcome", query_id="outcome")
        await store(warehouse, range_)
        assert event.event_id not in await ids(warehouse, 4)
        (batch,) = await warehouse.query("SELECT stored, dropped FROM batches WHERE kp = 4")
        assert batch == {"stored": COUNT - 1, "dropped": 1}


async def test_a_letter_that_is_a_row_by_now_is_known(clickhouse: EmbeddedClickHouse, database: str) -> None:
    record, death = Taken(3, b"k", envelope(3)), Death("planted", Dead("code", "why", "/a"))
    async with clickhouse.warehouse(database) as warehouse:
        for place, source in enumerate((Coordinates(1, RAW, 6, 3), Coordinates(1, RAW, 7, 4))):
            letter = decode_dead(dead_letter(record, source, death).value)
            row = quarantine_row(letter, Coordinates(1, DEAD, 0, place), retention_days=7)
            block = columns(Partition(DEAD, 0), 1, [place], [row])
            await warehouse.insert(LANDING[QUARANTINE], block, token=f"{place}", query_id=f"letter-{place}")
        batch = Batch(range_of(6, count=10).claim, [Taken(n, b"k", envelope(n)) for n in range(10)])
        bus = MemoryBus(MemoryLog(partitions=1, inc=1))
        assert await buried(batch, bus, warehouse, Replicas(warehouse, "")) == {3: death}


async def test_the_end_of_the_rows_is_found(clickhouse: EmbeddedClickHouse, database: str) -> None:
    async with clickhouse.warehouse(database) as warehouse:
        written = Written(warehouse, EVENTS, outcomes=True)
        first = range_of(5)
        assert await written.tail(first.claim) == Tail(0, None, "")
        await store(warehouse, first)
        assert await written.tail(first.claim) == Tail(COUNT, COUNT - 1, expected(5)[-1])
        begun = range_of(5, start=COUNT, count=10)
        await insert(warehouse, begun, [COUNT, COUNT + 1], "begun")
        assert await written.tail(first.claim) == Tail(COUNT, COUNT + 1, event_id(5 * COUNT + 1))


async def test_the_engine_knows_the_words_for_replicas(clickhouse: EmbeddedClickHouse, database: str) -> None:
    """No replicas can be made here: that it understands what is asked is all that can be shown."""
    async with clickhouse.warehouse(database) as warehouse:
        with pytest.raises(StoreUnavailable, match="not replicated"):
            await Replicas(warehouse, "main").catch_up(EVENTS)


@pytest.mark.parametrize(
    ("query_id", "of_one"),
    [
        ("penstock/events.raw/1/events/0f", True),
        ("penstock/events.raw/0+1+12/events/0f", True),
        ("penstock/events.raw/11+21/events/0f", False),
        ("penstock/events.raw.2/1/events/0f", False),
        ("penstock/events.dead/1/quarantine/0f", False),
        ("somebody's own", False),
    ],
)
async def test_an_insert_is_known_by_the_partitions_it_has_rows_of(
    clickhouse: EmbeddedClickHouse, query_id: str, of_one: bool
) -> None:
    params = {"id": query_id} | of_partition(Partition(RAW, 1))
    async with clickhouse.warehouse() as warehouse:
        sql = f"SELECT toBool({OF_PARTITION}) AS holds FROM (SELECT %(id)s AS query_id)"
        assert await warehouse.query(sql, params) == [{"holds": of_one}]
