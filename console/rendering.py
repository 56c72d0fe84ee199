"""Rows of the warehouse as JSON."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import msgspec
from msgspec import Raw
from starlette.responses import Response


def _readable(value: Any) -> Any:
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value).__name__}")


_encoder = msgspec.json.Encoder(enc_hook=_readable, decimal_format="number")


def encode(value: Any) -> bytes:
    """Return JSON: times as RFC 3339, UUIDs as text, decimals as numbers with all their digits."""
    return _encoder.encode(value)


def moment(ms: int) -> datetime:
    """Return a time in Unix ms to the millisecond."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def respond(value: Any, *, status: int = 200, location: str = "") -> Response:
    """Answer with JSON, which is the caller's alone: no proxy may keep it. What was made has a `location`."""
    headers = {"Cache-Control": "no-store"} | ({"Location": location} if location else {})
    return Response(encode(value), status, headers, media_type="application/json")


def unfold(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return the row with the JSON texts of `columns` as JSON, null where they are empty."""
    return {
        name: (Raw(value.encode()) if value else None) if name in columns else value
        for name, value in row.items()
    }
