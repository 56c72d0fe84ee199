"""Group commit: the records of concurrent publishes share one batch per partition, one batch at a time.

A second batch for a partition would wait inside aiokafka, where it times out with the first. Here the
next one is filled while the last is with the broker (docs/decisions/0020).
"""

import asyncio
import time
from collections.abc import Sequence

from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from bus.base import BusUnavailable, Record
from bus.kafka.keeper import Connect, Discard, Keeper, Producer
from bus.kafka.lanes import Call, Lane, Piece, cut, fill
from bus.kafka.pace import Pace

SEQUENCE_MAX = 2**31 - 2**24
"""Records of one partition after which a producer is worn out: its counter is a signed 32-bit number."""

WORTHWHILE_BYTES = 64 * 1024
"""A batch of so much goes without waiting for its turn."""


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
        sent = [lane.sent_at for lane in self._lanes.values() if lane.sent_at is not None]
        return len(sent), time.monotonic() - min(sent) if sent else 0.0

    def resume(self) -> None:
        """Send what waits: there is a new producer, and it counts from zero."""
        self._partitions.clear()
        for lane in self._lanes.values():
            lane.sequence = 0
            self._wake(lane)

    def abandon(self) -> None:
        """Fail what the last producer still has."""
        for lane in self._lanes.values():
            if lane.sending is not None:
                lane.sending.cancel()

    async def _count_partitions(self, topic: str, deadline_s: float) -> int:
        try:
            async with asyncio.timeout(deadline_s):
                producer = await self.keeper.ready()
                count = len(await producer.partitions_for(topic))
        except UnknownTopicOrPartitionError:
            raise BusUnavailable(f"topic {topic} does not exist; `penstock topics create` makes it") from None
        except (KafkaError, TimeoutError) as error:
            raise BusUnavailable(f"no connection to Kafka: {error!r}") from error
        self._partitions[topic] = count
        return count

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
            lane = self._lanes[topic, piece.index] = Lane(topic, piece.index)
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
        """Have what waits sent: at once where it is worth a batch of its own, else with the others."""
        if lane.waiting and lane.idle and self.keeper.producer is not None:
            if lane.waiting_bytes >= WORTHWHILE_BYTES:
                self._start(lane)
            else:
                self._pace.ask()

    def _send_all(self) -> None:
        for lane in self._lanes.values():
            if lane.waiting and lane.idle:
                self._start(lane)

    def _start(self, lane: Lane) -> None:
        # A task starts at the next turn of the loop: publishes of this turn share its batch.
        lane.sending = asyncio.create_task(self._send_waiting(lane))
        lane.sending.add_done_callback(lambda _: self._wake(lane))

    async def _send_waiting(self, lane: Lane) -> None:
        producer = self.keeper.producer
        if producer is None:
            return
        if lane.sequence > self._sequence_max:
            self.keeper.distrust(producer, f"its counter for {lane.topic}/{lane.index} runs out")
            return
        pieces = lane.next_pieces()
        if pieces:
            await self._send(producer, lane, pieces)

    async def _send(self, producer: Producer, lane: Lane, pieces: Sequence[Piece]) -> None:
        lane.sent_at = time.monotonic()
        try:
            batch = producer.create_batch()
            lane.sequence += fill(batch, pieces)
            await (await producer.send_batch(batch, lane.topic, partition=lane.index))
        except asyncio.CancelledError:
            self._lost(pieces, "the producer was replaced before Kafka acknowledged")
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the outcome is unknown and the producer suspect
            self._lost(pieces, f"Kafka has not taken the batch: {error!r}")
            self.keeper.distrust(producer, f"{lane.topic}/{lane.index}: {error!r}")
        else:
            self.failed_at = None
            for piece in pieces:
                piece.call.durable()
        finally:
            lane.sent_at = None
            self.held_bytes -= sum(piece.size_bytes for piece in pieces)

    def _lost(self, pieces: Sequence[Piece], why: str) -> None:
        self.failed_at = time.monotonic()
        for piece in pieces:
            piece.call.fail(why)
