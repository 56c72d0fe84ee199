"""What publishing promises, and reading outside any group."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from bus.base import (
    RECORD_BYTES_MAX,
    Bus,
    BusUnavailable,
    Record,
    RecordTooLarge,
)
from bus.partitioner import partition_of
from schemas.topics import Partition
from tests.contract.bus_members import (
    PARTITIONS,
    PATIENCE_S,
    all_values,
    partitions,
    read_all,
    records,
)


class PublishContract:
    async def test_what_was_published_is_read_back(self, bus: Bus, topic: str) -> None:
        sent = [
            Record(b"1|anna", b'{"v":1}', (("replay_of", b"1/events.raw/0/7"), ("empty", b""))),
            Record(b"1|anna", bytes(range(256)), ()),
            Record(b"", b""),
        ]
        await bus.publish(topic, sent)
        taken = [record for got in (await read_all(bus, topic)).values() for record in got]
        assert sorted(Record(*record[1:]) for record in taken) == sorted(sent)

    async def test_records_of_a_key_keep_their_order(self, bus: Bus, topic: str) -> None:
        sent = records(300)
        for start in range(0, 300, 100):
            await bus.publish(topic, sent[start : start + 100])
        for got in (await read_all(bus, topic)).values():
            for key in {record.key for record in got}:
                mine = [record.value for record in got if record.key == key]
                assert mine == [record.value for record in sent if record.key == key]

    async def test_offsets_are_contiguous_from_zero(self, bus: Bus, topic: str) -> None:
        for count in (1, 7, 40):
            await bus.publish(topic, records(count))
        everything = await read_all(bus, topic)
        assert sum(map(len, everything.values())) == 48
        for got in everything.values():
            assert [record.offset for record in got] == list(range(len(got)))

    async def test_a_key_has_one_partition_the_same_in_every_engine(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, records(64, subjects=32))
        for partition, got in (await read_all(bus, topic)).items():
            assert {partition_of(record.key, PARTITIONS) for record in got} <= {partition.index}

    async def test_ten_thousand_records_in_one_publish(self, bus: Bus, topic: str) -> None:
        sent = records(10_000, subjects=500)
        await bus.publish(topic, sent, deadline_s=20)
        assert all_values(await read_all(bus, topic)) == sorted(record.value for record in sent)

    async def test_concurrent_publishers_lose_and_mix_up_nothing(
        self, open_handle: Callable[[], Bus], bus: Bus, topic: str
    ) -> None:
        async def publisher(number: int, through: Bus) -> None:
            for i in range(10):
                await through.publish(topic, [Record(f"1|p{number}".encode(), f"{number}:{i}".encode())])

        async with open_handle() as other:
            await asyncio.gather(*(publisher(n, (bus, other)[n % 2]) for n in range(40)))
        everything = await read_all(bus, topic)
        values = [record.value.decode() for got in everything.values() for record in got]
        for number in range(40):
            mine = [value for value in values if value.startswith(f"{number}:")]
            assert mine == [f"{number}:{i}" for i in range(10)]

    async def test_an_empty_publish_does_nothing(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, [])
        assert set((await bus.ends(topic)).values()) == {(0, 0)}

    async def test_the_largest_record_passes(self, bus: Bus, topic: str) -> None:
        value = b"x" * (RECORD_BYTES_MAX - 3)
        await bus.publish(topic, [Record(b"key", value)])
        assert all_values(await read_all(bus, topic)) == [value]

    async def test_one_record_too_large_sends_nothing_of_the_call(self, bus: Bus, topic: str) -> None:
        huge = Record(b"key", b"x" * (RECORD_BYTES_MAX - 2))
        with pytest.raises(RecordTooLarge):
            await bus.publish(topic, [*records(5), huge, *records(5)])
        assert set((await bus.ends(topic)).values()) == {(0, 0)}
        await bus.publish(topic, records(3))
        assert len(all_values(await read_all(bus, topic))) == 3

    async def test_an_outage_is_said_and_passes(
        self, bus: Bus, topic: str, outage: Callable[[Bus], AbstractAsyncContextManager[None]]
    ) -> None:
        await bus.publish(topic, records(4, tag="before"))
        await bus.probe()
        async with outage(bus):
            with pytest.raises(BusUnavailable):
                await bus.publish(topic, records(4, tag="during"), deadline_s=1)
            with pytest.raises(BusUnavailable):
                await bus.probe()
        async with asyncio.timeout(PATIENCE_S):
            await self._publish_at_last(bus, topic, records(4, tag="after"))
        await bus.probe()
        values = all_values(await read_all(bus, topic))
        assert [value for value in values if not value.startswith(b"during")] == sorted(
            f"{tag}{i}".encode() for tag in ("before", "after") for i in range(4)
        )

    async def _publish_at_last(self, bus: Bus, topic: str, sent: Sequence[Record]) -> None:
        """Wait for the engine with empty-handed probes, so that `sent` is published once."""
        while True:
            try:
                await bus.probe()
                break
            except BusUnavailable:
                await asyncio.sleep(0.1)
        await bus.publish(topic, sent)

    async def test_ends_count_what_is_there(self, bus: Bus, topic: str) -> None:
        assert await bus.ends(topic) == dict.fromkeys(partitions(topic), (0, 0))
        await bus.publish(topic, [Record(b"1|anna", b"x")] * 5)
        home = Partition(topic, partition_of(b"1|anna", PARTITIONS))
        assert (await bus.ends(topic))[home] == (0, 5)

    async def test_a_range_is_read_across_publishes(self, bus: Bus, topic: str) -> None:
        for start in range(0, 60, 20):
            await bus.publish(topic, [Record(b"k", str(i).encode()) for i in range(start, start + 20)])
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        middle = await bus.read(home, start=15, end=45)
        assert [(record.offset, record.value) for record in middle] == [
            (i, str(i).encode()) for i in range(15, 45)
        ]
        assert [record.offset for record in await bus.read(home, start=59, end=60)] == [59]

    async def test_a_range_past_the_end_gives_what_there_is(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, [Record(b"k", b"v")] * 3)
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        assert [record.offset for record in await bus.read(home, start=1, end=99)] == [1, 2]
        assert list(await bus.read(home, start=3, end=99)) == []
        assert list(await bus.read(home, start=2, end=2)) == []

    async def test_it_says_how_long_a_record_is_kept(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, [Record(b"k", b"v")] * 3)
        kept_ms = await bus.expire(topic)
        assert kept_ms is None or kept_ms == 7 * 24 * 3600 * 1000
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        assert (await bus.ends(topic))[home] == (0, 3)
