"""Load for a bus under faults, with a memory of what was acknowledged."""

import asyncio
from collections import Counter

from bus.base import Bus, BusUnavailable, Record
from tests.contract.bus_members import PATIENCE_S, read_all

PUBLISHERS = 20


class Load:
    """Publishes from several tasks until stopped; every record has a value of its own."""

    def __init__(self, bus: Bus, topic: str, *, deadline_s: float = 2.0) -> None:
        self._bus = bus
        self._topic = topic
        self._deadline_s = deadline_s
        self._running = True
        self.acknowledged: list[bytes] = []
        self.refused: list[bytes] = []
        self._tasks = [asyncio.create_task(self._publish(number)) for number in range(PUBLISHERS)]

    async def more_acknowledged(self, count: int) -> None:
        """Wait until `count` more records were acknowledged."""
        goal = len(self.acknowledged) + count
        async with asyncio.timeout(PATIENCE_S):
            while len(self.acknowledged) < goal:
                await asyncio.sleep(0.02)

    async def a_refusal(self) -> None:
        """Wait until one more publish was refused."""
        goal = len(self.refused) + 1
        async with asyncio.timeout(PATIENCE_S):
            while len(self.refused) < goal:
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Let every publish come to its end."""
        self._running = False
        await asyncio.gather(*self._tasks)

    async def check(self) -> None:
        """Nothing acknowledged is lost, nothing at all is doubled, and each key is in order."""
        taken = await read_all(self._bus, self._topic)
        stored = Counter(record.value for got in taken.values() for record in got)
        assert set(self.acknowledged) - set(stored) == set()
        assert [value for value, times in stored.items() if times > 1] == []
        for got in taken.values():
            for key in {record.key for record in got}:
                numbers = [int(record.value.split(b":")[1]) for record in got if record.key == key]
                assert numbers == sorted(numbers)

    async def _publish(self, number: int) -> None:
        sequence = 0
        while self._running:
            values = [b"%d:%d" % (number, sequence + i) for i in range(5)]
            sequence += 5
            try:
                await self._bus.publish(
                    self._topic, [Record(b"1|%d" % number, v) for v in values], deadline_s=self._deadline_s
                )
            except BusUnavailable:
                self.refused += values
                await asyncio.sleep(0.05)
            else:
                self.acknowledged += values
                await asyncio.sleep(0.005)
