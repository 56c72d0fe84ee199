"""One member of a Kafka consumer group, with ownership that the broker fences.

A commit names the generation in which the partition was claimed, not the one aiokafka is in by then:
a member that lost a partition and joined again cannot commit for it by accident.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from bus.base import AFTER_A_LOSS, Batch, BusUnavailable, Claim, Fenced, LogChanged, Mark, Owner
from bus.kafka.cluster import Cluster
from bus.kafka.consumer import as_taken, group_consumer, named, stop
from bus.kafka.ownership import Handover
from bus.kafka.position import Position
from bus.limits import refuse_long_note
from schemas.settings import Settings
from schemas.topics import Partition

JOIN_S = 10.0
TOPIC_S = 0.2
SILENT_S = 60.0
HOLES_MAX = 3
GATHER_CALLS_MAX = 6
GATHER_WAIT_MS = 30
"""A broker that has records answers in less; one that has none is not waited for longer."""
GATHER_S = 1.0


class KafkaSubscription:
    """Implements Subscription. `take` tells the owner of claims, a task of aiokafka of their revocation."""

    def __init__(self, settings: Settings, cluster: Cluster, topic: str, group: str, owner: Owner) -> None:
        self._topic = topic
        self._group = group
        self._cluster = cluster
        self._consumer = group_consumer(settings, group)
        self._handover = Handover(
            self._consumer, cluster, owner, topic=topic, group=group, inc=settings.bus_incarnation
        )
        self._fetching: asyncio.Task[dict[TopicPartition, list[Any]]] | None = None
        self._silent_s = 0.0

    async def join(self) -> None:
        """Connect and ask for a place in the group; partitions come later. Raises BusUnavailable."""
        problem = f"cannot join {self._group} on {self._topic}"
        try:
            async with asyncio.timeout(JOIN_S):
                await self._consumer.start()
                while self._topic not in await self._cluster.leaders([self._topic]):
                    problem = f"topic {self._topic} does not exist; `penstock topics create` makes it"
                    await asyncio.sleep(TOPIC_S)  # unless it is being made just now
        except (KafkaError, TimeoutError, BusUnavailable) as error:
            await stop(self._consumer)
            raise BusUnavailable(f"{problem}: {error!r}") from error
        self._consumer.subscribe([self._topic], listener=self._handover)

    async def take(self, *, records_max: int, bytes_max: int, wait_ms: int) -> Sequence[Batch]:
        """Return what is there, as Subscription promises.

        Raises LogChanged, what the owner raised, or BusUnavailable (if it comes again: subscribe anew).
        """
        deadline = time.monotonic() + wait_ms / 1000
        while True:
            self._raise_failure()
            await self._begin()
            batches = self._cut(records_max, bytes_max)
            wait_s = deadline - time.monotonic()
            if batches or wait_s <= 0:
                return batches
            await self._fetch(records_max, wait_s)

    async def commit(self, marks: Sequence[Mark]) -> None:
        """Store offsets and notes. Raises Fenced (nothing stored), BusUnavailable, ValueError for a note."""
        for mark in marks:
            refuse_long_note(mark.note)
        ownership = self._handover.current
        for mark in marks:
            if ownership is None or mark.claim.epoch != ownership.epoch:
                raise Fenced(f"{mark.claim.partition} is not owned any more")
        if ownership is not None and marks:
            await self._cluster.commit(ownership.membership, marks)

    def pause(self, claims: Sequence[Claim]) -> None:
        """Leave these partitions out of `take` until `resume`."""
        for position in self._positions_of(claims):
            position.paused = True
            self._consumer.pause(named(position.claim.partition))

    def resume(self, claims: Sequence[Claim]) -> None:
        """Take up paused partitions again."""
        for position in self._positions_of(claims):
            position.paused = False
            self._consumer.resume(named(position.claim.partition))

    async def lag(self) -> Mapping[Partition, int]:
        """Return how many records were not taken, for each owned partition. Raises BusUnavailable."""
        positions = self._positions()
        ends = await self._cluster.ends(self._topic) if positions else {}
        return {partition: max(0, ends[partition][1] - p.taken) for partition, p in positions.items()}

    async def close(self) -> None:
        """Give the partitions back and leave the group."""
        try:
            await self._handover.give_back()
        finally:
            if self._fetching is not None:
                self._fetching.cancel()
                await asyncio.wait([self._fetching])
            await stop(self._consumer)

    def _raise_failure(self) -> None:
        failure, self._handover.failure = self._handover.failure, None
        if failure is not None:
            raise failure

    async def _begin(self) -> None:
        for position in await self._handover.announce():
            self._seek(position)
            self._silent_s = 0.0

    def _positions(self) -> Mapping[Partition, Position]:
        ownership = self._handover.current
        return {} if ownership is None or ownership.leaving else ownership.positions

    def _positions_of(self, claims: Sequence[Claim]) -> list[Position]:
        positions = self._positions()
        found = [positions.get(claim.partition) for claim in claims]
        return [p for p, claim in zip(found, claims, strict=True) if p and p.claim.epoch == claim.epoch]

    def _cut(self, records_max: int, bytes_max: int) -> list[Batch]:
        ready = (p for p in self._positions().values() if not p.paused)
        return [batch for p in ready if (batch := p.cut(records_max, bytes_max))]

    async def _fetch(self, records_max: int, wait_s: float) -> None:
        """Wait for records; also where there is nothing to read, or the group takes us for dead.

        A call that is not done in time goes on: cancelled, it would lose the records that it holds.
        """
        if self._fetching is None:
            call = self._consumer.getmany(timeout_ms=int(wait_s * 1000), max_records=records_max)
            self._fetching = asyncio.create_task(call)
        started = time.monotonic()
        done, _ = await asyncio.wait([self._fetching], timeout=wait_s)
        if done:
            fetching, self._fetching = self._fetching, None
            if await self._accept(fetching):
                self._silent_s = 0.0
                await self._gather(records_max)
                return
        self._silent_s += time.monotonic() - started
        await self._refuse_silence()

    async def _gather(self, records_max: int) -> None:
        """Add what aiokafka has read besides, and what it reads now: where records wait to be taken it reads
        no more, so what came since lies with the broker. A round of few records costs the warehouse as much
        as one of many (docs/decisions/0155).
        """
        for _ in range(GATHER_CALLS_MAX):
            call = self._consumer.getmany(timeout_ms=GATHER_WAIT_MS, max_records=records_max)
            self._fetching = asyncio.create_task(call)
            done, _ = await asyncio.wait([self._fetching], timeout=GATHER_S)
            if not done:
                return  # it goes on, and the next call takes what it brings
            fetching, self._fetching = self._fetching, None
            if not await self._accept(fetching):
                return

    async def _accept(self, fetching: asyncio.Task[dict[TopicPartition, list[Any]]]) -> bool:
        """Keep what was fetched; tells whether there was anything. Raises LogChanged or BusUnavailable."""
        try:
            fetched = fetching.result()
        except NoOffsetForPartitionError:
            return False  # from before we said where reading starts
        except OffsetOutOfRangeError:
            await self._check_log()
            return False
        except KafkaError as error:
            for reading in self._positions().values():
                self._seek(reading)
            raise BusUnavailable(f"aiokafka cannot read {self._topic}: {error!r}") from error
        positions = self._positions()
        for tp, records in fetched.items():
            position = positions.get(Partition(tp.topic, tp.partition))
            if position is not None and not position.accept(as_taken(records)):
                self._refuse_hole(position, records[0].offset)
        return bool(fetched)

    def _refuse_hole(self, position: Position, found: int) -> None:
        position.holes += 1
        if position.holes > HOLES_MAX:
            raise LogChanged(f"{position.claim.partition} has no record {position.fetched}; {found} follows")
        self._seek(position)

    async def _check_log(self) -> None:
        """Find out whether the log lost what we were to read next, or the broker was only behind."""
        ends = await self._cluster.ends(self._topic)
        for partition, reading in self._positions().items():
            first, end = ends[partition]
            if not first <= reading.fetched <= end:
                raise LogChanged(
                    f"{partition} has the offsets {first} to {end}, but was read up to {reading.fetched}. "
                    f"{AFTER_A_LOSS}"
                )
            self._seek(reading)

    async def _refuse_silence(self) -> None:
        """Raise if nothing came for a minute although there is something: aiokafka's reader has died."""
        if self._silent_s < SILENT_S:
            return
        self._silent_s = 0.0
        lag = await self.lag()
        if any(lag[partition] for partition, p in self._positions().items() if not p.paused):
            raise BusUnavailable(f"no records of {self._topic} for {SILENT_S:.0f} s, though there are some")

    def _seek(self, position: Position) -> None:
        self._consumer.seek(named(position.claim.partition), position.fetched)
