"""What the tenant of an event has set for itself: consent, retention, what counts as a shared device."""

from collections.abc import Sequence
from typing import Protocol

from schemas.tenants import TenantSettings
from workers.resources import Resources
from workers.stage import KEEP, Keep
from workers.tenants import Tenants


class OfTenant(Protocol):
    """An event, or a letter about one."""

    @property
    def tenant_id(self) -> int: ...

    settings: TenantSettings


class Tenant:
    """Hand the settings of its tenant on with each item.

    First of all stages: whatever becomes of an event, its row is kept as long as the tenant says.
    """

    name = "tenant"

    def __init__(self, use: Resources) -> None:
        self._tenants = Tenants(use.registry, fresh_s=use.settings.registry_cache_s)

    async def judge(self, items: Sequence[OfTenant]) -> Sequence[Keep]:
        """Keep all. Raises Unavailable."""
        settings = await self._tenants.settings({item.tenant_id for item in items})
        for item in items:
            item.settings = settings[item.tenant_id]
        return [KEEP] * len(items)
