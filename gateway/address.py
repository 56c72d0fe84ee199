"""The client's address: the connection's, or what trusted proxies say of it, counted from the right."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from schemas.settings import networks


class Addresses:
    """Reads client addresses. Raises SettingsError for networks that are none."""

    def __init__(self, trusted_proxies: str) -> None:
        self._trusted = networks(trusted_proxies)

    def of(self, connection: str, headers: Mapping[bytes, bytes]) -> str:
        """Return the client's address in its shortest form; "" where there is none.

        `X-Forwarded-For` and `Forwarded` count only as far as trusted proxies wrote them. Where both
        are there and disagree, one of them was made up by the client, so neither is believed.
        """
        peer = normal(connection)
        if not self._trusted or not self._trusts(peer):
            return peer
        told = {
            self._rightmost(peer, hops)
            for hops in (_forwarded_for(headers), _forwarded(headers))
            if hops is not None
        }
        return told.pop() if len(told) == 1 else peer

    def _rightmost(self, peer: str, hops: Sequence[str]) -> str:
        """Walk from the proxy next to us towards the client, as long as each hop is trusted."""
        client = peer
        for hop in reversed(hops):
            address = normal(hop)
            if not address:
                break
            client = address
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: str) -> bool:
        if not address:
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._trusted if network.version == parsed.version)


ADDRESS_CHARACTERS_MAX = 128
"""More than an IPv6 address takes with brackets, zone and port; some wrap them in spaces and quotes."""


def normal(address: str) -> str:
    """Return an address without port, brackets and zone, in its shortest form; "" if it is none."""
    # Before the cache: it is bounded by its entries, and a header may have 16 KiB.
    return _normal(address) if len(address) <= ADDRESS_CHARACTERS_MAX else ""


@lru_cache(maxsize=4096)
def _normal(address: str) -> str:
    text = address.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


@lru_cache(maxsize=4096)
def bucket(address: str) -> str:
    """Return what limits per address count by: one IPv6 customer has a whole /64 to choose from."""
    if ":" not in address:
        return address
    return str(ip_network(f"{address}/64", strict=False).network_address)


def _forwarded_for(headers: Mapping[bytes, bytes]) -> list[str] | None:
    value = headers.get(b"x-forwarded-for")
    return value.decode("latin-1").split(",") if value is not None else None


def _forwarded(headers: Mapping[bytes, bytes]) -> list[str] | None:
    """Read the `for=` of every element of RFC 7239's header; an element without one is opaque."""
    value = headers.get(b"forwarded")
    if value is None:
        return None
    return [_for(element) for element in value.decode("latin-1").split(",")]


def _for(element: str) -> str:
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return value
    return ""
