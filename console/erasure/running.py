"""The task that brings erasures on beside the api: several processes share them by lease."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from console import metrics
from console.erasure.eraser import Eraser
from schemas.erasures import STATES
from stores.base import StoreError
from stores.registry import SqlRegistry

log = logging.getLogger("penstock.erasure")

EVERY_S = 5.0
REST_PER_WORK = 4.0
"""A round that takes long is rested from for so many times as long."""


class Erasing:
    """Takes a step with each open erasure, as long as `run` is under way."""

    def __init__(self, eraser: Eraser, registry: SqlRegistry) -> None:
        self._eraser = eraser
        self._registry = registry

    async def run(self) -> None:
        """Go on for ever; what is down is tried again."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                metrics.ERASURE_FAILURES.inc(await self._eraser.advance_all())
                counts = await self._registry.count_erasures()
                for state in STATES:
                    metrics.ERASURES.labels(state).set(counts.get(state, 0))
            except StoreError as error:
                log.warning("erasures are not looked at: %s", error)
            except Exception:  # a fault of one erasure must not end the api
                metrics.ERASURE_FAILURES.inc()
                log.exception("a step of an erasure failed")
            await asyncio.sleep(max(EVERY_S, (loop.time() - started) * REST_PER_WORK))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run beside what is done inside."""
        task = asyncio.create_task(self.run(), name="erasing")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
