"""What browsers are told."""

import pytest

from gateway.cors import Cors

SHOP = b"https://shop.example"


def told(cors: Cors, origin: bytes | None = SHOP) -> dict[bytes, bytes]:
    return dict(cors.headers({b"origin": origin} if origin is not None else {}))


def test_by_default_all_may_read_and_none_with_credentials() -> None:
    headers = told(Cors("*"))
    assert headers[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in headers
    assert b"retry-after" in headers[b"access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"", b"https://shop.example.evil", None]
)
def test_an_allow_list_allows_no_other(origin: bytes | None) -> None:
    assert told(Cors("https://shop.example, https://two.example"), origin) == {b"vary": b"origin"}


@pytest.mark.parametrize("origin", [SHOP, b"https://two.example", b"HTTPS://Shop.example"])
def test_a_listed_origin_is_named(origin: bytes) -> None:
    headers = told(Cors("https://shop.example/, https://two.example"), origin)
    assert headers[b"access-control-allow-origin"] == origin
    assert headers[b"vary"] == b"origin"


def test_an_empty_list_allows_none() -> None:
    assert told(Cors("")) == {b"vary": b"origin"}


def test_a_preflight_says_what_may_be_sent() -> None:
    headers = dict(Cors("*").preflight({b"origin": SHOP}))
    assert headers[b"access-control-allow-methods"] == b"POST"
    assert b"x-api-key" in headers[b"access-control-allow-headers"]
    assert headers[b"access-control-max-age"] == b"600"
