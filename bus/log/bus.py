"""The embedded bus: topics and groups as SQLite files in one directory, shared by any number of processes."""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from bus.base import Owner, Record, Taken
from bus.limits import refuse_large
from bus.log import topic as topics
from bus.log.database import Database
from bus.log.group import needed, open_group, positions
from bus.log.retention import Retention
from bus.log.subscription import LogSubscription
from bus.log.topic import State
from bus.log.writer import Writer
from schemas.settings import Settings
from schemas.topics import RAW, Partition

PROBE_S = 1.5
READ_BYTES_MAX = 8 * 2**20

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


class Topic:
    """A topic's file, opened twice: by the thread that writes and by the thread that reads."""

    def __init__(self, path: Path, partitions: int, retention: Retention) -> None:
        self.log = Database(path, topics.make(partitions))
        self.writer = Writer(Database(path, topics.make(partitions)), retention)

    async def end(self) -> None:
        """Write what waits, stop the threads."""
        await self.writer.end()
        await self.log.end()


class LogBus:
    """See bus.base.Bus. A topic or group is made by its first use."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._directory = directory
        self._partitions = settings.bus_partitions
        self._inc = settings.bus_incarnation
        self._topics: dict[str, Topic] = {}
        self._subscriptions: list[LogSubscription] = []

    async def publish(self, topic: str, records: Sequence[Record], *, deadline_s: float = 5.0) -> None:
        """See Bus. What still waited at the deadline was not written."""
        refuse_large(records)
        if records:
            await self._topic(topic).writer.publish(records, deadline_s)

    async def subscribe(self, topic: str, *, group: str, owner: Owner) -> LogSubscription:
        """See Bus."""
        subscription = LogSubscription(
            topic,
            member=f"{os.getpid()}-{uuid4().hex[:12]}",
            inc=self._inc,
            owner=owner,
            log=self._topic(topic).log,
            groups=open_group(self._group_path(group)),
        )
        await subscription.join()
        self._subscriptions.append(subscription)
        return subscription

    async def ends(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """See Bus."""
        state = await self._state(topic)
        return {Partition(topic, kp): (x.log_start, x.log_end) for kp, x in state.extents.items()}

    async def committed(self, topic: str, *, group: str) -> Mapping[Partition, tuple[int, str]]:
        """See Bus. Positions of a log that was made anew since are left out."""
        path = self._group_path(group)
        if not path.exists():
            return {}
        state = await self._state(topic)
        groups = open_group(path)
        try:
            found = await groups.run(positions, groups, topic)
        finally:
            await groups.end()
        return {
            Partition(topic, kp): (p.offset, p.note) for kp, p in found.items() if p.log_id == state.log_id
        }

    async def read(self, partition: Partition, *, start: int, end: int) -> Sequence[Taken]:
        """See Bus. What retention has deleted is left out. Raises BusUnavailable."""
        log = self._topic(partition.topic).log
        records: list[Taken] = []
        while start < end:
            chunk = await log.run(_read_chunk, log, partition.index, start, end)
            if not chunk:
                break
            records.extend(chunk)
            start = chunk[-1].offset + 1
        return records

    async def expire(self, topic: str) -> int | None:
        """See Bus. What is too old goes when something is written: here, a write of its own."""
        await self._topic(topic).writer.publish((), PROBE_S)
        return topics.RETENTION_S * 1000

    async def probe(self) -> None:
        """See Bus. Commits a write of its own to the file of the accepted events."""
        await self._topic(RAW).writer.publish((), PROBE_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(subscription.close() for subscription in self._subscriptions))
        await asyncio.gather(*(topic.end() for topic in self._topics.values()))

    async def _state(self, topic: str) -> State:
        log = self._topic(topic).log
        return await log.run(_read_state, log)

    def _topic(self, name: str) -> Topic:
        if name not in self._topics:
            path = self._directory / "topics" / f"{_checked(name)}.db"
            retention = Retention(partial(self._floors, name))
            self._topics[name] = Topic(path, self._partitions, retention)
        return self._topics[name]

    def _group_path(self, name: str) -> Path:
        return self._directory / "groups" / f"{_checked(name)}.db"

    def _floors(self, topic: str, log_id: str) -> dict[int, int] | None:
        """Return the lowest position of all groups that read the topic. Raises BusUnavailable."""
        reading = []
        for path in sorted(self._directory.glob("groups/*.db")):
            groups = open_group(path)
            found = needed(groups, topic, log_id)
            groups.close()
            if found is not None:
                reading.append(found)
        if not reading:
            return None
        common = set.intersection(*(set(floors) for floors in reading))
        return {kp: min(floors[kp] for floors in reading) for kp in common}


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a topic or group: letters, digits, '.', '_' and '-' can")
    return name


def _read_state(log: Database) -> State:
    with log.reading() as connection:
        return topics.state(connection)


def _read_chunk(log: Database, kp: int, start: int, end: int) -> list[Taken]:
    with log.reading() as connection:
        extent = topics.state(connection).extents[kp]
        start, end = max(start, extent.log_start), min(end, extent.log_end)
        if start >= end:
            return []
        records = topics.read(connection, kp, start=start, records_max=end - start, bytes_max=READ_BYTES_MAX)
        return records[: end - start]
