"""Phone numbers in the one form in which they are compared."""

from functools import lru_cache
from typing import NamedTuple

import phonenumbers

from dialects import identifiers

CACHED_MAX = 65_536
"""A number takes 50 µs to read; this many take some 15 MB."""

READ_CHARACTERS_MAX = 64


class Phone(NamedTuple):
    """A number in E.164, or "" for a text that is none; `likely` if it can be a subscriber's."""

    number: str
    likely: bool


def normal(text: str) -> Phone:
    """Read a number as it was sent: international, with a plus.

    A number that has the shape of E.164 is kept as it is where no numbering plan knows it. A national
    one is none: the country it is dialled in is not known.
    """
    # Before the cache: it is bounded by its entries, and a text may have 32 KiB.
    return Phone("", False) if len(text) > READ_CHARACTERS_MAX else _normal(text)


@lru_cache(CACHED_MAX)
def _normal(text: str) -> Phone:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return Phone(text if identifiers.is_e164(text) else "", False)
    normalised = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not identifiers.is_e164(normalised):
        return Phone(text if identifiers.is_e164(text) else "", False)
    return Phone(normalised, phonenumbers.is_valid_number(number))
