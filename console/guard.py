"""Who may ask: a bearer token of the registry that may read."""

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from console.errors import ApiError
from schemas.tenants import Token
from stores.base import KeyStore, Limit, Registry, StoreUnavailable

BAD_TOKENS_PER_MINUTE = 20
"""More bad attempts from one address are answered 429; a valid token from there is served."""

Handler = Callable[[Request, Token], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Guard:
    """Turns a handler that needs a caller into an endpoint that makes sure of one."""

    def __init__(self, registry: Registry, keys: KeyStore) -> None:
        self._registry = registry
        self._keys = keys

    def __call__(self, handler: Handler) -> Endpoint:
        """Let in tokens with the scope `read` or `admin`; the rest get 401, 403 or 429."""

        @wraps(handler)
        async def endpoint(request: Request) -> Response:
            token = await self._authenticate(request)
            if not token.scopes & {"read", "admin"}:
                raise ApiError(403, "scope_missing")
            return await handler(request, token)

        return endpoint

    async def _authenticate(self, request: Request) -> Token:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise ApiError(401, "token_missing", headers={"WWW-Authenticate": "Bearer"})
        # Raises StoreUnavailable while the registry is down: 503, and no bad attempt.
        hashed = hashlib.sha256(secret.strip().encode()).digest()
        token = (await self._registry.find_tokens([hashed])).get(hashed)
        if token is None or not _valid(token):
            raise await self._bad_attempt(request)
        return token

    async def _bad_attempt(self, request: Request) -> ApiError:
        """Return the same answer for unknown, revoked and expired: 401, or 429 after too many."""
        address = request.client.host if request.client else "unknown"
        limit = Limit(key=f"api.bad:{address}", requests=BAD_TOKENS_PER_MINUTE, period_ms=60_000)
        unauthorized = ApiError(401, "token_invalid", headers={"WWW-Authenticate": "Bearer"})
        try:
            permit = await self._keys.take([limit])
        except StoreUnavailable:
            return unauthorized
        if permit.allowed:
            return unauthorized
        headers = {
            "Retry-After": str(max(1, math.ceil(permit.retry_after_ms / 1000))),
            "RateLimit-Limit": str(permit.limit),
            "RateLimit-Remaining": str(permit.remaining),
            "RateLimit-Reset": str(math.ceil(permit.reset_ms / 1000)),
        }
        return ApiError(429, "too_many_bad_tokens", headers=headers)


def _valid(token: Token) -> bool:
    expired = token.expires_at is not None and token.expires_at <= time.time() * 1000
    return not token.revoked and not expired and token.tenant.active
