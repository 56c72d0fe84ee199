"""What the bus contract's tests share: a recording owner, and ways to wait for an engine."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from bus.base import Bus, Claim, Record, Subscription, Taken
from schemas.topics import Partition

PARTITIONS = 4
PATIENCE_S = 60.0
"""Kafka's rebalances take seconds; nothing here is a measurement."""


class Member:
    """An owner that starts where the group left off and keeps what it was told."""

    def __init__(self, starts: dict[Partition, int] | None = None) -> None:
        self.owned: dict[Partition, Claim] = {}
        self.calls: list[tuple[str, frozenset[Partition]]] = []
        self.starts = starts or {}

    async def assigned(self, claims: Sequence[Claim]) -> dict[Partition, int]:
        self.calls.append(("assigned", frozenset(claim.partition for claim in claims)))
        self.owned.update({claim.partition: claim for claim in claims})
        return {claim.partition: self.start(claim) for claim in claims}

    def start(self, claim: Claim) -> int:
        default = claim.log_start if claim.committed is None else claim.committed
        return self.starts.get(claim.partition, default)

    async def revoked(self, claims: Sequence[Claim]) -> None:
        self.calls.append(("revoked", frozenset(claim.partition for claim in claims)))
        for claim in claims:
            del self.owned[claim.partition]


async def drain(
    subscription: Subscription, count: int, records_max: int = 1000
) -> dict[Partition, list[Taken]]:
    """Take until `count` records came; checks on the way that offsets are contiguous."""
    taken: dict[Partition, list[Taken]] = {}
    async with asyncio.timeout(PATIENCE_S):
        while sum(map(len, taken.values())) < count:
            for batch in await subscription.take(records_max=records_max, bytes_max=2**20, wait_ms=500):
                got = taken.setdefault(batch.claim.partition, [])
                expected = got[-1].offset + 1 if got else batch.start
                assert [r.offset for r in batch.records] == list(range(expected, batch.end))
                got.extend(batch.records)
    return taken


async def read_all(bus: Bus, topic: str) -> dict[Partition, list[Taken]]:
    ends = await bus.ends(topic)
    return {p: list(await bus.read(p, start=start, end=end)) for p, (start, end) in ends.items()}


def records(count: int, *, subjects: int = 16, tag: str = "") -> list[Record]:
    return [Record(f"1|s{i % subjects}".encode(), f"{tag}{i}".encode()) for i in range(count)]


def partitions(topic: str) -> list[Partition]:
    return [Partition(topic, index) for index in range(PARTITIONS)]


def all_values(taken: dict[Partition, list[Taken]]) -> list[bytes]:
    return sorted(record.value for got in taken.values() for record in got)


async def poll(
    subscriptions: Sequence[Subscription], condition: Callable[[], bool], count: int = 2**31
) -> list[bytes]:
    """Keep all members taking, as Kafka asks of them, until `condition` holds or `count` values came."""
    values: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        while not condition() and len(values) < count:
            for subscription in subscriptions:
                batches = await subscription.take(records_max=100, bytes_max=2**20, wait_ms=50)
                values += [record.value for batch in batches for record in batch.records]
    return sorted(values)


async def owns(subscription: Subscription, member: Member, wanted: Collection[Partition]) -> None:
    """Wait until `member` owns exactly `wanted`."""
    await poll([subscription], lambda: set(member.owned) == set(wanted))
