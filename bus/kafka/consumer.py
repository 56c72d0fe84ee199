"""aiokafka's consumers, set so that nothing is skipped and nothing is committed behind our back."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.structs import TopicPartition

from bus.base import Taken
from bus.kafka.connection import arguments, hang_up
from schemas.settings import Settings
from schemas.topics import Partition

log = logging.getLogger(__name__)

SESSION_TIMEOUT_MS = 10_000
HEARTBEAT_MS = 2_000
REBALANCE_TIMEOUT_MS = 60_000
REQUEST_TIMEOUT_MS = 30_000
POLL_INTERVAL_MAX_MS = 300_000
METADATA_AGE_MAX_MS = 60_000
FETCH_WAIT_MS = 100
"""aiokafka asks a broker one thing at a time: so long may new data of one partition wait for another."""
FETCH_BYTES_MAX = 16 * 2**20
PARTITION_FETCH_BYTES_MAX = 2**20
LEAVE_S = 5.0


def group_consumer(settings: Settings, group: str) -> AIOKafkaConsumer:
    """Make a member of `group`; it commits nothing by itself and never chooses an offset."""
    # This assignor keeps what it knows in its class: a class each, or subscriptions would share it.
    assignor = type("Assignor", (StickyPartitionAssignor,), {})
    return AIOKafkaConsumer(
        **arguments(settings),
        **_reading(),
        group_id=group,
        enable_auto_commit=False,
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        max_poll_interval_ms=POLL_INTERVAL_MAX_MS,
        metadata_max_age_ms=METADATA_AGE_MAX_MS,
        partition_assignment_strategy=(assignor,),
    )


def lone_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Make a reader outside any group."""
    return AIOKafkaConsumer(**arguments(settings), **_reading())


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and close. Where Kafka does not answer, go without a word; nothing is left running."""
    try:
        async with asyncio.timeout(LEAVE_S):
            await consumer.stop()
    except TimeoutError:
        log.warning("Kafka did not answer; a consumer left without a word")
        if consumer._fetcher is not None:
            await consumer._fetcher.close()
        await hang_up(consumer._client)


def named(partition: Partition) -> TopicPartition:
    """Name the partition as aiokafka does."""
    return TopicPartition(partition.topic, partition.index)


def as_taken(records: Sequence[Any]) -> list[Taken]:
    """Copy what aiokafka read; other clients may have left out a key or a value."""
    return [Taken(r.offset, r.key or b"", r.value or b"", tuple(r.headers)) for r in records]


def _reading() -> dict[str, Any]:
    return {
        "auto_offset_reset": "none",
        "isolation_level": "read_uncommitted",
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "fetch_max_bytes": FETCH_BYTES_MAX,
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES_MAX,
    }
