"""What is on its way to Kafka: a publish, its pieces, and the partition that each piece waits for."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from bus.base import RECORD_BYTES_MAX, BusUnavailable, Record
from bus.limits import refuse_large
from bus.partitioner import partition_of

BATCH_BYTES_MAX = 512 * 1024
RECORD_OVERHEAD_BYTES = 32
"""More than the lengths, the offset and the time of a record ever take in a batch."""
FILL_BYTES_MAX = BATCH_BYTES_MAX - 1024
MAGIC = 2
"""The form of batches that carries a producer's id and count."""
LZ4 = 3
_NO_HEADERS: list[tuple[str, bytes]] = []


class Call:
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


class Piece:
    """The records of one publish for one partition, at most a batch of them."""

    __slots__ = ("call", "index", "records", "size_bytes", "waiting")

    def __init__(self, call: Call, index: int) -> None:
        self.call = call
        self.index = index
        self.records: list[Record] = []
        self.size_bytes = 0
        self.waiting = True


class Batch:
    """Pieces that go to a partition together, numbered from `sequence` on."""

    __slots__ = ("data", "lane", "pieces", "place", "sequence")

    def __init__(self, lane: "Lane", pieces: Sequence[Piece]) -> None:
        self.lane = lane
        self.place = lane.place
        self.pieces = pieces
        self.sequence = lane.sequence
        self.data: bytes | None = None

    @property
    def record_count(self) -> int:
        """How many records it has."""
        return sum(len(piece.records) for piece in self.pieces)

    @property
    def size_bytes(self) -> int:
        """More than it takes before it is compressed."""
        return sum(piece.size_bytes for piece in self.pieces)

    def build(self, producer_id: int, epoch: int) -> bytes:
        """Return it as it is sent, each time the same."""
        if self.data is None:
            self.data = self._build(producer_id, epoch)
        return self.data

    def settle(self, error: Exception | None) -> None:
        """Say what became of it: None is durable."""
        self.lane.settled(self, error)

    def _build(self, producer_id: int, epoch: int) -> bytes:
        builder = DefaultRecordBatchBuilder(MAGIC, LZ4, 0, producer_id, epoch, self.sequence, BATCH_BYTES_MAX)
        append = builder.append
        now_ms = int(time.time() * 1000)
        number = 0
        for piece in self.pieces:
            for key, value, headers in piece.records:
                fits = append(number, now_ms, key, value, list(headers) if headers else _NO_HEADERS)
                assert fits is not None, "a record did not fit: its size was reckoned too small"
                number += 1
        data: bytes = builder.build()
        return data


class Lane:
    """One partition: the pieces that wait for it, and the batch that is on its way."""

    __slots__ = ("batch", "place", "sent_at", "sequence", "settled", "waiting", "waiting_bytes")

    def __init__(self, topic: str, index: int, settled: Callable[[Batch, Exception | None], None]) -> None:
        self.place = TopicPartition(topic, index)
        self.settled = settled
        self.waiting: deque[Piece] = deque()
        self.waiting_bytes = 0
        self.batch: Batch | None = None
        self.sent_at = 0.0
        self.sequence = 0

    def add(self, piece: Piece) -> None:
        """Queue a piece."""
        while self.waiting and not self.waiting[0].waiting:
            self.waiting.popleft()  # withdrawn: while Kafka is away nobody else would clear them
        self.waiting.append(piece)
        self.waiting_bytes += piece.size_bytes

    def withdraw(self, piece: Piece) -> None:
        """Let go of a piece that nobody waits for; its place in the queue is cleared later."""
        piece.waiting = False
        piece.records = []
        self.waiting_bytes -= piece.size_bytes

    def next_batch(self) -> Batch | None:
        """Begin a batch of the waiting pieces that fit; those that nobody waits for are left out."""
        pieces = self._next_pieces()
        if not pieces:
            return None
        self.batch = batch = Batch(self, pieces)
        self.sent_at = time.monotonic()
        self.sequence += batch.record_count
        return batch

    def _next_pieces(self) -> list[Piece]:
        pieces: list[Piece] = []
        size_bytes = 0
        while self.waiting:
            piece = self.waiting[0]
            if piece.waiting and not piece.call.done.done():
                if pieces and size_bytes + piece.size_bytes > FILL_BYTES_MAX:
                    break
                piece.waiting = False
                pieces.append(piece)
                size_bytes += piece.size_bytes
                self.waiting_bytes -= piece.size_bytes
            self.waiting.popleft()
        return pieces


def cut(call: Call, records: Sequence[Record], partitions: int) -> list[Piece]:
    """Sort records by partition, in order, into pieces that fit into a batch. Raises RecordTooLarge."""
    pieces: list[Piece] = []
    last: dict[int, Piece] = {}
    for record in records:
        key, value, headers = record
        size_bytes = len(key) + len(value)
        if size_bytes > RECORD_BYTES_MAX:
            refuse_large(records)
        size_bytes += RECORD_OVERHEAD_BYTES
        for name, content in headers:
            size_bytes += len(name) * 4 + len(content) + RECORD_OVERHEAD_BYTES
        index = partition_of(key, partitions)
        piece = last.get(index)
        if piece is None or piece.size_bytes + size_bytes > FILL_BYTES_MAX:
            piece = last[index] = Piece(call, index)
            pieces.append(piece)
        piece.records.append(record)
        piece.size_bytes += size_bytes
    call.left = len(pieces)
    return pieces
