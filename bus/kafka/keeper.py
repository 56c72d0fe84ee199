"""Keeps one good producer: connects in the background, and replaces one that was poisoned, stuck or worn.

An idempotent producer numbers its records per partition. A record that the broker refuses, or the number
2^31, leaves a gap in that count which nothing closes: every later batch of the partition fails.
So a producer is thrown away at the first delivery error, and in good time before the count runs out.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from bus.kafka.lanes import Batch

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.2
RETRY_MAX_S = 2.0
AGE_MAX_S = 24 * 3600.0
STUCK_S = 30.0
"""A batch that is older has outlived every deadline; a new connection may do better than its retries."""
SETTLE_S = 2.0
LOOK_S = 0.5


class Producer(Protocol):
    """What publishing needs of a producer. It calls `freed` when a partition that was not free may be."""

    freed: Callable[[], None]

    def free(self, place: tuple[str, int]) -> bool: ...
    def send(self, batches: Sequence[Batch]) -> None: ...
    async def partitions_for(self, topic: str) -> set[int]: ...


class Load(Protocol):
    """What depends on the producer."""

    def in_flight(self) -> tuple[int, float]:
        """Return how many batches the producer has, and the age in seconds of the oldest."""

    def resume(self) -> None:
        """Send what waits: there is a producer."""

    def abandon(self) -> None:
        """Fail every batch that the last producer still has: what became of it is unknown."""


Connect = Callable[[], Awaitable[Any]]
Discard = Callable[[Any], Awaitable[None]]


class Keeper:
    """Holds `producer`, which is None while there is none to be trusted."""

    def __init__(
        self,
        connect: Connect,
        discard: Discard,
        load: Load,
        *,
        age_max_s: float = AGE_MAX_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        self.producer: Producer | None = None
        self.replaced = 0
        self._connect = connect
        self._discard = discard
        self._load = load
        self._age_max_s = age_max_s
        self._stuck_s = stuck_s
        self._ready = asyncio.Event()
        self._wake = asyncio.Event()
        self._why = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._task = asyncio.create_task(self._keep(), name="kafka-producer")

    async def ready(self) -> Producer:
        """Wait until there is a producer, and return it."""
        while self.producer is None:
            await self._ready.wait()
        return self.producer

    def distrust(self, producer: Producer, why: str) -> None:
        """Ask for another producer if this one is still in use; `why` goes to the log."""
        if producer is self.producer:
            self.producer = None
            self._ready.clear()
            self._why = why
            self._wake.set()

    async def close(self) -> None:
        """End the producer; what is in flight fails."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while True:
            current = await self._connect_at_last()
            born = time.monotonic()
            try:
                self._use(current)
                await self._watch(current, born)
                log.warning("the Kafka producer is replaced: %s", self._why)
                await self._settle()
                self.replaced += 1
            finally:
                self.producer = None
                self._ready.clear()
                self._load.abandon()
                await self._discard_safely(current)

    async def _discard_safely(self, producer: Producer) -> None:
        try:
            await self._discard(producer)
        except Exception:
            log.exception("a Kafka producer could not be ended properly; going on without it")

    async def _connect_at_last(self) -> Producer:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                connected: Producer = await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, all there is to do is to try again
                if wait_s == RETRY_FIRST_S:
                    log.warning("no connection to Kafka: %r", error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
            else:
                log.info("connected to Kafka")
                return connected

    def _use(self, producer: Producer) -> None:
        self.producer = producer
        self._wake.clear()
        self._ready.set()
        self._load.resume()

    async def _watch(self, producer: Producer, born: float) -> None:
        while not self._wake.is_set():
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                if self._load.in_flight()[1] > self._stuck_s:
                    self.distrust(producer, f"a batch is older than {self._stuck_s:.0f} s")
                elif time.monotonic() - born > self._age_max_s:
                    self.distrust(producer, "it is a day old")

    async def _settle(self) -> None:
        """Give the batches of healthy partitions a moment to be acknowledged; none are added meanwhile."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            count, oldest_s = self._load.in_flight()
            if not count or oldest_s > self._stuck_s:
                return
            await asyncio.sleep(0.01)
