"""The bus in memory, for tests: what the engines promise, without a file, a thread or another process."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

from bus.base import Batch, BusUnavailable, Claim, Fenced, Mark, Owner, Record, Taken
from bus.holdings import Held, Holdings, check_position
from bus.limits import refuse_large, refuse_long_note
from bus.partitioner import partition_of
from bus.sharing import moves
from schemas.settings import Settings
from schemas.topics import Partition

POLL_S = 0.005


class MemoryLog:
    """The records and groups that all buses opened on it see, as processes see one engine."""

    def __init__(self, *, partitions: int, inc: int) -> None:
        self.partitions = partitions
        self.inc = inc
        self._topics: dict[str, list[list[Taken]]] = {}
        self._groups: dict[tuple[str, str], MemoryGroup] = {}

    def topic(self, name: str) -> list[list[Taken]]:
        """Return the topic's partitions, each a list of records; a topic is made by its first use."""
        return self._topics.setdefault(name, [[] for _ in range(self.partitions)])

    def group(self, topic: str, name: str) -> "MemoryGroup":
        """Return what `name` knows of `topic`; made by its first use."""
        return self._groups.setdefault((topic, name), MemoryGroup(self, topic))


class MemoryGroup:
    """Members, owners and positions of one group on one topic."""

    def __init__(self, log: MemoryLog, topic: str) -> None:
        self.offsets: dict[int, tuple[int, str]] = {}
        self.owners: dict[int, MemorySubscription] = {}
        self.members: list[MemorySubscription] = []
        self._log = log
        self._topic = topic
        self._epochs = count(1)

    def owner_names(self) -> dict[int, str]:
        """Return who has which partition; a free one is missing."""
        return {index: owner.name for index, owner in self.owners.items()}

    def claim(self, index: int, member: "MemorySubscription") -> Claim:
        """Give the partition to `member` under a new epoch."""
        self.owners[index] = member
        offset, note = self.offsets.get(index, (None, ""))
        return Claim(
            partition=Partition(self._topic, index),
            inc=self._log.inc,
            epoch=next(self._epochs),
            committed=offset,
            note=note,
            log_start=0,
            log_end=len(self._log.topic(self._topic)[index]),
        )


