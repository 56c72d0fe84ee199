"""Whose event it is, on endpoints where the body says so: looked up in the registry, never believed."""

from msgspec import Struct

from dialects.base import Accepted, Rate, Refused
from gateway.directory import Directory
from gateway.errors import PRODUCT_NOT_FOUND, TENANT_NOT_FOUND, UNAVAILABLE, Headers, Reason
from gateway.limits import Limiter
from schemas.tenants import Tenant, TenantRef
from stores.base import StoreUnavailable

TENANT_UNVERIFIED = "tenant_unverified"
PRODUCT_UNVERIFIED = "product_unverified"

_DIGITS_MAX = 18  # of a number that surely fits the registry's ids


class Owner(Struct, frozen=True, gc=False):
    """Whom an event belongs to. `tenant_id` 0: nobody we know; then `reason` and `refused` say so.

    `flags` name what the registry could not be asked. `left` is what the rates per tenant have left.
    `store` is the one that the token belongs to, where it does.
    """

    tenant_id: int
    flags: tuple[str, ...] = ()
    reason: Reason | None = None
    refused: Refused | None = None
    left: Headers = ()
    store: str = ""


class Tenancy:
    """Finds the owner of a public event."""

    def __init__(self, directory: Directory, limiter: Limiter) -> None:
        self._directory = directory
        self._limiter = limiter

    async def owner(self, told: Accepted, rates: tuple[Rate, ...], ip: str) -> Owner:
        """Look tenant and product up, taking the rates that are counted per tenant in between.

        While the registry is down, an event whose tenant is not remembered is taken if its number is
        given, and flagged. Raises RequestRefused where only a name is given: it has no number to store.
        """
        assert told.tenant is not None, "a public endpoint names its tenant"
        tenant, verified = await self._tenant(told.tenant)
        left = await self._limiter.take(rates, ip=ip, tenant=tenant if verified else None)
        if not verified:
            return Owner(_number(told.tenant), (TENANT_UNVERIFIED, PRODUCT_UNVERIFIED), left=left)
        if tenant is None or not tenant.active:
            refused = Refused(TENANT_NOT_FOUND.code, TENANT_NOT_FOUND.message)
            return Owner(tenant.id if tenant else 0, (), TENANT_NOT_FOUND, refused, left)
        return await self._with_product(tenant, told.product_id, left)

    async def _with_product(self, tenant: Tenant, product_id: int | None, left: Headers) -> Owner:
        if product_id is None:
            return Owner(tenant.id, left=left)
        try:
            known = await self._directory.has_product(tenant.id, product_id)
        except StoreUnavailable:
            return Owner(tenant.id, (PRODUCT_UNVERIFIED,), left=left)
        if known:
            return Owner(tenant.id, left=left)
        refused = Refused(PRODUCT_NOT_FOUND.code, PRODUCT_NOT_FOUND.message, "product_id")
        return Owner(tenant.id, (), PRODUCT_NOT_FOUND, refused, left)

    async def _tenant(self, ref: TenantRef) -> tuple[Tenant | None, bool]:
        """Return the tenant, and whether that is known for sure."""
        try:
            return await self._directory.tenant(ref), True
        except StoreUnavailable:
            if _number(ref) == 0:
                raise UNAVAILABLE.refuse() from None
            return None, False


def _number(ref: TenantRef) -> int:
    """Return the numeric id in a reference, or 0: slugs and UUIDs say nothing of it."""
    is_number = ref.by != "slug" and ref.value.isascii() and ref.value.isdigit()
    return int(ref.value) if is_number and len(ref.value) <= _DIGITS_MAX else 0
