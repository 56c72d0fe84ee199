"""What a member of a group gets from `take`."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from bus.base import (
    Bus,
    Claim,
    LogChanged,
    Record,
    Subscription,
)
from bus.partitioner import partition_of
from schemas.topics import Partition
from tests.contract.bus_members import (
    PARTITIONS,
    PATIENCE_S,
    Member,
    all_values,
    drain,
    partitions,
    read_all,
    records,
)


async def take_for_long(subscription: Subscription) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await subscription.take(records_max=10, bytes_max=1000, wait_ms=200)


class TakeContract:
    async def test_a_group_takes_everything_in_order(self, bus: Bus, topic: str) -> None:
        sent = records(200)
        await bus.publish(topic, sent)
        subscription = await bus.subscribe(topic, group="workers", owner=Member())
        taken = await drain(subscription, 200)
        assert all_values(taken) == sorted(record.value for record in sent)
        assert taken == {p: got for p, got in (await read_all(bus, topic)).items() if got}
        await subscription.close()

    async def test_take_waits_for_the_first_record(
        self, open_handle: Callable[[], Bus], bus: Bus, topic: str
    ) -> None:
        subscription = await bus.subscribe(topic, group="workers", owner=Member())
        waiting = asyncio.create_task(drain(subscription, 1))
        async with open_handle() as other:
            await asyncio.sleep(0.2)
            await other.publish(topic, [Record(b"k", b"late")])
        assert all_values(await waiting) == [b"late"]
        await subscription.close()

    async def test_take_comes_back_empty(self, bus: Bus, topic: str) -> None:
        subscription = await bus.subscribe(topic, group="workers", owner=Member())
        async with asyncio.timeout(PATIENCE_S):
            assert list(await subscription.take(records_max=10, bytes_max=1000, wait_ms=50)) == []
        await subscription.close()

    async def test_take_keeps_to_the_number_of_records(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, [Record(b"k", str(i).encode()) for i in range(25)])
        subscription = await bus.subscribe(topic, group="workers", owner=Member())
        sizes: list[int] = []
        async with asyncio.timeout(PATIENCE_S):
            while sum(sizes) < 25:
                batches = await subscription.take(records_max=10, bytes_max=2**20, wait_ms=500)
                sizes += [len(batch.records) for batch in batches]
        assert max(sizes) <= 10
        await subscription.close()

    async def test_take_keeps_about_to_the_number_of_bytes(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, [Record(b"k", bytes(10_000))] * 20)
        await bus.publish(topic, [Record(b"k", bytes(200_000))])
        subscription = await bus.subscribe(topic, group="workers", owner=Member())
        count = 0
        async with asyncio.timeout(PATIENCE_S):
            while count < 21:
                for batch in await subscription.take(records_max=1000, bytes_max=50_000, wait_ms=500):
                    count += len(batch.records)
                    assert len(batch.records) == 1 or sum(len(r.value) for r in batch.records) <= 60_000
        await subscription.close()

    async def test_the_owner_says_where_reading_starts(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, [Record(b"k", str(i).encode()) for i in range(10)])
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        subscription = await bus.subscribe(topic, group="workers", owner=Member({home: 7}))
        assert [record.value for record in (await drain(subscription, 3))[home]] == [b"7", b"8", b"9"]
        await subscription.close()

    async def test_a_start_that_the_log_never_had_is_not_taken_for_empty(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, [Record(b"k", b"v")] * 3)
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        subscription = await bus.subscribe(topic, group="workers", owner=Member({home: 50}))
        with pytest.raises(LogChanged):
            await take_for_long(subscription)
        await subscription.close()

    async def test_what_an_owner_raises_comes_out_of_take(self, bus: Bus, topic: str) -> None:
        class Broken(Member):
            async def assigned(self, claims: Sequence[Claim]) -> dict[Partition, int]:
                raise ZeroDivisionError("as planned")

        subscription = await bus.subscribe(topic, group="workers", owner=Broken())
        with pytest.raises(ZeroDivisionError, match="as planned"):
            await take_for_long(subscription)
        await subscription.close()

    async def test_pause_keeps_the_partition_and_resume_goes_on(self, bus: Bus, topic: str) -> None:
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        member = Member()
        subscription = await bus.subscribe(topic, group="workers", owner=member)
        await bus.publish(topic, [Record(b"k", b"1")])
        await drain(subscription, 1)
        subscription.pause([member.owned[home]])
        await bus.publish(topic, [Record(b"k", b"2")])
        for _ in range(3):
            assert list(await subscription.take(records_max=10, bytes_max=1000, wait_ms=100)) == []
        assert (await subscription.lag())[home] == 1
        subscription.resume([member.owned[home]])
        assert all_values(await drain(subscription, 1)) == [b"2"]
        assert [name for name, _ in member.calls].count("revoked") == 0
        await subscription.close()

    async def test_lag_is_what_was_not_taken(self, bus: Bus, topic: str) -> None:
        await bus.publish(topic, [Record(b"k", b"v")] * 9)
        home = Partition(topic, partition_of(b"k", PARTITIONS))
        subscription = await bus.subscribe(topic, group="workers", owner=Member())
        first = await drain(subscription, 1, records_max=4)
        lag = await subscription.lag()
        assert set(lag) == set(partitions(topic))
        assert lag[home] == 9 - len(first[home])
        await drain(subscription, lag[home])
        assert set((await subscription.lag()).values()) == {0}
        await subscription.close()
