"""Hands records to the bus, and waits until they are durable, whatever becomes of the client."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import chain
from time import perf_counter

from bus.base import Bus, BusUnavailable, Record
from gateway.errors import BUSY, UNAVAILABLE
from gateway.metrics import Metrics
from schemas.topics import RAW, REJECTED

log = logging.getLogger("penstock.gateway")

SAY_EVERY_S = 1.0


class Publisher:
    """At most `budget_bytes` of records are on their way at once; above that requests get 503."""

    def __init__(self, bus: Bus, budget_bytes: int, metrics: Metrics) -> None:
        self._bus = bus
        self._budget_bytes = budget_bytes
        self._in_flight_bytes = 0
        self._running: set[asyncio.Task[None]] = set()
        self._metrics = metrics
        self._seconds = metrics.publish_seconds.of("")
        self._said_at = -SAY_EVERY_S
        metrics.publish_bytes.set_function(lambda: self._in_flight_bytes)

    async def publish(
        self, accepted: Sequence[Record], rejected: Sequence[Record], *, deadline_s: float
    ) -> None:
        """Return when all are durable, else raise RequestRefused: then some may have landed.

        Cancelling the caller does not cancel what was begun: half a request must not be lost for it.
        """
        if not accepted and not rejected:
            return
        size = _bytes_of(accepted) + _bytes_of(rejected)
        if self._in_flight_bytes + size > self._budget_bytes and self._running:
            raise BUSY.refuse()
        self._in_flight_bytes += size
        # Not awaited itself: a caller that is cancelled would take the task with it.
        outcome: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._send(accepted, rejected, deadline_s))
        self._running.add(task)
        task.add_done_callback(lambda done: self._settle(done, size, outcome))
        error = await outcome
        if error is None:
            return
        if not isinstance(error, BusUnavailable):
            raise error
        self._metrics.publish_failures.inc()
        self._say(error)
        raise UNAVAILABLE.refuse()

    def _say(self, error: BusUnavailable) -> None:
        """Tell the operator why, at most once a second: under load every request fails alike."""
        now = perf_counter()
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            log.warning("the bus does not take records: %s", error)

    async def finish(self) -> None:
        """Wait for what is on its way; every publish has a deadline."""
        if self._running:
            await asyncio.wait(self._running)

    async def _send(self, accepted: Sequence[Record], rejected: Sequence[Record], deadline_s: float) -> None:
        started = perf_counter()
        topics = [(topic, records) for topic, records in ((RAW, accepted), (REJECTED, rejected)) if records]
        if len(topics) == 1:
            await self._bus.publish(*topics[0], deadline_s=deadline_s)
        else:
            calls = (self._bus.publish(*each, deadline_s=deadline_s) for each in topics)
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        self._seconds.observe(perf_counter() - started)

    def _settle(
        self, task: "asyncio.Task[None]", size: int, outcome: "asyncio.Future[BaseException | None]"
    ) -> None:
        self._running.discard(task)
        self._in_flight_bytes -= size
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if not outcome.done():  # else the caller is gone
            outcome.set_result(error)


def _bytes_of(records: Sequence[Record]) -> int:
    """Return the bytes of keys and values, without a step of ours for each; the gateway sets no headers."""
    return sum(map(len, chain.from_iterable(records)))
