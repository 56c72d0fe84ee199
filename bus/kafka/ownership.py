"""Who owns what: the partitions that a rebalance gave us, and handing them over with the owner's consent."""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

from bus.base import AFTER_A_LOSS, Claim, LogChanged, Owner
from bus.kafka.cluster import Cluster, Membership
from bus.kafka.position import Position
from schemas.topics import Partition

log = logging.getLogger(__name__)

REVOKE_S = 25.0
"""The group waits this long for an owner; the rest of the rebalance timeout is for everybody to join."""

_epochs = itertools.count(1)


class Ownership:
    """What one rebalance gave us. It has positions once the owner said where reading starts."""

    def __init__(self, membership: Membership, partitions: Sequence[Partition]) -> None:
        self.membership = membership
        self.partitions = partitions
        self.epoch = next(_epochs)
        self.positions: dict[Partition, Position] = {}
        self.announced = False
        self.leaving = False


class Handover(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """Keeps `current`, the ownership that stands now.

    The owner hears of claims through `announce`, where it may take its time and raise, and of a
    revocation in a task of aiokafka, which waits for it before the group goes on. What it raises there
    is kept in `failure`: aiokafka would swallow it.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, cluster: Cluster, owner: Owner, *, topic: str, group: str, inc: int
    ) -> None:
        self.current: Ownership | None = None
        self.failure: Exception | None = None
        self._consumer = consumer
        self._cluster = cluster
        self._owner = owner
        self._topic = topic
        self._group = group
        self._inc = inc
        self._lock = asyncio.Lock()
        self._taken: dict[Partition, int] = {}

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Let the owner finish, for a limited time."""
        limit = asyncio.timeout(REVOKE_S)
        try:
            async with limit:
                await self.give_back()
        except Exception as error:  # noqa: BLE001 - it is the owner's; the next take raises it
            if limit.expired():
                log.warning("%s: the owner did not let go within %.0f s", self._group, REVOKE_S)
            else:
                self.failure = error

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Note what is ours and in which generation."""
        coordinator = self._consumer._coordinator
        membership = Membership(self._group, coordinator.generation, coordinator.member_id)
        self.current = Ownership(membership, sorted(Partition(tp.topic, tp.partition) for tp in assigned))

    async def give_back(self) -> None:
        """Tell the owner, who may still commit, and own nothing from then on."""
        ownership = self.current
        if ownership is None:
            return
        ownership.leaving = True  # from now on nothing is handed out
        try:
            async with self._lock:
                if self.current is ownership and ownership.positions:
                    await self._owner.revoked([p.claim for p in ownership.positions.values()])
        finally:
            self._taken.update({partition: p.taken for partition, p in ownership.positions.items()})
            if self.current is ownership:
                self.current = None

    async def announce(self) -> Sequence[Position]:
        """Tell the owner of a new ownership; returns the positions to read from, none if nothing is new.

        Raises LogChanged, BusUnavailable, and what the owner raises; it is told again the next time.
        """
        ownership = self.current
        if ownership is None or ownership.announced or ownership.leaving:
            return []
        async with self._lock:
            claims = await self._claims(ownership)
            if ownership.leaving:
                return []
            starts = await self._owner.assigned(claims) if claims else {}
            ownership.positions = {c.partition: Position(c, starts[c.partition]) for c in claims}
            ownership.announced = True
            if self.current is not ownership:
                # It took longer than the group waits: what it believes to own is gone.
                await self._owner.revoked(claims)
                return []
            return list(ownership.positions.values())

    async def _claims(self, ownership: Ownership) -> list[Claim]:
        if not ownership.partitions:
            return []
        committed = await self._cluster.committed(self._group, ownership.partitions)
        ends = await self._cluster.ends(self._topic)
        claims = []
        for partition in ownership.partitions:
            offset, note = committed.get(partition, (None, ""))
            log_start, log_end = ends.get(partition, (0, 0))
            known = max(offset or 0, self._taken.get(partition, 0))
            if log_end < known:
                raise LogChanged(
                    f"{partition} ends at offset {log_end}, but was read up to {known}. {AFTER_A_LOSS}"
                )
            claims.append(
                Claim(
                    partition=partition,
                    inc=self._inc,
                    epoch=ownership.epoch,
                    committed=offset,
                    note=note,
                    log_start=log_start,
                    log_end=log_end,
                )
            )
        return claims
