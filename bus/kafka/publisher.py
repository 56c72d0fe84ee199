"""Group commit: the records of concurrent publishes share one batch per partition, one batch at a time.

The next batch is filled while the last is with the broker (docs/decisions/0020), and what goes to one broker
goes in one request (docs/decisions/0157).
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from aiokafka.errors import KafkaError, ProducerClosed, UnknownTopicOrPartitionError

from bus.base import BusUnavailable, Record
from bus.kafka.keeper import Connect, Discard, Keeper, Producer
from bus.kafka.lanes import Batch, Call, Lane, Piece, cut
from bus.kafka.pace import Pace

SEQUENCE_MAX = 2**31 - 2**24
"""Records of one partition after which a producer is worn out: its counter is a signed 32-bit number."""

WORTHWHILE_BYTES = 64 * 1024
"""Where so much waits for a partition, nothing waits for its turn."""


class Publisher:
    """Publishes through whichever producer the keeper has. `start` it in a running loop, then `close` it."""

    def __init__(
        self,
        connect: Connect,
        discard: Discard,
        *,
        bytes_budget: int,
        sequence_max: int = SEQUENCE_MAX,
        **keeping: float,
    ) -> None:
        self.keeper = Keeper(connect, discard, self, **keeping)
        self.held_bytes = 0
        self.failed_at: float | None = None
        self._bytes_budget = bytes_budget
        self._sequence_max = sequence_max
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._partitions: dict[str, int] = {}
        self._pace = Pace(self._send_all)
        self._soon = Pace(self._send_all, every_s=0)
        self._answered = Pace(self._wake_all, every_s=0)

    def start(self) -> None:
        """Begin to connect; returns at once, whether Kafka is there or not."""
        self.keeper.start()

    async def close(self) -> None:
        """End the producer; what is still in flight fails."""
        await self.keeper.close()

    async def publish(self, topic: str, records: Sequence[Record], *, deadline_s: float) -> None:
        """Return when all are durable. Raises RecordTooLarge or BusUnavailable, as the Bus promises."""
        if not records:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        count = self._partitions.get(topic) or await self._count_partitions(topic, deadline_s)
        call = Call(loop)
        pieces = cut(call, records, count)
        self._reserve(pieces)
        timer = loop.call_at(deadline, self._expire, call)
        try:
            for piece in pieces:
                self._enqueue(topic, piece)
            await call.done
        finally:
            timer.cancel()
            for piece in pieces:
                if piece.waiting:
                    self._withdraw(topic, piece)

    def in_flight(self) -> tuple[int, float]:
        """Return how many batches are with the broker, and the age in seconds of the oldest."""
        sent = [lane.sent_at for lane in self._lanes.values() if lane.batch is not None]
        return len(sent), time.monotonic() - min(sent) if sent else 0.0

    def resume(self) -> None:
        """Send what waits: there is a new producer, and it counts from zero."""
        if self.keeper.producer is not None:
            self.keeper.producer.freed = self._answered.ask
        self._partitions.clear()
        for lane in self._lanes.values():
            lane.sequence = 0
        self._wake_all()

    def abandon(self) -> None:
        """Fail what the last producer still has."""
        for lane in self._lanes.values():
            if lane.batch is not None:
                self._lost(lane.batch, "the producer was replaced before Kafka acknowledged")

    async def _count_partitions(self, topic: str, deadline_s: float) -> int:
        try:
            async with asyncio.timeout(deadline_s):
                count = len(await self._partitions_of(topic))
        except UnknownTopicOrPartitionError:
            raise BusUnavailable(f"topic {topic} does not exist; `penstock topics create` makes it") from None
        except (KafkaError, TimeoutError) as error:
            raise BusUnavailable(f"no connection to Kafka: {error!r}") from error
        self._partitions[topic] = count
        return count

    async def _partitions_of(self, topic: str) -> set[int]:
        while True:
            producer = await self.keeper.ready()
            with suppress(ProducerClosed):  # it was replaced while we asked
                return await producer.partitions_for(topic)

    def _reserve(self, pieces: Sequence[Piece]) -> None:
        size_bytes = sum(piece.size_bytes for piece in pieces)
        if self.held_bytes + size_bytes > self._bytes_budget:
            raise BusUnavailable(
                f"{self.held_bytes} bytes are on their way to Kafka already, of {self._bytes_budget} at most"
            )
        self.held_bytes += size_bytes

    def _enqueue(self, topic: str, piece: Piece) -> None:
        lane = self._lanes.get((topic, piece.index))
        if lane is None:
            lane = self._lanes[topic, piece.index] = Lane(topic, piece.index, self._settle)
        lane.add(piece)
        self._wake(lane)

    def _withdraw(self, topic: str, piece: Piece) -> None:
        self._lanes[topic, piece.index].withdraw(piece)
        self.held_bytes -= piece.size_bytes

    def _expire(self, call: Call) -> None:
        if not call.done.done():
            self.failed_at = time.monotonic()
            call.fail("Kafka has not acknowledged in time")

    def _wake(self, lane: Lane) -> None:
        """Have what waits sent: with all partitions' turn, or at once where there is enough."""
        if lane.batch is None and self.keeper.producer is not None:
            if lane.waiting_bytes >= WORTHWHILE_BYTES:
                self._soon.ask()
            else:
                self._pace.ask()

    def _wake_all(self) -> None:
        for lane in self._lanes.values():
            if lane.waiting:
                self._wake(lane)

    def _send_all(self) -> None:
        """Send what waits, but for brokers that still have a request: their answer wakes it."""
        producer = self.keeper.producer
        if producer is None:
            return
        batches: list[Batch] = []
        for lane in self._lanes.values():
            if lane.waiting and lane.batch is None and producer.free(lane.place):
                if lane.sequence > self._sequence_max:
                    self.keeper.distrust(producer, f"its counter for {lane.place} runs out")
                elif (batch := lane.next_batch()) is not None:
                    batches.append(batch)
        if batches:
            self._send(producer, batches)

    def _send(self, producer: Producer, batches: Sequence[Batch]) -> None:
        try:
            producer.send(batches)
        except Exception as error:  # noqa: BLE001 - whatever it is, the outcome is unknown and the producer suspect
            for batch in batches:
                self._settle(batch, error)

    def _settle(self, batch: Batch, error: Exception | None) -> None:
        """Tell its publishes what became of a batch."""
        lane = batch.lane
        if lane.batch is not batch:
            return  # it was given up before
        if error is None:
            self.failed_at = None
            self._end(batch)
            for piece in batch.pieces:
                piece.call.durable()
        else:
            self._lost(batch, f"Kafka has not taken the batch: {error!r}")
            if self.keeper.producer is not None:
                self.keeper.distrust(self.keeper.producer, f"{lane.place}: {error!r}")

    def _lost(self, batch: Batch, why: str) -> None:
        self.failed_at = time.monotonic()
        self._end(batch)
        for piece in batch.pieces:
            piece.call.fail(why)

    def _end(self, batch: Batch) -> None:
        batch.lane.batch = None
        self.held_bytes -= batch.size_bytes
