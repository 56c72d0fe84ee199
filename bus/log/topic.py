"""One topic in one SQLite file: its partitions, its blocks of records, what may be deleted."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from uuid import uuid4

from msgspec import Struct

from bus.base import BusUnavailable, Taken
from bus.log.block import Block, unpack
from bus.log.database import Make

RETENTION_S = 7 * 24 * 3600
RETENTION_BYTES = 10 * 2**30
DELETE_BLOCKS_MAX = 256
"""Blocks that one transaction deletes, so that publishers never wait long for it."""

_PARTITION_BITS = 48
"""A block's row id is partition and first offset in one number: a partition's rows stand together."""

_SCHEMA = (
    "CREATE TABLE topic (log_id TEXT NOT NULL, partitions INTEGER NOT NULL, probed_at_ms INTEGER NOT NULL)",
    """CREATE TABLE partitions (kp INTEGER PRIMARY KEY, log_start INTEGER NOT NULL, log_end INTEGER NOT NULL,
       block_bytes INTEGER NOT NULL)""",
    """CREATE TABLE blocks (place INTEGER PRIMARY KEY, count INTEGER NOT NULL, codec INTEGER NOT NULL,
       written_at_ms INTEGER NOT NULL, data BLOB NOT NULL)""",
)


class Extent(Struct, frozen=True):
    """First offset of a partition and one past its last."""

    log_start: int
    log_end: int


class State(Struct, frozen=True):
    """A snapshot of a topic: which log it is (`log_id` is made with the file), and its partitions."""

    log_id: str
    extents: Mapping[int, Extent]


def make(partitions: int) -> Make:
    """Return what fills a new topic file with its tables."""

    def run(connection: sqlite3.Connection) -> None:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO topic VALUES (?, ?, 0)", (uuid4().hex, partitions))
        rows = [(kp,) for kp in range(partitions)]
        connection.executemany("INSERT INTO partitions VALUES (?, 0, 0, 0)", rows)

    return run


def partition_count(connection: sqlite3.Connection) -> int:
    """Return the number of partitions, which is settled when the file is made."""
    count: int = connection.execute("SELECT partitions FROM topic").fetchone()[0]
    return count


def state(connection: sqlite3.Connection) -> State:
    """Return which log this is and where its partitions start and end."""
    log_id = connection.execute("SELECT log_id FROM topic").fetchone()[0]
    rows = connection.execute("SELECT kp, log_start, log_end FROM partitions ORDER BY kp")
    return State(log_id, {kp: Extent(log_start, log_end) for kp, log_start, log_end in rows})


def append(connection: sqlite3.Connection, blocks: Mapping[int, Sequence[Block]]) -> int:
    """Write the blocks of each partition at its end; return their bytes."""
    now_ms, total_bytes = _now_ms(), 0
    for kp, added in blocks.items():
        query = "SELECT log_end FROM partitions WHERE kp = ?"
        start = end = connection.execute(query, (kp,)).fetchone()[0]
        rows = []
        for block in added:
            rows.append((_place(kp, end), block.count, block.codec, now_ms, block.data))
            end += block.count
        connection.executemany("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)", rows)
        size_bytes = sum(len(block.data) for block in added)
        connection.execute(
            "UPDATE partitions SET log_end = ?, block_bytes = block_bytes + ? WHERE kp = ? AND log_end = ?",
            (end, size_bytes, kp, start),
        )
        total_bytes += size_bytes
    return total_bytes


def touch(connection: sqlite3.Connection) -> None:
    """Write something that nobody reads: a probe."""
    connection.execute("UPDATE topic SET probed_at_ms = ?", (_now_ms(),))


def read(
    connection: sqlite3.Connection, kp: int, *, start: int, records_max: int, bytes_max: int
) -> list[Taken]:
    """Return records from `start`, which must be in the log or its end.

    Whole blocks are unpacked until a limit is met: up to a block more than asked for may come. Raises
    BusUnavailable if what should be there cannot be read.
    """
    first = "SELECT max(place) FROM blocks WHERE place BETWEEN ? AND ?"
    (place,) = connection.execute(first, (_place(kp, 0), _place(kp, start))).fetchone()
    rows = connection.execute(
        "SELECT place, count, codec, data FROM blocks WHERE place BETWEEN ? AND ? ORDER BY place",
        (_place(kp, start) if place is None else place, _place(kp + 1, 0) - 1),
    )
    taken: list[Taken] = []
    expected, size_bytes = start, 0
    for place, count, codec, data in rows:
        block_start = place - _place(kp, 0)
        if block_start + count <= expected:  # only the log's end stands behind it
            continue
        if block_start > expected:
            raise BusUnavailable(f"the log is broken: partition {kp} misses offset {expected}")
        records = unpack(block_start, Block(count, codec, data))[expected - block_start :]
        taken.extend(records)
        expected = block_start + count
        size_bytes += sum(len(record.key) + len(record.value) for record in records)
        if len(taken) >= records_max or size_bytes >= bytes_max:
            break
    return taken


class Expired(Struct, frozen=True):
    """What may be deleted of a partition: `blocks` rows below offset `until`, `freed_bytes` in all."""

    blocks: int
    until: int
    freed_bytes: int


def expired(
    connection: sqlite3.Connection, kp: int, *, floor: int, age_s: float, bytes_max: float
) -> Expired:
    """Find blocks that are too old or too many, oldest first, none that reaches above `floor`.

    One call finds DELETE_BLOCKS_MAX at most.
    """
    query = "SELECT log_start, block_bytes FROM partitions WHERE kp = ?"
    until, held_bytes = connection.execute(query, (kp,)).fetchone()
    rows = connection.execute(
        """SELECT place, count, written_at_ms, length(data) FROM blocks
           WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?""",
        (_place(kp, 0), _place(kp + 1, 0) - 1, DELETE_BLOCKS_MAX),
    )
    oldest_ms = _now_ms() - age_s * 1000
    blocks = freed_bytes = 0
    for place, count, written_at_ms, size_bytes in rows:
        end = place - _place(kp, 0) + count
        if end > floor or (written_at_ms >= oldest_ms and held_bytes - freed_bytes <= bytes_max):
            break
        until, blocks, freed_bytes = end, blocks + 1, freed_bytes + size_bytes
    return Expired(blocks, until, freed_bytes)


def delete(connection: sqlite3.Connection, kp: int, found: Expired) -> None:
    """Delete what `expired` found in the same transaction; the partition starts later."""
    places = (_place(kp, 0), _place(kp, found.until) - 1)
    connection.execute("DELETE FROM blocks WHERE place BETWEEN ? AND ?", places)
    connection.execute(
        "UPDATE partitions SET log_start = ?, block_bytes = block_bytes - ? WHERE kp = ?",
        (found.until, found.freed_bytes, kp),
    )


def _place(kp: int, offset: int) -> int:
    return (kp << _PARTITION_BITS) + offset


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
