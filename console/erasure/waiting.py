"""What the log still has of before an erasure: until when, and whether it is gone."""

from collections.abc import Mapping, Sequence

from bus.base import Bus
from schemas.topics import ALL, Partition


async def log_ends(bus: Bus) -> dict[str, list[int]]:
    """Return one past the last record of each partition of each topic. Raises BusUnavailable."""
    return {topic: [end for _, (_, end) in sorted((await bus.ends(topic)).items())] for topic in ALL}


async def kept_ms(bus: Bus) -> int | None:
    """Return how long the log keeps a record, None: for good. Raises BusUnavailable."""
    kept = [await bus.expire(topic) for topic in ALL]
    known = [each for each in kept if each is not None]
    return max(known) if len(known) == len(kept) else None


async def still_there(bus: Bus, ends: Mapping[str, Sequence[int]]) -> list[Partition]:
    """Return the partitions that have a record from before these ends. Raises BusUnavailable."""
    found = []
    for topic, until in ends.items():
        for partition, (start, _) in sorted((await bus.ends(topic)).items()):
            if partition.index < len(until) and start < until[partition.index]:
                found.append(partition)
    return found
