"""What tenants have set for themselves, read from the registry, at most 30 s old, kept through an outage."""

import logging
from collections.abc import Collection, Mapping, Sequence
from time import monotonic

from schemas.tenants import TenantRef, TenantSettings
from stores.base import Registry, StoreUnavailable
from workers.stage import Unavailable

OLD_S = 30.0
RETRY_S = 5.0
"""After a failure the registry is left alone for so long: a frozen one costs 2 s each time it is asked."""

TENANTS_MAX = 50_000
"""About 30 MB; the one asked for longest ago is forgotten."""

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
        if now >= self._down_until:
            await self._read([tenant_id for tenant_id in tenant_ids if self._is_due(tenant_id, now)])
        found = {NO_TENANT: TenantSettings()}
        for tenant_id in tenant_ids:
            if tenant_id not in found:
                found[tenant_id] = self._of(tenant_id)
        while len(self._known) > TENANTS_MAX:
            del self._known[next(iter(self._known))]
        return found

    def _is_due(self, tenant_id: int, now: float) -> bool:
        known = self._known.get(tenant_id)
        return tenant_id != NO_TENANT and (known is None or now - known[1] >= self._fresh_s)

    async def _read(self, tenant_ids: Sequence[int]) -> None:
        """Read all in one look-up; while the registry is down all stay as they are."""
        refs = {tenant_id: TenantRef("id", str(tenant_id)) for tenant_id in tenant_ids}
        began = monotonic()
        try:
            found = await self._registry.find_tenants(list(refs.values())) if refs else {}
        except StoreUnavailable as error:
            log.warning("settings of tenants stay as they are: %s", error)
            self._down_until = monotonic() + RETRY_S
            return
        for tenant_id, ref in refs.items():
            tenant = found.get(ref)
            self._known[tenant_id] = (TenantSettings() if tenant is None else tenant.settings, began)

    def _of(self, tenant_id: int) -> TenantSettings:
        known = self._known.pop(tenant_id, None)
        if known is None:
            raise Unavailable(f"the registry does not answer, and tenant {tenant_id} was not read before")
        self._known[tenant_id] = known
        return known[0]
