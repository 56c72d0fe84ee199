"""What a relo event's shape cannot say: whose client it is, its time, its amounts, its currency."""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

import msgspec
from msgspec import Raw

from dialects import amounts, currencies, times
from dialects.base import Accepted, Refused
from dialects.decoding import Shape
from dialects.jsontext import UNREADABLE
from dialects.relo.wire import AddToCart, BeginCheckout, Event, PageView, Purchase, ViewProduct
from schemas.tenants import Token

SHAPE: Shape[Event] = Shape(Event, event_type="t")
_read_all = msgspec.json.Decoder(list[Event]).decode

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(r"\.".join([_OCTET] * 4))
"""In a tenth of the time that the standard library takes, for nearly all addresses."""

ADDRESS_CHARACTERS_MAX = 45
"""Of IPv6 written out in full, its end as IPv4."""

_NOT_ALLOWED = Refused("cid_not_allowed", "Send a `cid` that this token may write, or another token.", "cid")
_SECONDS = Refused("ts_in_seconds", "`ts` must be in milliseconds: multiply seconds by 1000.", "ts")
_ADDRESS = Refused("invalid_ip", "`ip` must be an IPv4 or IPv6 address; leave it out if unknown.", "ip")
_URL = Refused("missing_field", "Add `url`: a non-empty string, at the top or in `props`.", "url")


def validate(raw: Raw, token: Token | None) -> Accepted | Refused:
    """Judge one event for the token that sent it."""
    event = SHAPE.read(raw)
    return event if isinstance(event, Refused) else _judge(event, token)


def vouch(text: bytes, token: Token | None) -> list[Accepted] | None:
    """Judge several events at once; None where one of them is not accepted as it stands."""
    try:
        events = _read_all(b"[%b]" % text)
    except UNREADABLE:  # also for what `SHAPE` would read by reading it again
        return None
    told: list[Accepted] = []
    for event in events:
        verdict = _judge(event, token)
        if isinstance(verdict, Refused):
            return None
        told.append(verdict)
    return told


def _judge(event: Event, token: Token | None) -> Accepted | Refused:
    if token is None or event.cid not in token.client_ids:
        return _NOT_ALLOWED
    refused = _SECONDS if event.ts < times.SECONDS_MAX else times.check(event.ts, "ts")
    if refused is not None:
        return refused
    ip = event.ip
    if ip is not None:
        ip = address(ip)
        if not ip:
            return _ADDRESS
    check = _CHECKS.get(type(event))
    if check is not None:
        refused = check(event)
        if refused is not None:
            return refused
    return Accepted(event.did, str(event.cid), None, ip or "", event.ua or "")


def address(text: str) -> str:
    """Return an IP address in its shortest form (IPv4 also where IPv6 wraps it), or "" for what is none."""
    if _IPV4.fullmatch(text):
        return text
    # Before the cache: it is bounded by its entries, and a text may have 32 KiB.
    return _other_address(text) if len(text) <= ADDRESS_CHARACTERS_MAX else ""


@lru_cache(maxsize=16_384)
def _other_address(text: str) -> str:
    try:
        parsed = ip_address(text)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:  # it names an interface of the sender's own host
            return ""
        parsed = parsed.ipv4_mapped or parsed
    return str(parsed)


def _check_page(event: PageView) -> Refused | None:
    return None if event.url or (event.props is not None and event.props.url) else _URL


def _check_price(event: ViewProduct) -> Refused | None:
    return amounts.check_price(event.props.price, "props.price")


def _check_cart(event: AddToCart) -> Refused | None:
    return amounts.check_price(event.props.price, "props.price", quantity=event.props.quantity)


def _check_checkout(event: BeginCheckout) -> Refused | None:
    return amounts.check_price(event.props.cart_value, "props.cart_value")


def _check_purchase(event: Purchase) -> Refused | None:
    if event.props.currency is not None:
        refused = currencies.check(event.props.currency, "props.currency")
        if refused is not None:
            return refused
    return amounts.check_price(event.props.revenue, "props.revenue")


_CHECKS: dict[type, Callable[[Any], Refused | None]] = {
    PageView: _check_page,
    ViewProduct: _check_price,
    AddToCart: _check_cart,
    BeginCheckout: _check_checkout,
    Purchase: _check_purchase,
}