class MemorySubscription:
    """A member of a MemoryGroup; a task of its own gives up and takes partitions."""

    def __init__(self, bus: "MemoryBus", topic: str, group: MemoryGroup, owner: Owner) -> None:
        self.name = str(id(self))
        self._bus = bus
        self._logs = bus.log.topic(topic)
        self._group = group
        self._holdings = Holdings(owner)
        group.members.append(self)
        self._tending = asyncio.create_task(self._tend())

    async def _tend(self) -> None:
        while True:
            await self._move()
            await asyncio.sleep(POLL_S)

    async def _move(self) -> None:
        todo = moves(
            self.name,
            members=[member.name for member in self._group.members],
            owners=self._group.owner_names(),
            partitions=range(len(self._logs)),
        )
        surplus = [c for c in self._holdings.claims() if c.partition.index in todo.surplus]
        if surplus:
            await self._give_up(surplus)
        if todo.wanted:
            await self._holdings.gain([self._group.claim(index, self) for index in todo.wanted])

    async def _give_up(self, claims: Sequence[Claim]) -> None:
        await self._holdings.lose(claims)
        for claim in claims:
            del self._group.owners[claim.partition.index]

    async def take(self, *, records_max: int, bytes_max: int, wait_ms: int) -> Sequence[Batch]:
        """See Subscription. While the bus is down nothing comes."""
        give_up_at = asyncio.get_running_loop().time() + wait_ms / 1000
        while True:
            due = [] if self._bus.down else self._holdings.due()
            batches = [b for held in due if (b := self._batch(held, records_max, bytes_max)) is not None]
            remaining_s = give_up_at - asyncio.get_running_loop().time()
            if batches or remaining_s <= 0:
                return batches
            await asyncio.sleep(min(POLL_S, remaining_s))

    def _batch(self, held: Held, records_max: int, bytes_max: int) -> Batch | None:
        start, log = held.position or 0, self._logs[held.claim.partition.index]
        check_position(held.claim, start, 0, len(log))
        records: list[Taken] = []
        room_bytes = bytes_max
        for record in log[start : start + records_max]:
            room_bytes -= len(record.key) + len(record.value)
            if records and room_bytes < 0:
                break
            records.append(record)
        held.position = start + len(records)
        return Batch(held.claim, records) if records else None

    async def commit(self, marks: Sequence[Mark]) -> None:
        """See Subscription."""
        for mark in marks:
            refuse_long_note(mark.note)
        self._bus.reach()
        current = self._holdings.claims() if self in self._group.members else []
        for mark in marks:
            if not any(c.partition == mark.claim.partition and c.epoch == mark.claim.epoch for c in current):
                raise Fenced(f"{mark.claim.partition} has another owner")
        for mark in marks:
            self._group.offsets[mark.claim.partition.index] = (mark.offset, mark.note)

    def pause(self, claims: Sequence[Claim]) -> None:
        """See Subscription."""
        self._holdings.pause(claims, paused=True)

    def resume(self, claims: Sequence[Claim]) -> None:
        """See Subscription."""
        self._holdings.pause(claims, paused=False)

    async def lag(self) -> Mapping[Partition, int]:
        """See Subscription."""
        self._bus.reach()
        ends = {h.claim.partition: len(self._logs[h.claim.partition.index]) for h in self._holdings.started()}
        return {
            h.claim.partition: ends[h.claim.partition] - (h.position or 0) for h in self._holdings.started()
        }

    async def close(self) -> None:
        """See Subscription. Calls `revoked` for what is held."""
        self._tending.cancel()
        with suppress(asyncio.CancelledError):
            await self._tending
        if self not in self._group.members:
            return
        if claims := self._holdings.claims():
            await self._holdings.lose(claims)
        self._group.members.remove(self)
        for index in [i for i, name in self._group.owner_names().items() if name == self.name]:
            del self._group.owners[index]


class MemoryBus:
    """The bus in memory. A test sets `down` to True to have every call fail as in an outage."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.down = False
        self._subscriptions: list[MemorySubscription] = []

    def reach(self) -> None:
        """Raise BusUnavailable while `down`."""
        if self.down:
            raise BusUnavailable("the bus in memory was set down")

    async def publish(self, topic: str, records: Sequence[Record], *, deadline_s: float = 5.0) -> None:
        """See Bus; never waits, so the deadline is not used."""
        refuse_large(records)
        self.reach()
        logs = self.log.topic(topic)
        for key, value, headers in records:
            log = logs[partition_of(key, len(logs))]
            log.append(Taken(len(log), key, value, tuple(headers)))

    async def subscribe(self, topic: str, *, group: str, owner: Owner) -> MemorySubscription:
        """See Bus."""
        self.reach()
        subscription = MemorySubscription(self, topic, self.log.group(topic, group), owner)
        self._subscriptions.append(subscription)
        return subscription

    async def ends(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """See Bus."""
        self.reach()
        return {Partition(topic, i): (0, len(log)) for i, log in enumerate(self.log.topic(topic))}

    async def committed(self, topic: str, *, group: str) -> Mapping[Partition, tuple[int, str]]:
        """See Bus."""
        self.reach()
        return {Partition(topic, i): mark for i, mark in self.log.group(topic, group).offsets.items()}

    async def read(self, partition: Partition, *, start: int, end: int) -> Sequence[Taken]:
        """See Bus."""
        self.reach()
        return self.log.topic(partition.topic)[partition.index][start:end]

    async def expire(self, topic: str) -> int | None:
        """See Bus. Nothing is ever deleted."""
        self.reach()
        return None

    async def probe(self) -> None:
        """See Bus."""
        self.reach()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for subscription in self._subscriptions:
            await subscription.close()


def open_memory(settings: Settings) -> MemoryBus:
    """Open a bus on a log of its own."""
    return MemoryBus(MemoryLog(partitions=settings.bus_partitions, inc=settings.bus_incarnation))
