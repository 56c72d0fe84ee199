"""Whose address it is, and who may say so."""

import pytest

from gateway.address import ADDRESS_CHARACTERS_MAX, Addresses, _normal, bucket, normal
from schemas.settings import SettingsError

PROXY, EDGE, CLIENT = "10.0.0.1", "10.0.0.2", "198.51.100.7"


def of(*, trusted: str = "10.0.0.0/8", connection: str = PROXY, **headers: str) -> str:
    pairs = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Addresses(trusted).of(connection, pairs)


def test_without_trusted_proxies_the_headers_say_nothing() -> None:
    assert of(trusted="", x_forwarded_for=CLIENT) == PROXY


def test_a_stranger_is_not_believed() -> None:
    assert of(connection="203.0.113.5", x_forwarded_for=CLIENT) == "203.0.113.5"


def test_the_trusted_proxy_is() -> None:
    assert of(x_forwarded_for=CLIENT) == CLIENT


def test_hops_are_counted_from_the_right_as_far_as_they_are_trusted() -> None:
    assert of(x_forwarded_for=f"1.2.3.4, {CLIENT}, {EDGE}") == CLIENT


def test_a_header_of_trusted_hops_only_ends_at_the_leftmost() -> None:
    assert of(x_forwarded_for=f"10.9.9.9, {EDGE}") == "10.9.9.9"


def test_what_is_no_address_ends_the_walk() -> None:
    assert of(x_forwarded_for=f"{CLIENT}, unknown, {EDGE}") == EDGE
    assert of(x_forwarded_for="unknown") == PROXY
    assert of(x_forwarded_for="") == PROXY


def test_rfc_7239() -> None:
    assert of(forwarded=f"for=1.2.3.4, for={CLIENT};proto=https;by={EDGE}, For={EDGE}") == CLIENT
    assert of(forwarded='for="[2001:db8::1]:4711";proto=http') == "2001:db8::1"
    assert of(forwarded="proto=https") == PROXY
    assert of(forwarded="for=_hidden") == PROXY


def test_two_headers_that_agree_are_believed_and_two_that_do_not_are_not() -> None:
    assert of(x_forwarded_for=CLIENT, forwarded=f"for={CLIENT}") == CLIENT
    assert of(x_forwarded_for=CLIENT, forwarded="for=1.2.3.4") == PROXY


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("[2001:DB8::0001]:443", "2001:db8::1"),
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ('"192.0.2.1"', "192.0.2.1"),
        ("192.0.2", ""),
        ("", ""),
        ("localhost", ""),
    ],
)
def test_addresses_have_one_form(text: str, address: str) -> None:
    assert normal(text) == address


def test_what_is_remembered_of_addresses_is_bounded_in_bytes() -> None:
    """A proxy may pass on a `Forwarded` that its client made up, of as many bytes as headers may have."""
    before = _normal.cache_info().currsize
    assert of(forwarded="for=" + "9" * 16_000) == PROXY
    assert of(x_forwarded_for="9" * 16_000) == PROXY
    assert normal("[2001:db8::1]" + " " * ADDRESS_CHARACTERS_MAX) == ""
    assert _normal.cache_info().currsize <= before + 1  # the proxy's own


def test_a_customer_with_ipv6_has_one_bucket() -> None:
    assert bucket("2001:db8:1:2:3:4:5:6") == bucket("2001:db8:1:2::1") != bucket("2001:db8:1:3::1")
    assert bucket("192.0.2.1") == "192.0.2.1"
    assert bucket("") == ""


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="PENSTOCK_TRUSTED_PROXIES"):
        Addresses("10.0.0.0/8, nonsense")
