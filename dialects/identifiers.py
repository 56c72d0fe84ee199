"""How people are named: e-mail addresses and phone numbers, in the form in which they are compared."""

import re

EMAIL_CHARACTERS_MAX = 320

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def email(text: str) -> str:
    """Return an address trimmed and case-folded."""
    return text.strip().casefold()


def is_email(text: str) -> bool:
    """Tell whether a text from `email` has the shape of an address: something, one @, something."""
    return len(text) <= EMAIL_CHARACTERS_MAX and _EMAIL.fullmatch(text) is not None


def is_e164(text: str) -> bool:
    """Tell whether the text is a phone number by shape: +, then 7 to 15 digits, the first not 0."""
    return _E164.fullmatch(text) is not None
