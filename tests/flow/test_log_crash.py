"""The embedded log keeps its word when its processes are killed, frozen, or find the disk full."""

import asyncio
import random
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from bus import open_bus
from bus.base import Mark
from bus.log.lock import FairLock
from schemas.topics import RAW, Partition
from tests.flow.log_child import PARTITIONS, SIZES, TASKS, Member, settings

PATIENCE_S = 60
CRASH_POINTS = (
    "before the rows",
    "between rows and commit",
    "between commit and answer",
    "after the answer",
)

Acked = dict[str, int]
"""The last acknowledged publish of each publisher; all before it were acknowledged too."""


class Child:
    """A process of log_child.py, and the lines it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[list[str]] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().split())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert self.process.returncode is None or self._reading.done() is False, self.lines[-5:]
                await asyncio.sleep(0.01)

    def ask(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    def said(self, word: str) -> list[int]:
        return sorted(int(line[1]) for line in self.lines if line[0] == word)

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await self._reading
        return code


@asynccontextmanager
async def child(*args: str) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.flow.log_child", *args),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    running = Child(process)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await running.ended()


def acked(*children: Child) -> Acked:
    last: Acked = {}
    for running in children:
        for _, publisher, number in (line for line in running.lines if line[0] == "acked"):
            assert int(number) == last.get(publisher, -1) + 1
            last[publisher] = int(number)
    return last


def _all_answered(running: Child) -> bool:
    return len(acked(running)) == TASKS


async def check(home: Path, promised: Acked) -> None:
    """See that all that was acknowledged is there, whole publishes only, in order, without a gap."""
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    sizes: defaultdict[tuple[str, int], int] = defaultdict(int)
    async with open_bus(settings(str(home))) as bus:
        for partition, (start, end) in (await bus.ends(RAW)).items():
            records = await bus.read(partition, start=start, end=end)
            assert start == 0
            assert [record.offset for record in records] == list(range(end))
            for record in records:
                publisher, number, index, _ = record.value.decode().split(":")
                found[record.key.decode()].append((int(number), int(index)))
                sizes[publisher, int(number)] += 1
    for key, places in found.items():
        assert places == sorted(set(places)), key
    for (publisher, place), size in sizes.items():
        assert size == SIZES[place % len(SIZES)], (publisher, place)
    for publisher, last in promised.items():
        missing = [number for number in range(last + 1) if (publisher, number) not in sizes]
        assert missing == []


async def test_a_writer_killed_at_random_loses_nothing_acknowledged(tmp_path: Path) -> None:
    luck = random.Random(7)
    promised: Acked = {}
    for number in range(6):
        async with child("write", str(tmp_path), f"r{number}", "") as writer:
            await writer.until(partial(_all_answered, writer))
            await asyncio.sleep(luck.uniform(0.02, 0.3))
            writer.process.kill()
            assert await writer.ended() == -signal.SIGKILL
            promised.update(acked(writer))
        await check(tmp_path, promised)


@pytest.mark.parametrize("crash_at", CRASH_POINTS)
async def test_a_writer_killed_at_a_point_of_its_commit_loses_nothing_acknowledged(
    tmp_path: Path, crash_at: str
) -> None:
    promised: Acked = {}
    for number in range(2):
        async with child("write", str(tmp_path), f"r{number}", crash_at) as writer:
            assert await writer.ended() == -signal.SIGKILL
            promised.update(acked(writer))
        await check(tmp_path, promised)
    assert promised


async def test_another_writer_goes_on_when_one_is_killed(tmp_path: Path) -> None:
    async with (
        child("write", str(tmp_path), "a", "") as first,
        child("write", str(tmp_path), "b", "") as second,
    ):
        for _ in range(2):
            await second.until(lambda: len(acked(first)) == len(acked(second)) == 4)
        first.process.kill()
        await first.ended()
        before = sum(acked(second).values())
        await second.until(lambda: sum(acked(second).values()) > before + 50)
        second.process.kill()
        await second.ended()
        await check(tmp_path, acked(first) | acked(second))


async def test_a_full_disk_is_said_and_the_log_serves_again_with_space(tmp_path: Path) -> None:
    async with child("starve", str(tmp_path)) as starved:
        assert await starved.ended() == 0
        words = [line[0] for line in starved.lines]
        assert words.count("refused") == 3
        assert ["probe", "refused"] in starved.lines
        assert words[-1] == "done"
        refused = {int(line[2]) for line in starved.lines if line[0] == "refused"}
        kept = {int(line[2]) for line in starved.lines if line[0] == "acked"}
    async with open_bus(settings(str(tmp_path))) as bus:
        there = set()
        for partition, (start, end) in (await bus.ends(RAW)).items():
            there |= {int(r.value.split(b":")[1]) for r in await bus.read(partition, start=start, end=end)}
    assert kept <= there <= kept | refused


async def test_partitions_of_the_dead_and_the_frozen_move_on_and_the_frozen_is_fenced(tmp_path: Path) -> None:
    lock_path = tmp_path / "bus" / "groups" / "workers.db"
    everything = {Partition(RAW, index) for index in range(PARTITIONS)}
    async with child("belong", str(tmp_path)) as dead, child("belong", str(tmp_path)) as frozen:
        await frozen.until(lambda: len(dead.said("assigned")) >= 2 and len(frozen.said("assigned")) >= 2)
        frozen.ask()
        await frozen.until(lambda: len(frozen.said("committed")) + len(frozen.said("Fenced")) >= 2)
        # With the lock in our hands neither holds it, and a frozen holder would stop everyone.
        with FairLock(lock_path).held(wait_s=PATIENCE_S):
            frozen.process.send_signal(signal.SIGSTOP)
            dead.process.kill()
            await dead.ended()
        async with open_bus(settings(str(tmp_path))) as bus:
            survivor = Member()
            subscription = await bus.subscribe(RAW, group="workers", owner=survivor)
            await frozen.until(lambda: {claim.partition for claim in survivor.claims} == everything)
            await subscription.commit([Mark(claim, 0, "from the survivor") for claim in survivor.claims])
            frozen.lines.clear()
            frozen.ask()
            frozen.process.send_signal(signal.SIGCONT)
            await frozen.until(lambda: len(frozen.said("Fenced")) >= 2 and len(frozen.said("revoked")) >= 2)
            assert frozen.said("committed") == []
            positions = await bus.committed(RAW, group="workers")
            assert set(positions.values()) == {(0, "from the survivor")}
