"""How often: the rates that endpoints declare, taken from the key store (rule 6)."""

from collections.abc import Sequence

from dialects.base import Rate
from gateway.address import bucket
from gateway.errors import RATE_LIMITED, Headers
from gateway.metrics import Metrics
from schemas.tenants import Tenant, Token
from stores.base import KeyStore, Limit, Permit, StoreUnavailable
from stores.keys import MemoryKeys, SharedLimits

BAD_ATTEMPTS = 20
STORED_REJECTS = 100
MINUTE_MS = 60_000

UNKNOWN_TENANT = "?"


class Limiter:
    """Takes permits. While the key store is down this process decides alone, and counts that it did."""

    def __init__(self, keys: KeyStore, metrics: Metrics) -> None:
        self._keys = keys
        self._alone = MemoryKeys()
        self._metrics = metrics
        if isinstance(keys, SharedLimits):
            keys.on_alone = metrics.limits_alone.inc

    async def take(
        self, rates: Sequence[Rate], *, ip: str, token: Token | None = None, tenant: Tenant | None = None
    ) -> Headers:
        """Take a permit from every rate; return the headers that say what is left. Raises RequestRefused.

        Without a tenant, rates per tenant are counted per address: so unknown ones share a bucket there.
        """
        if not rates:
            return ()
        permit = await self._permit([_limit(rate, ip, token, tenant) for rate in rates])
        if not permit.allowed:
            raise _refuse(permit)
        return _headers(permit)

    async def take_bad_attempt(self, ip: str) -> None:
        """Count a bad credential. Raises RequestRefused for more than 20 a minute from one address."""
        permit = await self._permit([Limit(f"bad|{bucket(ip)}", BAD_ATTEMPTS, MINUTE_MS)])
        if not permit.allowed:
            raise _refuse(permit)

    async def may_store_reject(self, ip: str) -> bool:
        """Tell whether an unauthenticated reject is stored: at most 100 a minute per address are."""
        permit = await self._permit([Limit(f"rejects|{bucket(ip)}", STORED_REJECTS, MINUTE_MS)])
        return permit.allowed

    async def _permit(self, limits: list[Limit]) -> Permit:
        try:
            return await self._keys.take(limits)
        except StoreUnavailable:
            self._metrics.limits_alone.inc()
            return self._alone.decide(limits)


def _limit(rate: Rate, ip: str, token: Token | None, tenant: Tenant | None) -> Limit:
    # The rate is part of the key: a group may count the same requests by tenant and by address.
    parts = [
        rate.group,
        f"{rate.requests}/{rate.period_s}",
        *(_counted(p, ip, token, tenant) for p in rate.per),
    ]
    return Limit("|".join(parts), _requests(rate, token, tenant), rate.period_s * 1000)


def _counted(per: str, ip: str, token: Token | None, tenant: Tenant | None) -> str:
    """Return the value that requests are counted by."""
    match per:
        case "ip":
            return bucket(ip)
        case "token" if token is not None:
            return token.key_id
        case "store" if token is not None:
            return f"{token.tenant.id}/{token.store}"
        case "tenant" if tenant is not None:
            return str(tenant.id)
        case _:
            return f"{UNKNOWN_TENANT}{bucket(ip)}"


def _requests(rate: Rate, token: Token | None, tenant: Tenant | None) -> int:
    """Return the limit in force: the token's own, else the tenant's, else the declared one."""
    if token is not None and rate.group in token.limits:
        return max(1, token.limits[rate.group])
    if tenant is not None and rate.group in tenant.settings.limits:
        return max(1, tenant.settings.limits[rate.group])
    return rate.requests


def _refuse(permit: Permit) -> Exception:
    wait = _seconds(permit.retry_after_ms)
    return RATE_LIMITED.refuse(wait=wait, retry_after_s=wait, headers=_headers(permit))


def _headers(permit: Permit) -> Headers:
    return (
        ("RateLimit-Limit", str(permit.limit)),
        ("RateLimit-Remaining", str(permit.remaining)),
        ("RateLimit-Reset", str(_seconds(permit.reset_ms))),
    )


def _seconds(ms: int) -> int:
    """Round up: whoever comes back earlier is refused again."""
    return max(1, -(-ms // 1000))
