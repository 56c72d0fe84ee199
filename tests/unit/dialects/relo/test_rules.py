"""What a relo event's shape cannot say."""

import pytest

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
    assert address.cache_parameters()["maxsize"] == 16_384
