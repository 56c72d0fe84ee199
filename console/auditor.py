"""The auditor: looks at the books every minute, and says so where they do not balance."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prometheus_client import Gauge

from bus.base import Bus, BusError
from console import metrics
from console.ledger import Books, Line, ledger
from stores.base import StoreError, Warehouse

log = logging.getLogger("penstock.auditor")

EVERY_S = 60.0

REST_PER_WORK = 9.0
"""An audit that takes long is rested from for so many times as long: it takes a tenth of the time at most."""


class Auditor:
    """Audits what the logs still hold, as long as `run` is under way."""

    def __init__(self, bus: Bus, warehouse: Warehouse, inc: int) -> None:
        self._bus = bus
        self._warehouse = warehouse
        self._inc = inc
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Audit for ever; what is down is logged, and asked again a minute later."""
        while True:
            started = time.monotonic()
            try:
                report(await self.books(history=False))
            except (BusError, StoreError) as error:
                metrics.AUDITS.labels("failed").inc()
                log.warning("the books could not be audited: %s", error)
            except Exception:  # a fault of the audit must not end the api
                metrics.AUDITS.labels("failed").inc()
                log.exception("the audit failed")
            took_s = time.monotonic() - started
            await asyncio.sleep(max(EVERY_S - took_s, took_s * REST_PER_WORK))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run beside what is done inside."""
        task = asyncio.create_task(self.run(), name="auditor")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def books(self, *, history: bool = True) -> Books:
        """Return the books as they are now; see `ledger`. Raises BusError, StoreError."""
        async with self._one_at_a_time:
            return await ledger(self._bus, self._warehouse, self._inc, history=history)


def report(books: Books) -> None:
    """Export what was found, per topic, and log each partition that does not balance."""
    figures: tuple[tuple[Gauge, Callable[[Line], int]], ...] = (
        (metrics.LEDGER_GAPS, lambda line: line.gaps),
        (metrics.LEDGER_OVERLAPS, lambda line: line.overlaps),
        (metrics.LEDGER_IN_FLIGHT, lambda line: line.in_flight),
    )
    for gauge, figure in figures:
        for topic in {line.topic for line in books.lines}:
            gauge.labels(topic).set(sum(figure(line) for line in books.lines if line.topic == topic))
    metrics.AUDITS.labels("balanced" if books.balanced else "unbalanced").inc()
    metrics.AUDITED_AT.set_to_current_time()
    for complaint in books.complaints():
        log.error("%s; see docs/operations.md", complaint)
