"""Reading a stretch of the log outside any group, in chunks of bounded size."""

from collections.abc import AsyncIterator

from bus.base import Bus, Taken
from schemas.topics import Partition

CHUNK_BYTES = 16 * 2**20
CHUNK_MIN, CHUNK_MAX = 40, 5_000  # records; 40 of the largest make a chunk of that size


async def records(bus: Bus, partition: Partition, start: int, end: int) -> AsyncIterator[Taken]:
    """Yield the records [start, end); fewer if retention removed some. Raises BusUnavailable."""
    chunk = CHUNK_MIN
    while start < end:
        taken = await bus.read(partition, start=start, end=min(start + chunk, end))
        if not taken:
            return
        for record in taken:
            yield record
        start = taken[-1].offset + 1
        bytes_each = sum(len(record.value) for record in taken) // len(taken) + 1
        chunk = max(CHUNK_MIN, min(CHUNK_BYTES // bytes_each, CHUNK_MAX))
