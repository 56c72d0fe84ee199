import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from bus.base import Bus, BusUnavailable, Claim, LogChanged, Mark, Record, Subscription
from bus.log import open_log, topic
from bus.log.bus import LogBus
from bus.log.database import Database
from bus.log.retention import Retention
from schemas.settings import Settings
from schemas.topics import Partition

HOME = Partition("t", 0)


class Member:
    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.revokes = 0

    async def assigned(self, claims: Sequence[Claim]) -> dict[Partition, int]:
        self.claims += claims
        return {c.partition: c.log_start if c.committed is None else c.committed for c in claims}

    async def revoked(self, claims: Sequence[Claim]) -> None:
        self.revokes += 1


def open_bus(home: Path, *, inc: int = 1) -> LogBus:
    return open_log(Settings(home=str(home), bus_partitions=1, bus_incarnation=inc))


async def take(subscription: Subscription, count: int) -> list[bytes]:
    values: list[bytes] = []
    async with asyncio.timeout(30):
        while len(values) < count:
            for batch in await subscription.take(records_max=100, bytes_max=10**6, wait_ms=100):
                values += [record.value for record in batch.records]
    return values


async def work(bus: Bus, count: int) -> None:
    """Publish and take `count` records as group `g`, and commit them."""
    await bus.publish("t", [Record(b"k", b"v")] * count)
    member = Member()
    subscription = await bus.subscribe("t", group="g", owner=member)
    await take(subscription, count)
    await subscription.commit([Mark(member.claims[0], count)])
    await subscription.close()


async def test_a_log_made_anew_stops_its_readers_and_the_next_ones(tmp_path: Path) -> None:
    async with open_bus(tmp_path) as bus:
        await work(bus, 5)
        running = await bus.subscribe("t", group="other", owner=Member())
        await take(running, 5)
        shutil.rmtree(tmp_path / "bus" / "topics")
        await bus.publish("t", [Record(b"k", b"new")])
        with pytest.raises(LogChanged, match="made anew while it was read"):
            await take(running, 1)
        following = await bus.subscribe("t", group="g", owner=Member())
        with pytest.raises(LogChanged, match="raise PENSTOCK_BUS_INCARNATION"):
            await take(following, 1)
        assert await bus.committed("t", group="g") == {}
    async with open_bus(tmp_path, inc=2) as bus:
        member = Member()
        subscription = await bus.subscribe("t", group="g", owner=member)
        assert await take(subscription, 1) == [b"new"]
        assert (member.claims[0].committed, member.claims[0].inc) == (None, 2)


async def test_a_log_put_back_from_an_old_copy_stops_the_group(tmp_path: Path) -> None:
    async with open_bus(tmp_path) as bus:
        await bus.publish("t", [Record(b"k", b"v")] * 3)
    shutil.copytree(tmp_path / "bus" / "topics", tmp_path / "copy")
    async with open_bus(tmp_path) as bus:
        await work(bus, 6)
    shutil.rmtree(tmp_path / "bus" / "topics")
    shutil.move(tmp_path / "copy", tmp_path / "bus" / "topics")
    async with open_bus(tmp_path) as bus:
        subscription = await bus.subscribe("t", group="g", owner=Member())
        with pytest.raises(LogChanged, match="it lost records"):
            await take(subscription, 1)


async def test_records_that_retention_took_are_not_passed_over(tmp_path: Path) -> None:
    async with open_bus(tmp_path) as bus:
        for i in range(4):
            await bus.publish("t", [Record(b"k", b"%d" % i)])
        slow = await bus.subscribe("t", group="g", owner=Member())
        (batch,) = [b for b in await _first(slow, records_max=1) if b]
        assert batch == b"0"
        file = Database(tmp_path / "bus" / "topics" / "t.db", topic.make(1))
        Retention(lambda _: None, bytes_max=0).run(file)
        await bus.publish("t", [Record(b"k", b"4")])
        with pytest.raises(LogChanged, match="offset 1 is gone; the log starts at 4"):
            await take(slow, 1)
        assert [r.value for r in await bus.read(HOME, start=0, end=9)] == [b"4"]
        assert await bus.ends("t") == {HOME: (4, 5)}


async def _first(subscription: Subscription, *, records_max: int) -> list[bytes]:
    while True:
        for batch in await subscription.take(records_max=records_max, bytes_max=10**6, wait_ms=100):
            return [record.value for record in batch.records]


