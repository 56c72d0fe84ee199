"""What the crash tests of the log run in a process of its own, to be killed, frozen or starved.

It says on its standard output, line by line and unbuffered, what it has been promised.
"""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from typing import Any

from bus import open_bus
from bus.base import Bus, BusError, BusUnavailable, Claim, Mark, Record
from bus.log import database, topic, writer
from schemas.settings import Settings
from schemas.topics import Partition

PARTITIONS = 4
SIZES = (1, 3, 200, 1, 40, 2500)
TASKS = 4


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def settings(home: str) -> Settings:
    return Settings(home=home, bus_partitions=PARTITIONS)


def records(publisher: str, number: int) -> list[Record]:
    """Make publish `number`; its size is found again from the number."""
    size = SIZES[number % len(SIZES)]
    return [
        Record(f"{publisher}|{i % 5}".encode(), f"{publisher}:{number}:{i}".encode() + b":" + b"x" * 100)
        for i in range(size)
    ]


async def write(home: str, name: str, crash_at: str) -> None:
    """Publish until killed; say each publish that was acknowledged."""
    database.WAL_BYTES = 200_000  # so that kills meet checkpoints too
    _arm(crash_at)

    async def task(publisher: str) -> None:
        for number in count():
            await bus.publish("events.raw", records(publisher, number))
            say("acked", publisher, number)

    async with open_bus(settings(home)) as bus:
        await asyncio.gather(*(task(f"{name}.{i}") for i in range(TASKS)))


def _arm(crash_at: str) -> None:
    """Kill this process at the twentieth pass of a named point of a commit."""
    points: dict[str, tuple[Any, str, bool]] = {
        "": (None, "", False),
        "before the rows": (topic, "append", True),
        "between rows and commit": (topic, "append", False),
        "between commit and answer": (writer.Writer, "_settle", True),
        "after the answer": (writer.Writer, "_tidy", True),
    }
    owner, method, first = points[crash_at]
    if owner is not None:
        setattr(owner, method, _deadly(getattr(owner, method), first))


def _deadly(call: Callable[..., object], first: bool) -> Callable[..., object]:
    passes = count(1)

    def deadly(*args: object) -> object:
        die = next(passes) == 20
        if die and first:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*args)
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return deadly


class Member:
    """Says what happens to it; keeps its claims after they were revoked, as a zombie would."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []

    async def assigned(self, claims: Sequence[Claim]) -> dict[Partition, int]:
        self.claims += claims
        for claim in claims:
            say("assigned", claim.partition.index)
        return {claim.partition: claim.log_start for claim in claims}

    async def revoked(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            say("revoked", claim.partition.index)


async def belong(home: str) -> None:
    """Join the group; for every line read, try to commit for all that was ever owned."""
    async with open_bus(settings(home)) as bus:
        member = Member()
        subscription = await bus.subscribe("events.raw", group="workers", owner=member)
        while await asyncio.to_thread(sys.stdin.readline):
            for claim in list(member.claims):
                try:
                    await subscription.commit([Mark(claim, 0, "from the child")])
                    say("committed", claim.partition.index)
                except BusError as error:
                    say(type(error).__name__, claim.partition.index)


async def starve(home: str) -> None:
    """Publish until no file may grow, see that it is said, then go on when they may again."""
    async with open_bus(settings(home)) as bus:
        numbers = count()
        await _publish(bus, next(numbers))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        failures = 0
        while failures < 3:  # somewhere inside a publish, where the file would grow
            failures += not await _publish(bus, next(numbers))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            await bus.probe()
        except BusUnavailable:
            say("probe", "refused")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await bus.probe()
        for _ in range(10):
            assert await _publish(bus, next(numbers))
        say("done")


async def _publish(bus: Bus, number: int) -> bool:
    try:
        await bus.publish("events.raw", records("starved", number))
    except BusUnavailable:
        say("refused", "starved", number)
        return False
    say("acked", "starved", number)
    return True


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    programs: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        "write": write,
        "belong": belong,
        "starve": starve,
    }
    asyncio.run(programs[what](*args))
