"""What tenants have set for themselves, read from the registry, at most 30 s old, kept through an outage."""

import logging
from collections.abc import Collection, Mapping
from time import monotonic

from schemas.tenants import TenantRef, TenantSettings
from stores.base import Registry, StoreUnavailable
from workers.stage import Unavailable

OLD_S = 30.0
RETRY_S = 5.0
"""After a failure the registry is left alone for so long: a frozen one costs 2 s each time it is asked."""

TENANTS_MAX = 10_000
"""About 6 MB; the one asked for longest ago is forgotten."""

NO_TENANT = 0
"""Stands in records whose tenant is not known; everything is as documented there."""

log = logging.getLogger("penstock.worker")


class Tenants:
    """Answers for all tenants of a batch; one that the registry does not know has the defaults."""

    def __init__(self, registry: Registry, *, fresh_s: float) -> None:
        self._registry = registry
        self._fresh_s = min(fresh_s, OLD_S)
        self._known: dict[int, tuple[TenantSettings, float]] = {}
        self._down_until = 0.0

    async def settings(self, tenant_ids: Collection[int]) -> Mapping[int, TenantSettings]:
        """Return the settings of each.

        Raises Unavailable for a tenant that was never read while the registry is down.
        """
        now = monotonic()
        found = {NO_TENANT: TenantSettings()}
        for tenant_id in tenant_ids:
            if tenant_id not in found:
                found[tenant_id] = await self._one(tenant_id, now)
        return found

    async def _one(self, tenant_id: int, now: float) -> TenantSettings:
        known = self._known.pop(tenant_id, None)
        if known is None or (now - known[1] >= self._fresh_s and now >= self._down_until):
            known = await self._read(tenant_id) or known
        if known is None:
            raise Unavailable(f"the registry does not answer, and tenant {tenant_id} was not read before")
        self._known[tenant_id] = known
        if len(self._known) > TENANTS_MAX:
            del self._known[next(iter(self._known))]
        return known[0]

    async def _read(self, tenant_id: int) -> tuple[TenantSettings, float] | None:
        if monotonic() < self._down_until:
            return None
        try:
            tenant = await self._registry.tenant(TenantRef("id", str(tenant_id)))
        except StoreUnavailable as error:
            log.warning("settings of tenants stay as they are: %s", error)
            self._down_until = monotonic() + RETRY_S
            return None
        return (TenantSettings() if tenant is None else tenant.settings, monotonic())
