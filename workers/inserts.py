"""What every insert of a worker has: a place among few, a confirmed owner, a token and an id to end it by."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple
from uuid import uuid4

from bus.base import Fenced
from schemas.rows import LANDING, columns
from schemas.topics import Partition
from stores.base import Warehouse
from workers import metrics
from workers.crash import crash_point
from workers.ranges import Range

INSERTS_MAX = 1
"""At a time. A block on its way is there three times: rows, columns, what is sent (docs/decisions/0160)."""

MOMENT_S = 1.0
"""A look at all owners that took longer, because one had to be waited for, is repeated."""

Confirm = Callable[[], Awaitable[None]]
"""Awaited before every write; raises Fenced if the partition has another owner."""


class Part(NamedTuple):
    """What a range has to put into one table, by offset."""

    range_: Range
    rows: Mapping[int, str]
    confirm: Confirm

    @property
    def partition(self) -> Partition:
        return self.range_.claim.partition


class Inserts:
    """Sends blocks, at most `INSERTS_MAX` at a time."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._places = asyncio.Semaphore(INSERTS_MAX)

    async def insert(self, table: str, parts: Sequence[Part], token: str) -> set[Partition]:
        """Insert the parts as one block, or none of them if a partition has another owner: return those.

        The same rows always have the same order. Raises InsertRefused, StoreUnavailable, StoreMisconfigured.
        """
        async with self._places:
            lost = await not_owned(parts)
            sent = [part for part in parts if part.rows]
            if sent and not lost:
                crash_point("before_insert")
                with metrics.INSERT_SECONDS.labels(table).time():
                    await self._warehouse.insert(
                        LANDING[table],
                        _block(sent),
                        token=f"{token}/{table}",
                        query_id=_query_id([part.partition for part in sent], table),
                    )
                crash_point("after_insert")
        return lost


async def not_owned(parts: Sequence[Part]) -> set[Partition]:
    """Return the partitions that have another owner; of the others that was confirmed a moment ago."""
    while True:
        began = time.monotonic()
        lost: set[Partition] = set()
        for part in parts:
            try:
                await part.confirm()
            except Fenced:
                lost.add(part.partition)
        if lost or time.monotonic() - began < MOMENT_S:
            return lost


OF_PARTITION = (
    "startsWith(query_id, %(prefix)s) AND has(splitByChar('+', splitByChar('/', query_id)[3]), %(index)s)"
)
"""Holds for the query ids of all inserts with rows of a partition: see `of_partition`."""


def of_partition(partition: Partition) -> dict[str, str]:
    """Return the parameters of OF_PARTITION."""
    return {"prefix": f"penstock/{partition.topic}/", "index": str(partition.index)}


def _query_id(partitions: Sequence[Partition], table: str) -> str:
    indices = "+".join(str(partition.index) for partition in partitions)
    return f"penstock/{partitions[0].topic}/{indices}/{table}/{uuid4().hex}"


def _block(parts: Sequence[Part]) -> Mapping[str, Sequence[object]]:
    blocks = [
        columns(part.partition, part.range_.claim.inc, list(part.rows), list(part.rows.values()))
        for part in parts
    ]
    return {name: list(chain.from_iterable(block[name] for block in blocks)) for name in blocks[0]}
