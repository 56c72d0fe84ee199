"""dialects/phones: one form for a number however it was written."""

import pytest

from dialects import phones
from dialects.phones import READ_CHARACTERS_MAX, Phone, normal


@pytest.mark.parametrize(
    ("text", "number", "likely"),
    [
        ("+525512345678", "+525512345678", True),
        ("+52 (55) 1234-5678", "+525512345678", True),
        ("+4402079460000", "+442079460000", True),  # written with the zero of the national form
        ("+11234567890", "+11234567890", False),  # the source's own: no such area code
        ("+9991234567", "+9991234567", False),  # no such country
        ("5512345678", "", False),  # national: of which country?
        ("+123", "", False),
        ("not a number", "", False),
        ("+" + "1" * 500, "", False),
        ("", "", False),
    ],
)
def test_a_number(text: str, number: str, likely: bool) -> None:
    assert normal(text) == Phone(number, likely)
    if number:
        assert normal(number).number == number


def test_a_long_text_is_not_remembered() -> None:
    before = phones._normal.cache_info().currsize
    assert normal("+" + "9" * READ_CHARACTERS_MAX) == Phone("", False)
    assert phones._normal.cache_info().currsize == before
