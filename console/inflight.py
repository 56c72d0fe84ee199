"""Events of a request that stand in the log and no worker has dealt with yet."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from bus.base import Bus
from console.records import records
from schemas.envelope import EnvelopeError, decode_envelope, encode
from schemas.topics import RAW, READERS, Partition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TAIL_RECORDS = 10_000
"""So many of the last records of each partition are looked through: who asks has just sent them."""


class InFlight:
    """Looks requests up in the log; one at a time, because that reads what many wait for."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._one_at_a_time = asyncio.Lock()

    async def of(self, request_id: str, tenant_id: int | None) -> list[dict[str, Any]]:
        """Return its events past what the workers have committed, as rows of a receipt.

        `tenant_id` limits it to one tenant's. Raises BusUnavailable.
        """
        async with self._one_at_a_time:
            committed = await self._bus.committed(RAW, group=READERS[RAW])
            ends = await self._bus.ends(RAW)
            found = await asyncio.gather(
                *(
                    self._of_partition(
                        partition, _start(committed, partition, *extent), extent[1], request_id
                    )
                    for partition, extent in ends.items()
                )
            )
        rows = [row for rows in found for row in rows]
        rows.sort(key=itemgetter("index"))
        return [row for row in rows if tenant_id in (None, row["tenant_id"])]

    async def _of_partition(
        self, partition: Partition, start: int, end: int, request_id: str
    ) -> list[dict[str, Any]]:
        mark = b'"request":' + encode(request_id)
        found = [
            (record.offset, row)
            async for record in records(self._bus, partition, start, end)
            if mark in record.value and (row := _row(record.value, request_id)) is not None
        ]
        return [{**row, "topic": RAW, "kp": partition.index, "ko": offset} for offset, row in found]


def _start(
    committed: Mapping[Partition, tuple[int, str]], partition: Partition, log_start: int, log_end: int
) -> int:
    offset, _ = committed.get(partition, (log_start, ""))
    return max(offset if offset <= log_end else log_start, log_end - TAIL_RECORDS)


def _row(value: bytes, request_id: str) -> dict[str, Any] | None:
    try:
        envelope = decode_envelope(value)
    except EnvelopeError:
        return None
    if envelope.request != request_id:
        return None
    return {
        "event_id": envelope.id,
        "tenant_id": envelope.tenant,
        "request_id": envelope.request,
        "index": envelope.index,
        "of": envelope.of,
        "received_at": _EPOCH + timedelta(milliseconds=envelope.received_at),
        "outcome": "in_flight",
        "at": None,
        "first_event_id": None,
        "reason": "",
        "pointer": "",
        "message": "",
        "replay_of": envelope.replay_of or "",
        "came_from": f"{envelope.dialect}/{envelope.source}",
    }
