"""Which currency codes exist: ISO 4217 as it stands, and codes that ended lately and stand in a backfill."""

from typing import Final

import iso4217

from dialects.base import Refused

# Since 2010, from ISO's list of former codes.
WITHDRAWN = frozenset(
    {"ANG", "BGN", "BYR", "CUC", "EEK", "HRK", "LTL", "LVL", "MRO", "SLL", "STD", "VEF", "ZMK", "ZWL"}
)

CODES: Final = frozenset(code for code in iso4217.raw_table if code) | WITHDRAWN


def check(code: str, field: str) -> Refused | None:
    """Return why the text is not a currency code, or None."""
    if code in CODES:
        return None
    return Refused("unknown_currency", f"`{field}` must be an ISO 4217 code in upper case, as MXN.", field)
