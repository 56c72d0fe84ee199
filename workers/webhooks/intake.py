"""Reads `events.matched` and enters each match that is to be sent, once; only then the offset is committed.

A match that comes again, after a crash or a replay of the topic, finds its id taken and changes nothing.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from bus.base import Bus, BusError, Claim, Fenced, Mark, Subscription, Taken
from schemas.matches import decode_match
from schemas.topics import MATCHED, READERS, Partition
from schemas.webhooks import KEEP_TRYING_MS
from stores.base import StoreUnavailable
from stores.registry import NewDelivery, SqlRegistry
from stores.registry.rules import parse_uuid
from workers import metrics
from workers.backoff import Backoff
from workers.crash import crash_point
from workers.gauges import Gauges, Nothing
from workers.stage import Unavailable
from workers.webhooks.endpoints import Endpoints
from workers.webhooks.erased import Erased, NewMatch, told_of

RECORDS_MAX = 1_000
BYTES_MAX = 4 * 2**20
WAIT_MS = 500

NAME = "webhooks"

log = logging.getLogger("penstock.webhooks")


class Intake:
    """One member of the group. It is the `Owner` of its subscription; `took` tells that there is more."""

    def __init__(
        self,
        bus: Bus,
        registry: SqlRegistry,
        stop: asyncio.Event,
        took: asyncio.Event,
        breakers: Endpoints,
        *,
        fresh_s: float,
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._erased = Erased(registry, fresh_s=fresh_s)
        self._stop = stop
        self._took = took
        self.breakers = breakers
        self._owned: dict[Partition, Claim] = {}
        self._subscription: Subscription | None = None
        self._gauges = Gauges(MATCHED)
        self.turned_at = time.monotonic()

    @property
    def joined(self) -> bool:
        """Whether the bus took us into the group."""
        return self._subscription is not None

    def owned(self) -> list[Partition]:
        """Return the partitions that are ours."""
        return list(self._owned)

    async def run(self) -> None:
        """Take matches until told to stop."""
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                self._subscription = await self._bus.subscribe(MATCHED, group=READERS[MATCHED], owner=self)
                while not self._stop.is_set():
                    await self._work_once(self._subscription)
                    backoff = Backoff()
            except BusError as error:
                self.turned_at = time.monotonic()
                log.warning("joining the group anew: %s", error)
                metrics.RETRIES.labels(NAME, "bus").inc()
                await backoff.pause()
            finally:
                await self._leave()

    async def _work_once(self, subscription: Subscription) -> None:
        self.turned_at = time.monotonic()
        batches = await subscription.take(records_max=RECORDS_MAX, bytes_max=BYTES_MAX, wait_ms=WAIT_MS)
        batches = [batch for batch in batches if batch.claim.partition in self._owned]
        if batches:
            for batch in batches:
                if not await self._enter(subscription, list(_matches(batch.records))):
                    return  # stopping: what is in hand is taken again
            crash_point("after_deliveries")
            await self._commit(subscription, [Mark(batch.claim, batch.end) for batch in batches])
        await self._show(subscription)

    async def _enter(self, subscription: Subscription, matches: Sequence[NewMatch]) -> bool:
        """Enter what is to be sent; waits for the registry, as a member of the group, until the stop."""
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                deliveries = await self._erased.noted(matches)
                taken = await self._registry.take_deliveries(deliveries, keep_trying_ms=KEEP_TRYING_MS)
            except (StoreUnavailable, Unavailable) as error:
                log.warning("trying again: %s", error)
                metrics.RETRIES.labels(NAME, "registry").inc()
                await self._stay(subscription, backoff)
            else:
                metrics.WEBHOOKS_TAKEN.inc(taken)
                if taken:
                    self._took.set()
                return True
        return False

    async def _stay(self, subscription: Subscription, backoff: Backoff) -> None:
        self.turned_at = time.monotonic()
        claims = list(self._owned.values())
        subscription.pause(claims)
        await subscription.take(records_max=1, bytes_max=1, wait_ms=0)
        await self._show(subscription)
        await backoff.pause()
        subscription.resume([claim for claim in claims if self._owned.get(claim.partition) == claim])

    async def _show(self, subscription: Subscription) -> None:
        """Show the lag, also while nothing can be entered: that is when somebody looks."""
        await self._gauges.show(subscription, dict.fromkeys(self._owned, Nothing()), ())

    async def _commit(self, subscription: Subscription, marks: Sequence[Mark]) -> None:
        """Commit each partition by itself: one that has another owner does not hold up the rest."""
        for mark in marks:
            try:
                await subscription.commit([mark])
            except Fenced:
                log.warning("%s has another owner", mark.claim.partition)
                self._owned.pop(mark.claim.partition, None)

    async def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        self._owned.clear()
        if subscription is not None:
            with suppress(BusError):
                await subscription.close()

    # --- the bus's side

    async def assigned(self, claims: Sequence[Claim]) -> Mapping[Partition, int]:
        """Say from which offset each newly owned partition is read."""
        self._owned.update({claim.partition: claim for claim in claims})
        return {claim.partition: start_of(claim) for claim in claims}

    async def revoked(self, claims: Sequence[Claim]) -> None:
        """Let go: what is in hand and not committed is taken by the next owner, whom the ids tell."""
        for claim in claims:
            self._owned.pop(claim.partition, None)


def start_of(claim: Claim) -> int:
    """Return where to go on. A log that was cut is read from where it begins: ids tell what is new."""
    committed = claim.committed
    if committed is None or claim.log_start <= committed <= claim.log_end:
        return claim.log_start if committed is None else committed
    log.error(
        "%s has the offsets %d to %d and was read up to %d: matches were lost",
        claim.partition,
        claim.log_start,
        claim.log_end,
        committed,
    )
    return claim.log_start


def _matches(records: Sequence[Taken]) -> Iterator[NewMatch]:
    """Read the matches that may be sent; what is no match is passed over, and the log says so."""
    for record in records:
        try:
            match = decode_match(record.value)
            told = told_of(match)
        except (ValueError, RecursionError) as error:
            log.error("offset %d of %s is no match: %s", record.offset, MATCHED, type(error).__name__)
            continue
        ids = parse_uuid(match.id), parse_uuid(match.filter.id)
        if ids[0] and ids[1] and match.third_parties:
            yield NewMatch(told, NewDelivery(ids[0], ids[1], record.value.decode()))
