"""Brings erasures on, step by step: each step can be killed anywhere and is done again by whoever comes next.

erasing: rows are deleted; once every worker must know the suppression, again, and what the registry has.
waiting_for_log: until the log has no record from before; what came in between is deleted now and then.
done: a last pass found nothing; the certificate is written.
"""

import logging
import time
from uuid import uuid4

from msgspec.structs import replace

from bus.base import Bus, BusError
from console.erasure.crash import crash_point
from console.erasure.deliveries import erase_deliveries
from console.erasure.outcomes import Outcomes
from console.erasure.sweep import Sweep
from console.erasure.waiting import kept_ms, log_ends, still_there
from schemas.erasures import Progress, Subject
from stores.base import StoreError, Warehouse
from stores.registry import Erasure, LeaseLost, SqlRegistry

log = logging.getLogger("penstock.erasure")

SETTLE_S = 90.0
"""By then every worker has read the suppression (30 s) and stored, or given up, what it had in hand."""

LEASE_MS = 60_000
"""Kept by every write; another process goes on where one was killed, after this."""

SWEEP_EVERY_S = 24 * 3600.0
"""How often rows that came in after all are looked for while the log is waited for."""


class Eraser:
    """Works on the erasures of one registry; several processes may, each on another one."""

    def __init__(
        self,
        bus: Bus,
        warehouse: Warehouse,
        registry: SqlRegistry,
        *,
        settle_s: float = SETTLE_S,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._bus = bus
        self._warehouse = warehouse
        self._registry = registry
        self._settle_ms = int(settle_s * 1000)
        self._lease_ms = lease_ms
        self._owner = uuid4().hex

    async def advance_all(self) -> int:
        """Take a step with each that is open; return how many failed. Raises StoreUnavailable."""
        failed = 0
        for erasure_id in await self._registry.open_erasures():
            try:
                await self.advance(erasure_id)
            except (StoreError, BusError):
                failed += 1
            except LeaseLost:
                continue
        return failed

    async def advance(self, erasure_id: str) -> None:
        """Take a step, unless another process is at it. Raises StoreError, BusError, LeaseLost."""
        erasure = await self._registry.lease_erasure(erasure_id, self._owner, self._lease_ms)
        if erasure is None:
            return
        try:
            if erasure.state == "erasing":
                await self._erase(erasure)
            else:
                await self._wait(erasure)
        except (StoreError, BusError) as error:
            log.warning("erasure %s goes on later: %s", erasure_id, error)
            current = await self._keep(erasure)()
            await self._save(current, replace(current.progress, problem=str(error)))
            raise
        finally:
            await self._registry.release_erasure(erasure_id, self._owner)

    async def _erase(self, erasure: Erasure) -> None:
        settled = _now_ms() >= erasure.requested_at + self._settle_ms
        if not settled:
            if not erasure.progress.swept_at or erasure.progress.problem:
                await self._sweep(erasure)
                erasure = await self._keep(erasure)()
                await self._save(erasure, replace(erasure.progress, swept_at=_now_ms(), problem=""))
            return
        # Before the sweep: what lies behind these ends was judged by workers that know.
        ends, retention_ms = await log_ends(self._bus), await kept_ms(self._bus)
        erasure = await self._clean(erasure)
        now = _now_ms()
        until = None if retention_ms is None else now + retention_ms
        progress = replace(
            erasure.progress,
            applied_at=now,
            swept_at=now,
            log_ends=ends,
            log_until=until,
            problem="",
        )
        await self._registry.save_erasure(erasure.erasure_id, self._owner, "waiting_for_log", progress)

    async def _wait(self, erasure: Erasure) -> None:
        progress = erasure.progress
        due = progress.log_until is not None and _now_ms() > progress.log_until
        left = await still_there(self._bus, progress.log_ends)
        if left and due:
            await kept_ms(self._bus)  # a log that nobody writes to deletes nothing by itself
            left = await still_there(self._bus, progress.log_ends)
        if left:
            named = ", ".join(map(str, left[:5]))
            problem = f"the log has records that are older than it keeps them: {named}" if due else ""
            if _now_ms() >= progress.swept_at + int(SWEEP_EVERY_S * 1000):
                await self._sweep(erasure)
                erasure = await self._keep(erasure)()
                progress = replace(erasure.progress, swept_at=_now_ms())
            if problem != progress.problem or progress != erasure.progress:
                await self._save(erasure, replace(progress, problem=problem))
            return
        await self._certify(erasure)

    async def _certify(self, erasure: Erasure) -> None:
        """Look for what came in while the log was waited for, and write the certificate."""
        log_clear_at = _now_ms()
        erasure = await self._clean(erasure)
        erased = await self._outcomes(erasure).counted()
        crash_point("before_certificate")
        progress = replace(
            erasure.progress,
            erased=erased,
            swept_at=_now_ms(),
            log_ends={},
            log_clear_at=log_clear_at,
            problem="",
        )
        await self._registry.finish_erasure(erasure.erasure_id, self._owner, progress)
        log.info("erasure %s is done", erasure.erasure_id)

    async def _clean(self, erasure: Erasure) -> Erasure:
        """Delete all that there is, for good on every replica; return it with what was counted."""
        sweep = await self._sweep(erasure)
        await sweep.mutations.settle()
        await self._registry.forget_person(erasure.erasure_id, self._owner, _subject(erasure))
        crash_point("after_forgetting")
        return await self._keep(erasure)()

    def _outcomes(self, erasure: Erasure) -> Outcomes:
        return Outcomes(self._warehouse, erasure.erasure_id, erasure.tenant_id)

    async def _sweep(self, erasure: Erasure) -> Sweep:
        """Delete what there is. First what goes out by itself: webhooks that are still to be sent."""
        await erase_deliveries(self._registry, erasure.erasure_id, self._owner, _subject(erasure))
        sweep = Sweep(self._warehouse, erasure.erasure_id, _subject(erasure), self._keep(erasure))
        await sweep.run()
        crash_point("after_sweep")
        return sweep

    def _keep(self, erasure: Erasure) -> "_Keep":
        return _Keep(self._registry, erasure.erasure_id, self._owner, self._lease_ms)

    async def _save(self, erasure: Erasure, progress: Progress) -> None:
        await self._registry.save_erasure(erasure.erasure_id, self._owner, erasure.state, progress)


class _Keep:
    """Keeps the lease, and says how far the erasure is. Raises LeaseLost where another process has it."""

    def __init__(self, registry: SqlRegistry, erasure_id: str, owner: str, lease_ms: int) -> None:
        self._registry = registry
        self._erasure_id = erasure_id
        self._owner = owner
        self._lease_ms = lease_ms

    async def __call__(self) -> Erasure:
        held = await self._registry.lease_erasure(self._erasure_id, self._owner, self._lease_ms)
        if held is None:
            raise LeaseLost(self._erasure_id)
        return held


def _subject(erasure: Erasure) -> Subject:
    assert erasure.subject is not None, "only a certificate has none"
    return erasure.subject


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
