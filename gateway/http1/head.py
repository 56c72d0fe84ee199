"""From the head of a request to an ASGI scope, and what a head must not say (RFC 9112)."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from httptools import HttpParserInvalidURLError, parse_url
from starlette.types import Scope

_ASGI = {"version": "3.0", "spec_version": "2.3"}
_TARGET_CHARACTERS_MAX = 256
"""Of targets that are remembered: senders choose them."""


class NotAccepted(Exception):
    """The head is no valid request's."""


def scope_of(
    method: bytes,
    version: str,
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    ends: Mapping[str, Any],
) -> tuple[Scope, bool]:
    """Return the scope, and whether the client waits to be told that it may send. Raises NotAccepted."""
    if method == b"CONNECT":
        raise NotAccepted("we are no proxy")
    hosts, codings, expects = 0, 0, False
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            codings += 1
            if value.strip().lower() != b"chunked":
                raise NotAccepted("another transfer coding than chunked")
        elif name == b"expect":
            expects = value.strip().lower() == b"100-continue"
    if version not in ("1.0", "1.1") or codings > 1 or (codings and version == "1.0"):
        raise NotAccepted("a version or a framing that is not HTTP/1.1's")
    if hosts > 1 or (not hosts and version == "1.1"):
        raise NotAccepted("not one Host")
    path, raw_path, query = (_parts if len(target) <= _TARGET_CHARACTERS_MAX else _parts.__wrapped__)(target)
    scope = {
        "type": "http",
        "asgi": _ASGI,
        "http_version": version,
        "method": method.decode("ascii"),
        "scheme": "http",
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        **ends,
    }
    return scope, expects and version == "1.1"


def without_upgrade(
    method: bytes, version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """Return a head as it would have been sent without its Upgrade, which a server may overlook."""
    kept = [b"%b: %b" % (name, value) for name, value in headers if name != b"upgrade"]
    return b"\r\n".join([b"%b %b HTTP/%b" % (method, target, version.encode()), *kept, b"", b""])


@lru_cache(maxsize=1024)
def _parts(target: bytes) -> tuple[str, bytes, bytes]:
    """Return path, path as sent, and query. Raises NotAccepted."""
    try:
        if target[:1] == b"/":
            raw_path, _, query = target.partition(b"#")[0].partition(b"?")
        elif target == b"*":
            raw_path, query = target, b""
        else:  # as to a proxy, which every server must understand
            url = parse_url(target)
            raw_path, query = url.path or b"/", url.query or b""
            if url.schema not in (b"http", b"https"):
                raise NotAccepted("a target that is no path")
        return unquote(raw_path.decode("ascii")), raw_path, query
    except (HttpParserInvalidURLError, UnicodeDecodeError) as error:
        raise NotAccepted("a target that is no path") from error
