"""Group commit: the records of concurrent publishes share one batch per partition, one batch at a time.

A second batch for a partition would wait inside aiokafka, where it times out with the first. Here the
next one is filled while the last is with the broker (docs/decisions/0020).
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from bus.base import BusUnavailable, Record
from bus.kafka.keeper import BATCH_BYTES_MAX, Connect, Discard, Keeper, Producer
from bus.limits import refuse_large
from bus.partitioner import partition_of

RECORD_OVERHEAD_BYTES = 32
"""More than the lengths, the offset and the time of a record ever take in a batch."""
FILL_BYTES_MAX = BATCH_BYTES_MAX - 1024
SEQUENCE_MAX = 2**31 - 2**24
"""Records of one partition after which a producer is worn out: its counter is a signed 32-bit number."""


class _Call:
    """One publish: `done` resolves when the last of its pieces is durable, or the first has failed."""

    __slots__ = ("done", "left")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self.left = 0

    def durable(self) -> None:
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(BusUnavailable(why))


class _Piece:
    """The records of one publish for one partition, at most a batch of them."""

    __slots__ = ("call", "index", "records", "size_bytes", "waiting")

    def __init__(self, call: _Call, index: int) -> None:
        self.call = call
        self.index = index
        self.records: list[Record] = []
        self.size_bytes = 0
        self.waiting = True


class _Lane:
    """One partition: the pieces that wait for it, and the task that sends them batch by batch."""

    __slots__ = ("index", "sending", "sent_at", "sequence", "topic", "waiting")

    def __init__(self, topic: str, index: int) -> None:
        self.topic = topic
        self.index = index
        self.waiting: deque[_Piece] = deque()
        self.sending: asyncio.Task[None] | None = None
        self.sent_at: float | None = None
        self.sequence = 0

    def next_pieces(self) -> list[_Piece]:
        """Take off the waiting pieces that fit into one batch; those that nobody waits for are left out."""
        pieces: list[_Piece] = []
        size_bytes = 0
        while self.waiting:
            piece = self.waiting[0]
            if piece.waiting and not piece.call.done.done():
                if pieces and size_bytes + piece.size_bytes > FILL_BYTES_MAX:
                    break
                piece.waiting = False
                pieces.append(piece)
                size_bytes += piece.size_bytes
            self.waiting.popleft()
        return pieces


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
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._partitions: dict[str, int] = {}

    def start(self) -> None:
        """Begin to connect; returns at once, whether Kafka is there or not."""
        self.keeper.start()

    async def close(self) -> None:
        """End the producer; what is still in flight fails."""
        await self.keeper.close()

    async def publish(self, topic: str, records: Sequence[Record], *, deadline_s: float) -> None:
        """Return when all are durable. Raises RecordTooLarge or BusUnavailable, as the Bus promises."""
        refuse_large(records)
        if not records:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        count = self._partitions.get(topic) or await self._count_partitions(topic, deadline_s)
        call = _Call(loop)
        pieces = _cut(call, records, count)
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
                    self._withdraw(piece)

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

    def _reserve(self, pieces: Sequence[_Piece]) -> None:
        size_bytes = sum(piece.size_bytes for piece in pieces)
        if self.held_bytes + size_bytes > self._bytes_budget:
            raise BusUnavailable(
                f"{self.held_bytes} bytes are on their way to Kafka already, of {self._bytes_budget} at most"
            )
        self.held_bytes += size_bytes

    def _enqueue(self, topic: str, piece: _Piece) -> None:
        lane = self._lanes.get((topic, piece.index))
        if lane is None:
            lane = self._lanes[topic, piece.index] = _Lane(topic, piece.index)
        waiting = lane.waiting
        while waiting and not waiting[0].waiting:
            waiting.popleft()  # withdrawn: while Kafka is away nobody else would clear them
        waiting.append(piece)
        self._wake(lane)

    def _withdraw(self, piece: _Piece) -> None:
        piece.waiting = False
        piece.records = []
        self.held_bytes -= piece.size_bytes

    def _expire(self, call: _Call) -> None:
        if not call.done.done():
            self.failed_at = time.monotonic()
            call.fail("Kafka has not acknowledged in time")

    def _wake(self, lane: _Lane) -> None:
        if (
            lane.waiting
            and self.keeper.producer is not None
            and (lane.sending is None or lane.sending.done())
        ):
            # A task starts at the next turn of the loop: publishes of this turn share its first batch.
            lane.sending = asyncio.create_task(self._send_waiting(lane))

    async def _send_waiting(self, lane: _Lane) -> None:
        while lane.waiting and (producer := self.keeper.producer) is not None:
            if lane.sequence > self._sequence_max:
                self.keeper.distrust(producer, f"its counter for {lane.topic}/{lane.index} runs out")
                return
            pieces = lane.next_pieces()
            if pieces:
                await self._send(producer, lane, pieces)

    async def _send(self, producer: Producer, lane: _Lane, pieces: Sequence[_Piece]) -> None:
        lane.sent_at = time.monotonic()
        try:
            batch = producer.create_batch()
            lane.sequence += _fill(batch, pieces)
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

    def _lost(self, pieces: Sequence[_Piece], why: str) -> None:
        self.failed_at = time.monotonic()
        for piece in pieces:
            piece.call.fail(why)


def _cut(call: _Call, records: Sequence[Record], partitions: int) -> list[_Piece]:
    """Sort records by partition, in order, into pieces that fit into a batch."""
    pieces: list[_Piece] = []
    last: dict[int, _Piece] = {}
    for record in records:
        key, value, headers = record
        size_bytes = len(key) + len(value) + RECORD_OVERHEAD_BYTES
        for name, content in headers:
            size_bytes += len(name) * 4 + len(content) + RECORD_OVERHEAD_BYTES
        index = partition_of(key, partitions)
        piece = last.get(index)
        if piece is None or piece.size_bytes + size_bytes > FILL_BYTES_MAX:
            piece = last[index] = _Piece(call, index)
            pieces.append(piece)
        piece.records.append(record)
        piece.size_bytes += size_bytes
    call.left = len(pieces)
    return pieces


def _fill(batch: Any, pieces: Sequence[_Piece]) -> int:
    """Append the records to a new batch, and return how many there are."""
    now_ms = int(time.time() * 1000)
    append = batch.append
    for piece in pieces:
        for key, value, headers in piece.records:
            append(timestamp=now_ms, key=key, value=value, headers=list(headers))
    count = sum(len(piece.records) for piece in pieces)
    assert batch.record_count() == count, "a record did not fit: its size was reckoned too small"
    return count
