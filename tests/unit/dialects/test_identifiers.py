"""E-mail addresses and phone numbers, by shape."""

import pytest

from dialects import identifiers


def test_an_address_is_compared_trimmed_and_case_folded() -> None:
    assert identifiers.email("  Stewart@Example.COM\n") == "stewart@example.com"
    assert identifiers.email("STRASSE@Straße.example") == "strasse@strasse.example"


@pytest.mark.parametrize("text", ["a@b", "stewart+shop@example.com", "ñandú@ejemplo.hn"])
def test_an_address_by_shape(text: str) -> None:
    assert identifiers.is_email(text)


@pytest.mark.parametrize("text", ["", "@", "a@", "@b", "a@b@c", "a b@c", "stewart", "a@" + "b" * 320])
def test_what_is_no_address(text: str) -> None:
    assert not identifiers.is_email(text)


@pytest.mark.parametrize("text", ["+11234567890", "+50499998888", "+1234567", "+123456789012345"])
def test_a_phone_number_by_shape(text: str) -> None:
    assert identifiers.is_e164(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "11234567890",
        "+0123456789",
        "+123456",
        "+1234567890123456",
        "+1 123 456",
        "+1٢34567890",
        "+11234567890\n",
    ],
)
def test_what_is_no_phone_number(text: str) -> None:
    assert not identifiers.is_e164(text)
