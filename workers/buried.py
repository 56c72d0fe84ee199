"""Which records of an open range have a dead letter out already: what was buried once stays buried.

The attempt that published the letter may have crashed, and a newer version could judge better. Then the
event would be stored and stand in the quarantine as well.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

from bus.base import Batch, Bus, BusUnavailable
from schemas.envelope import DeadLetter, EnvelopeError, decode_dead
from schemas.rows import QUARANTINE
from schemas.topics import DEAD, READERS, Partition
from stores.base import QueryRefused, StoreUnavailable, Warehouse
from workers.intent import Note, NoteUnreadable
from workers.judging import Death
from workers.replicas import Replicas
from workers.stage import Dead, Unavailable

READ_RECORDS = 100
"""Letters read at a time; one has up to 384 KiB."""

_STORED = """
SELECT src_ko AS ko, any(stage) AS stage, any(code) AS code, any(pointer) AS pointer, any(message) AS message
FROM quarantine
WHERE topic = %(dead)s AND src_topic = %(topic)s AND src_kp = %(kp)s AND src_inc = %(inc)s
AND src_ko >= %(start)s AND src_ko < %(end)s
GROUP BY src_ko
"""
assert f"FROM {QUARANTINE}\n" in _STORED


async def buried(batch: Batch, bus: Bus, warehouse: Warehouse, replicas: Replicas) -> dict[int, Death]:
    """Return the death of each offset of the batch whose letter is durable. Raises Unavailable.

    Letters that the quarantine worker has finished with are rows; the others are read from the topic. In
    this order: a letter that becomes a row in between is seen twice, and not never.
    """
    try:
        found = await _in_the_topic(batch, bus)
        await replicas.catch_up(QUARANTINE)
        return found | await _in_the_quarantine(batch, warehouse)
    except (BusUnavailable, StoreUnavailable, QueryRefused) as error:
        raise Unavailable(f"whether there are dead letters cannot be asked: {error}") from error


async def _in_the_topic(batch: Batch, bus: Bus) -> dict[int, Death]:
    claim, found = batch.claim, dict[int, Death]()
    source = (claim.partition.topic, claim.partition.index, claim.inc)
    ends, done = await asyncio.gather(bus.ends(DEAD), bus.committed(DEAD, group=READERS[DEAD]))
    for partition, (first, end) in ends.items():
        start = max(first, _finished(done.get(partition), claim.inc, end))
        async for letter in _letters(bus, partition, start, end):
            mine = (letter.src_topic, letter.src_kp, letter.src_inc) == source
            if mine and batch.start <= letter.src_ko < batch.end:
                found[letter.src_ko] = _death(letter)
    return found


def _finished(mark: tuple[int, str] | None, inc: int, end: int) -> int:
    """Return up to where letters are rows for sure: 0 if the mark is of another log."""
    if mark is None:
        return 0
    offset, text = mark
    try:
        note = Note.parse(text) if text else Note(inc)
    except NoteUnreadable:
        return 0
    return offset if note.inc == inc and offset <= end else 0


async def _letters(bus: Bus, partition: Partition, start: int, end: int) -> AsyncIterator[DeadLetter]:
    while start < end:
        records = await bus.read(partition, start=start, end=min(start + READ_RECORDS, end))
        if not records:
            return  # removed by retention meanwhile
        start = records[-1].offset + 1
        for record in records:
            try:
                yield decode_dead(record.value)
            except EnvelopeError:
                continue  # not one of ours


async def _in_the_quarantine(batch: Batch, warehouse: Warehouse) -> dict[int, Death]:
    claim = batch.claim
    params: Mapping[str, object] = {
        "dead": DEAD,
        "topic": claim.partition.topic,
        "kp": claim.partition.index,
        "inc": claim.inc,
        "start": batch.start,
        "end": batch.end,
    }
    rows = await warehouse.query(_STORED, params)
    return {
        int(row["ko"]): Death(row["stage"], Dead(row["code"], row["message"], row["pointer"])) for row in rows
    }


def _death(letter: DeadLetter) -> Death:
    return Death(letter.stage, Dead(letter.code, letter.message, letter.pointer))
