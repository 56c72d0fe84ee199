"""What a worker shows of the partitions it owns; of those that it lost it shows nothing."""

import time
from collections.abc import Collection

from bus.base import BusUnavailable, Subscription
from schemas.topics import Partition
from workers import metrics

EVERY_S = 5.0


class Gauges:
    """Lag, breakers and the number of partitions of one topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._shown: set[Partition] = set()
        self._next_at = 0.0

    async def show(
        self, subscription: Subscription, owned: Collection[Partition], resting: Collection[Partition]
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
        for partition in owned:
            labels = (partition.topic, str(partition.index))
            metrics.LAG.labels(*labels).set(lag.get(partition, 0))
            metrics.BREAKER_OPEN.labels(*labels).set(partition in resting)
