"""CORS for the dialects that browsers speak: any origin without credentials, or an allow-list."""

from collections.abc import Mapping

PREFLIGHT_S = 600  # for which a browser remembers the answer
ALLOWED_HEADERS = b"content-type, content-encoding, x-api-key, x-request-id, idempotency-key"
EXPOSED_HEADERS = (
    b"x-request-id, retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, x-dry-run"
)

Pairs = list[tuple[bytes, bytes]]


class Cors:
    """Answers what browsers ask. `origins` is `*` or a list by comma; empty allows none."""

    def __init__(self, origins: str) -> None:
        listed = {part.strip().rstrip("/").lower().encode() for part in origins.split(",") if part.strip()}
        self._any = b"*" in listed
        self._listed = frozenset(listed)

    def headers(self, request: Mapping[bytes, bytes]) -> Pairs:
        """Return what goes with every answer to a browser."""
        if self._any:
            return [
                (b"access-control-allow-origin", b"*"),
                (b"access-control-expose-headers", EXPOSED_HEADERS),
            ]
        origin = request.get(b"origin")
        if origin is None or origin.lower() not in self._listed:
            return [(b"vary", b"origin")]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", EXPOSED_HEADERS),
            (b"vary", b"origin"),
        ]

    def preflight(self, request: Mapping[bytes, bytes]) -> Pairs:
        """Return the headers of the answer to an OPTIONS request."""
        return [
            *self.headers(request),
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", ALLOWED_HEADERS),
            (b"access-control-max-age", b"%d" % PREFLIGHT_S),
        ]
