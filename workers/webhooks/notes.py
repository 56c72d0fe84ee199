"""Notes what became of deliveries: those that end while one write is under way share the next.

A write each would wait for the others, and a database that serves one writer at a time would refuse some.
"""

import asyncio
import logging

from stores.base import StoreUnavailable
from stores.registry import Ended, SqlRegistry
from workers import metrics
from workers.backoff import Backoff

BATCH_MAX = 500

log = logging.getLogger("penstock.webhooks")


class Notes:
    """`run` writes until it is cancelled; `note` returns when it is written."""

    def __init__(self, registry: SqlRegistry) -> None:
        self._registry = registry
        self._waiting: list[tuple[Ended, asyncio.Future[None]]] = []
        self._more = asyncio.Event()

    async def note(self, ended: Ended) -> None:
        """Return when it is noted: only then is a delivered one never sent again."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((ended, done))
        self._more.set()
        await done

    async def run(self) -> None:
        """Write what there is, again and again while the registry is down. Raises StoreMisconfigured."""
        while True:
            await self._more.wait()
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            if not self._waiting:
                self._more.clear()
            await self._write([ended for ended, _ in batch])
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def _write(self, batch: list[Ended]) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._registry.end_deliveries(batch)
            except StoreUnavailable as error:
                log.warning("trying again to note what became of %d deliveries: %s", len(batch), error)
                metrics.RETRIES.labels("webhooks", "registry").inc()
                await backoff.pause()
            else:
                return
