"""Who sends: from the credential in the headers to a token that may write here (rule 13)."""

from collections.abc import Mapping
from hashlib import sha256
from time import time

from dialects.base import Auth
from gateway.directory import Directory
from gateway.errors import FORBIDDEN_SCOPE, FORBIDDEN_STORE, UNAUTHORIZED, UNAVAILABLE, Headers
from gateway.limits import Limiter
from gateway.metrics import Metrics
from gateway.request import Request
from schemas.tenants import Token
from stores.base import StoreUnavailable

_HOW: Mapping[Auth, str] = {
    Auth.BEARER: "the header Authorization: Bearer <token>",
    Auth.API_KEY: "the header x-api-key, or ?key= in the query",
    Auth.PUBLIC: "none",
}
_CHALLENGE: Mapping[Auth, Headers] = {
    Auth.BEARER: (("WWW-Authenticate", 'Bearer realm="penstock"'),),
    Auth.API_KEY: (("WWW-Authenticate", 'ApiKey realm="penstock"'),),
    Auth.PUBLIC: (),
}


class Authenticator:
    """Admits requests. One with a bad credential is refused the same way whatever is wrong with it."""

    def __init__(self, directory: Directory, limiter: Limiter, metrics: Metrics) -> None:
        self._directory = directory
        self._limiter = limiter
        self._metrics = metrics

    async def admit(self, request: Request, auth: Auth, dialect: str) -> Token | None:
        """Return the token of a request, None on public endpoints. Raises RequestRefused."""
        if auth is Auth.PUBLIC:
            return None
        credential = secret(request, auth)
        # None at all is no token's, and needs no registry to say so.
        token = await self._look_up(credential) if credential else None
        if token is None or token.dialect != dialect or not is_valid(token):
            self._metrics.bad_credentials.inc()
            await self._limiter.take_bad_attempt(request.ip)
            raise UNAUTHORIZED.refuse(how=_HOW[auth], headers=_CHALLENGE[auth])
        if "write" not in token.scopes:
            raise FORBIDDEN_SCOPE.refuse()
        if request.path_params.get("store", token.store) != token.store:
            raise FORBIDDEN_STORE.refuse()
        return token

    async def _look_up(self, credential: bytes) -> Token | None:
        try:
            return await self._directory.token(sha256(credential).digest())
        except StoreUnavailable:
            raise UNAVAILABLE.refuse() from None


def secret(request: Request, auth: Auth) -> bytes:
    """Return the credential as sent; b"" where there is none, which is no token's secret either."""
    if auth is Auth.BEARER:
        scheme, _, credential = request.headers.get(b"authorization", b"").partition(b" ")
        return credential.strip() if scheme.lower() == b"bearer" else b""
    key = request.headers.get(b"x-api-key")
    return key if key is not None else request.query.get("key", "").encode()


def is_valid(token: Token) -> bool:
    """Tell whether a known token may be used now."""
    expired = token.expires_at is not None and token.expires_at <= time() * 1000
    return not token.revoked and not expired and token.tenant.active
