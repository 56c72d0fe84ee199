"""Answers to bytes that are no HTTP/1.1 request: servers refuse them before there is an application."""

from collections.abc import Mapping

import h11
from hypercorn.protocol.h11 import H11Protocol

from dialects import bodies
from dialects.base import Problem
from gateway.metrics import Metrics
from schemas.requests import request_id

_MEANINGS: Mapping[int, tuple[str, str]] = {
    400: ("malformed_request", "This is not a whole and valid HTTP/1.1 request."),
    431: ("headers_too_large", "The headers are too large; send fewer or shorter ones."),
}


def refusal(status: int) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of an answer: with a body, as every other refusal has (rule 5)."""
    # h11 hints at 501 for a Transfer-Encoding other than chunked; to us that is no valid request.
    status = status if status in _MEANINGS else 400
    body = bodies.refuse(Problem(status, *_MEANINGS[status]), b"").body
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id(None).encode()),
        (b"connection", b"close"),
    ]
    return status, headers, body


def protocol(metrics: Metrics) -> type[H11Protocol]:
    """Make Hypercorn's protocol refuse in our words, and count."""

    class Protocol(H11Protocol):
        async def _send_error_response(self, status_code: int) -> None:
            metrics.malformed.inc()
            status, headers, body = refusal(status_code)
            headers += self.config.response_headers("h11")
            await self._send_h11_event(h11.Response(status_code=status, headers=headers))
            await self._send_h11_event(h11.Data(data=body))
            await self._send_h11_event(h11.EndOfMessage())

    return Protocol
