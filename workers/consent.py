"""What the person behind an event agreed to, in words; the stages ask here and nowhere else.

relo's mask names no meanings and a tenant may give its bits others, so the stage `consent` translates the
mask once, into `event.allowed`. docs/consent.md has the table of what each missing meaning costs.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import get_args

from schemas.event import CONSENT_ALL, Event
from schemas.tenants import Meaning

BITS: dict[Meaning, int] = {
    "analytics": 1,
    "identity": 2,
    "location": 4,
    "marketing": 8,
    "personalisation": 16,
    "third_parties": 32,
    "device": 64,
}
"""Our own bits, those of `event.allowed`; also where a tenant's mask has them by default. 128 is reserved."""

NEEDS: dict[Meaning, Meaning] = {
    "identity": "analytics",
    "marketing": "identity",
    "personalisation": "identity",
    "third_parties": "analytics",
}
"""Nothing is known of a person where nothing may be analysed, and only a known person has a profile."""

WHOLE = BITS["analytics"] | BITS["identity"] | BITS["location"] | BITS["device"]
"""Where one of these is missing, the row is reduced."""


def allows(event: Event, meaning: Meaning) -> bool:
    """Tell whether an event that passed the stage `consent` may be used for this.

    `identity` (resolve and link persons) and `marketing` (profiles) already include what they need.
    """
    return event.allowed & BITS[meaning] != 0


def is_whole(event: Event) -> bool:
    """Tell whether the row may hold the event as it was sent."""
    return event.allowed & WHOLE == WHOLE


def translate(mask: int, consent_bits: Mapping[str, int]) -> int:
    """Return a tenant's mask (0 to 255) in our own bits, without what lacks what it needs.

    `consent_bits` gives a meaning another bit; it has no names but those of meanings.
    """
    if mask == CONSENT_ALL:
        return CONSENT_ALL
    return _translate(mask, tuple(consent_bits.get(meaning, bit) for meaning, bit in BITS.items()))


@lru_cache(maxsize=4_096)
def _translate(mask: int, bits: tuple[int, ...]) -> int:
    given = {meaning for meaning, bit in zip(get_args(Meaning), bits, strict=True) if mask & bit}
    for meaning, needed in NEEDS.items():  # what is needed stands above what needs it
        if needed not in given:
            given.discard(meaning)
    return sum(BITS[meaning] for meaning in given)
