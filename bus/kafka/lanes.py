"""What is on its way to Kafka: a publish, its pieces, and the partition that each piece waits for."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from bus.base import RECORD_BYTES_MAX, BusUnavailable, Record
from bus.kafka.keeper import BATCH_BYTES_MAX
from bus.limits import refuse_large
from bus.partitioner import partition_of

RECORD_OVERHEAD_BYTES = 32
"""More than the lengths, the offset and the time of a record ever take in a batch."""
FILL_BYTES_MAX = BATCH_BYTES_MAX - 1024


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


class Lane:
    """One partition: the pieces that wait for it, and the task that sends them batch by batch."""

    __slots__ = ("index", "sending", "sent_at", "sequence", "topic", "waiting", "waiting_bytes")

    def __init__(self, topic: str, index: int) -> None:
        self.topic = topic
        self.index = index
        self.waiting: deque[Piece] = deque()
        self.waiting_bytes = 0
        self.sending: asyncio.Task[None] | None = None
        self.sent_at: float | None = None
        self.sequence = 0

    @property
    def idle(self) -> bool:
        """Whether a batch may be sent: none is outstanding."""
        return self.sending is None or self.sending.done()

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

    def next_pieces(self) -> list[Piece]:
        """Take off the waiting pieces that fit into one batch; those that nobody waits for are left out."""
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


def fill(batch: Any, pieces: Sequence[Piece]) -> int:
    """Append the records to a new batch, and return how many there are."""
    now_ms = int(time.time() * 1000)
    append = batch.append
    for piece in pieces:
        for key, value, headers in piece.records:
            append(timestamp=now_ms, key=key, value=value, headers=list(headers))
    count = sum(len(piece.records) for piece in pieces)
    assert batch.record_count() == count, "a record did not fit: its size was reckoned too small"
    return count
