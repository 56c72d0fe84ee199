"""Sends what is due: a few requests to each endpoint at once, so that none that hangs holds up another."""

import asyncio
import logging
import random
import time
from collections import Counter
from typing import Protocol

from stores.base import StoreUnavailable
from stores.registry import Delivery, Due, Ended, SqlRegistry
from workers import metrics
from workers.backoff import Backoff
from workers.crash import crash_point
from workers.webhooks.endpoints import Endpoint, Endpoints
from workers.webhooks.notes import Notes
from workers.webhooks.schedule import Answer, next_of

AT_ONCE_MAX = 256
OF_TENANT_MAX = 32
"""Requests under way in this process, and for one tenant."""

LEASE_MS = 60_000
"""For so long a claimed delivery is nobody else's: many times what a request may take."""

POLL_S = 0.5
SWEEP_EVERY_S = 30.0

log = logging.getLogger("penstock.webhooks")


class Sends(Protocol):
    """What sends: workers/webhooks/sender.py."""

    async def send(self, url: str, secret: str, match_id: str, body: bytes) -> Answer: ...


class Dispatcher:
    """Claims due deliveries and sends them, until `stop` is set; what is under way then is finished."""

    def __init__(
        self,
        registry: SqlRegistry,
        sender: Sends,
        endpoints: Endpoints,
        *,
        stop: asyncio.Event,
        took: asyncio.Event,
        keep_ms: int,
    ) -> None:
        self._registry = registry
        self._sender = sender
        self._endpoints = endpoints
        self._stop = stop
        self._took = took
        self._notes = Notes(registry)
        self._keep_ms = keep_ms
        self._sending: dict[asyncio.Task[None], int] = {}
        self._of_tenant: Counter[int] = Counter()
        self._in_hand: set[str] = set()
        self._next_sweep = 0.0
        self.turned_at = time.monotonic()

    async def run(self) -> None:
        """Send until told to stop; return when nothing is under way."""
        backoff = Backoff()
        while not self._stop.is_set():
            self.turned_at = time.monotonic()
            self._took.clear()
            try:
                await self._sweep()
                started = await self._start_due()
                backoff = Backoff()
            except StoreUnavailable as error:
                log.warning("trying again: %s", error)
                metrics.RETRIES.labels("webhooks", "registry").inc()
                await backoff.pause()
                continue
            if not started:
                await self._rest()
        if self._sending:
            await asyncio.wait(self._sending)

    async def keep_notes(self) -> None:
        """Write down what became of deliveries, until it is cancelled."""
        await self._notes.run()

    async def _start_due(self) -> int:
        """Start what there is room for; return how many requests that were."""
        due = list(await self._registry.due_filters())
        random.shuffle(due)  # where there is too little room for all, each gets its turn
        started = 0
        for filter_ in due:
            endpoint = self._endpoints.of(filter_.tenant_id, filter_.url, filter_.filter_id)
            room = min(
                endpoint.room,
                OF_TENANT_MAX - self._of_tenant[filter_.tenant_id],
                AT_ONCE_MAX - len(self._sending),
            )
            if room <= 0 or self._stop.is_set():
                continue
            claimed = await self._registry.claim_deliveries(filter_.filter_id, count=room, lease_ms=LEASE_MS)
            for delivery in claimed:
                # One whose claim ended while the registry was down is still being noted here.
                if delivery.match_id not in self._in_hand:
                    self._start(filter_, endpoint, delivery)
            started += len(claimed)
        metrics.WEBHOOK_BREAKERS_OPEN.set(len(self._endpoints.resting()))
        return started

    def _start(self, to: Due, endpoint: Endpoint, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(to, endpoint, delivery))
        endpoint.in_flight += 1
        self._in_hand.add(delivery.match_id)
        self._of_tenant[to.tenant_id] += 1
        self._sending[task] = to.tenant_id

        def ended(task: asyncio.Task[None]) -> None:
            endpoint.in_flight -= 1
            self._in_hand.discard(delivery.match_id)
            self._of_tenant[self._sending.pop(task)] -= 1
            self._took.set()  # there is room
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("a delivery failed inside", exc_info=error)

        task.add_done_callback(ended)

    async def _deliver(self, to: Due, endpoint: Endpoint, delivery: Delivery) -> None:
        with metrics.WEBHOOK_SECONDS.time():
            answer = await self._sender.send(to.url, to.secret, delivery.match_id, delivery.body.encode())
        crash_point("after_answer")
        if endpoint.record(delivered=answer.delivered):
            log.warning("the endpoint of filter %s fails; it rests, with a trial now and then", to.filter_id)
        next_ = next_of(delivery, answer)
        metrics.WEBHOOKS.labels(next_.state).inc()
        if next_.state == "dead":
            log.warning("match %s of filter %s is dead: %s", delivery.match_id, to.filter_id, next_.reason)
        await self._notes.note(Ended(delivery, next_.state, answer.status, next_.reason, next_.due_at))

    async def _rest(self) -> None:
        """Wait until there is more to send, more room, or time to look again."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._took, self._stop)]
        try:
            await asyncio.wait(waiting, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _sweep(self) -> None:
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_EVERY_S
        dead, _ = await self._registry.sweep_deliveries(keep_ms=self._keep_ms)
        if dead:
            log.warning("%d deliveries are dead: not delivered in time", dead)
            metrics.WEBHOOKS.labels("dead").inc(dead)
        waiting, dead = await self._registry.waiting_deliveries()
        metrics.WEBHOOKS_WAITING.set(waiting)
        metrics.WEBHOOKS_DEAD.set(dead)