async def test_retention_keeps_what_the_slowest_group_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retention.__init__, "__kwdefaults__", {"age_s": 0, "bytes_max": 0, "every_s": 0})
    async with open_bus(tmp_path) as bus:
        members = {"quick": Member(), "slow": Member()}
        subscriptions = {g: await bus.subscribe("t", group=g, owner=member) for g, member in members.items()}
        for _ in range(5):
            await bus.publish("t", [Record(b"k", b"v")])
        for group, offset in (("quick", 5), ("slow", 2)):
            await take(subscriptions[group], 5)
            await subscriptions[group].commit([Mark(members[group].claims[0], offset)])
        await bus.publish("t", [Record(b"k", b"v")])
        async with asyncio.timeout(30):
            while await bus.ends("t") != {HOME: (2, 6)}:
                await asyncio.sleep(0.01)


async def test_the_number_of_partitions_is_the_files(tmp_path: Path) -> None:
    async with open_bus(tmp_path) as bus:
        await bus.publish("t", [Record(b"k", b"v")])
    async with open_log(Settings(home=str(tmp_path), bus_partitions=8)) as bus:
        await bus.publish("t", [Record(b"%d" % i, b"v") for i in range(20)])
        assert await bus.ends("t") == {HOME: (0, 21)}


@pytest.mark.parametrize("name", ["", "../raw", "a/b", ".", "..", "x" * 300, "ñ"])
async def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    async with open_bus(tmp_path) as bus:
        with pytest.raises(ValueError, match="cannot name a topic or group"):
            await bus.publish(name, [Record(b"k", b"v")])
        with pytest.raises(ValueError, match="cannot name a topic or group"):
            await bus.committed("t", group=name)


async def test_a_file_that_cannot_be_used_is_unavailable_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "bus" / "topics" / "events.raw.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    async with open_bus(tmp_path) as bus:
        for call in (
            bus.publish("events.raw", [Record(b"k", b"v")]),
            bus.probe(),
            bus.ends("events.raw"),
            bus.subscribe("events.raw", group="g", owner=Member()),
        ):
            with pytest.raises(BusUnavailable, match="not a database"):
                await call
        path.unlink()
        await bus.probe()
        await bus.publish("events.raw", [Record(b"k", b"v")])


async def test_close_calls_revoked_once_and_may_be_called_again(tmp_path: Path) -> None:
    async with open_bus(tmp_path) as bus:
        member = Member()
        subscription = await bus.subscribe("t", group="g", owner=member)
        await bus.publish("t", [Record(b"k", b"v")])
        await take(subscription, 1)
        await subscription.close()
        await subscription.close()
    assert member.revokes == 1


async def test_leaving_does_not_wait_for_an_owner_that_prepares(tmp_path: Path) -> None:
    class Preparing(Member):
        async def assigned(self, claims: Sequence[Claim]) -> dict[Partition, int]:
            await super().assigned(claims)
            await asyncio.Event().wait()
            return {}

    async with open_bus(tmp_path) as bus:
        member = Preparing()
        subscription = await bus.subscribe("t", group="g", owner=member)
        async with asyncio.timeout(30):
            while not member.claims:
                await asyncio.sleep(0.01)
            await subscription.close()
            assert member.revokes == 1
            other = await bus.subscribe("t", group="g", owner=Member())
            await bus.publish("t", [Record(b"k", b"v")])
            assert await take(other, 1) == [b"v"]


async def test_a_log_that_nobody_writes_to_lets_go_when_it_is_asked(tmp_path: Path) -> None:
    async with open_bus(tmp_path) as bus:
        await work(bus, 5)
    file = Database(tmp_path / "bus" / "topics" / "t.db", topic.make(1))
    with file.writing(wait_s=1) as connection:
        connection.execute("UPDATE blocks SET written_at_ms = written_at_ms - ?", (8 * 24 * 3600 * 1000,))
    file.close()
    async with open_bus(tmp_path) as bus:
        assert (await bus.ends("t"))[HOME] == (0, 5)
        assert await bus.expire("t") == topic.RETENTION_S * 1000
        async with asyncio.timeout(30):
            while (await bus.ends("t"))[HOME] != (5, 5):
                await asyncio.sleep(0.01)
