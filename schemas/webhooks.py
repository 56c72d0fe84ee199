"""What a webhook is: where it may go, how it is signed. The console and the worker both ask here."""

import hashlib
import hmac
import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

URL_CHARACTERS_MAX = 2_000

KEEP_TRYING_MS = 3 * 86_400_000
"""For so long a match is tried to be delivered."""

ID_HEADER = "Penstock-Id"
TIMESTAMP_HEADER = "Penstock-Timestamp"
SIGNATURE_HEADER = "Penstock-Signature"

_REFUSED_4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind a carrier's NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, where clouds keep their metadata
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation, like the next two of them
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
        ),
    )
)
_NUMERIC = re.compile(r"[0-9.]+|0x[0-9a-f.x]+", re.IGNORECASE)
"""What some resolvers read as an address: 127.1, 2130706433."""

_GLOBAL_6 = ip_network("2000::/3")
_REFUSED_6 = tuple(
    map(ip_network, ("2001::/23", "2001:db8::/32", "3fff::/20", "2620:4f:8000::/48"))
)  # Teredo, ORCHID and the like; documentation; AS112
_NAT64 = ip_network("64:ff9b::/96")


class UrlRefused(ValueError):
    """A URL that no webhook goes to; the message says why and holds nothing of it."""


def check_url(url: str, *, private_allowed: bool) -> None:
    """Raise UrlRefused for what is no URL of a webhook. Which address a name has is checked at the call."""
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise UrlRefused(f"it must have at most {URL_CHARACTERS_MAX} characters, ASCII without spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlRefused("its host or port is not usable") from None
    if parts.scheme != "https" and not (private_allowed and parts.scheme == "http"):
        raise UrlRefused(
            "it must begin with https:// (http:// where PENSTOCK_WEBHOOK_PRIVATE_ADDRESSES is set)"
        )
    numeric = host is not None and not _is_literal(host) and _NUMERIC.fullmatch(host) is not None
    if not host or numeric or port == 0 or "\\" in url:
        raise UrlRefused("it must name a host, and no port or one from 1 to 65535")
    if "@" in parts.netloc or "#" in url:
        raise UrlRefused("it must have no user, password or fragment; the signature says who sends")
    if not private_allowed and _is_literal(host) and not is_public(host):
        raise UrlRefused("its address must not be private, link-local, loopback or reserved")


def is_public(address: str) -> bool:
    """Tell whether everybody may be called there: no private, link-local, loopback or reserved address."""
    try:
        parsed = ip_address(address)
    except ValueError:  # with a scope, say
        return False
    if isinstance(parsed, IPv6Address):
        inner = _inside(parsed)
        if inner is None:
            return parsed in _GLOBAL_6 and not any(parsed in network for network in _REFUSED_6)
        parsed = inner
    return not any(parsed in network for network in _REFUSED_4)


def sign(secret: str, timestamp_s: int, body: bytes) -> str:
    """Return the signature: HMAC-SHA256 with the secret over the time, a dot, and the body."""
    signed = b"%d." % timestamp_s + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _inside(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a packet to this one ends at, where one is written in it."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
