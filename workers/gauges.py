"""What a worker shows of the partitions it owns; of those that it lost it shows nothing."""

import time
from collections.abc import Collection, Mapping
from typing import Protocol

from bus.base import BusUnavailable, Subscription
from schemas.topics import Partition
from workers import metrics

EVERY_S = 5.0


class Hand(Protocol):
    """What a worker has in hand of one partition."""

    @property
    def in_hand(self) -> int: ...


class Nothing:
    """In hand: of a partition whose records are dealt with as they are taken."""

    in_hand = 0


class Gauges:
    """Lag, breakers and the number of partitions of one topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._shown: set[Partition] = set()
        self._next_at = 0.0

    async def show(
        self, subscription: Subscription, owned: Mapping[Partition, Hand], resting: Collection[Partition]
    ) -> None:
        """Ask for the lag now and then; while the bus is down the gauges keep their values."""
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + EVERY_S
        try:
            lag = await subscription.lag()
        except BusUnavailable:
            return
        metrics.OWNED.labels(self._topic).set(len(owned))
        for partition in self._shown - set(owned):
            metrics.LAG.remove(partition.topic, str(partition.index))
            metrics.BREAKER_OPEN.remove(partition.topic, str(partition.index))
        self._shown = set(owned)
        for partition, hand in owned.items():
            labels = (partition.topic, str(partition.index))
            # What a resting partition has taken waits as much as what it has not.
            metrics.LAG.labels(*labels).set(lag.get(partition, 0) + hand.in_hand)
            metrics.BREAKER_OPEN.labels(*labels).set(partition in resting)
