"""What a relo event's shape cannot say."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.relo import rules
from dialects.relo.rules import address


@pytest.mark.parametrize(
    ("text", "ip"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::1", "::1"),
    ],
)
def test_an_address_is_written_in_one_way(text: str, ip: str) -> None:
    assert address(text) == ip


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 203.0.113.9",
        "203.0.113",
        "203.0.113.256",
        "203.0.113.09",
        "fe80::1%eth0",
        "localhost",
        "1",
        "203.0.113.9:80",
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert address(text) == ""


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    """In entries, and in bytes: a sender could fill them with texts of 32 KiB."""
    longest = "0000:0000:0000:0000:0000:ffff:192.168.100.100"
    assert len(longest) == rules.ADDRESS_CHARACTERS_MAX
    assert address(longest) == "192.168.100.100"
    before = rules._other_address.cache_info().currsize
    assert address("a" * (rules.ADDRESS_CHARACTERS_MAX + 1)) == ""
    assert rules._other_address.cache_info().currsize == before
    assert rules._other_address.cache_parameters()["maxsize"] == 16_384


@given(st.from_regex(r"[0-9]{0,4}(\.[0-9]{0,4}){2,4}\n?", fullmatch=True))
def test_ipv4_is_what_the_standard_library_says_it_is(text: str) -> None:
    try:
        wanted = str(ip_address(text))
    except ValueError:
        wanted = ""
    assert address(text) == wanted
