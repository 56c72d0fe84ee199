"""Which texts are dates: full RFC 3339 date-times, as `properties_typed` of `events` reads them."""

import re
from datetime import UTC, datetime, timedelta

_RFC_3339 = re.compile(
    r"(?P<date>(?:19|2[0-2])\d\d-\d\d-\d\d)[Tt ](?P<time>(?:[01]\d|2[0-3])(?::[0-5]\d){2})"
    r"(?:\.(?P<fraction>\d{1,9}))?(?P<zone>[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def date_ms(text: str) -> int | None:
    """Return a date-time with a zone, of the years 1900 to 2299, as Unix ms; None for any other text.

    What is finer than a millisecond is cut off.
    """
    found = _RFC_3339.fullmatch(text)
    if found is None:
        return None
    zone = found["zone"] if found["zone"] not in "Zz" else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{found['date']}T{found['time']}{zone}")
    except ValueError:  # the 30th of February
        return None
    milliseconds = int(f"{found['fraction'] or '':0<3}"[:3])
    return (moment - _EPOCH) // timedelta(milliseconds=1) + milliseconds
