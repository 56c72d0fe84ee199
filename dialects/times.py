"""Event times as integer Unix milliseconds: which are accepted, and what becomes of them (rule 9)."""

import re
from datetime import UTC, date, datetime, timedelta

from dialects.base import MappingError, Refused
from schemas.event import Clock
from schemas.rows import TIME_MS_END, TIME_MS_MIN

FUTURE_MS = 24 * 3600 * 1000
LATE_MS = 7 * FUTURE_MS
SECONDS_MAX = 10**11  # a time in ms below this lies before March 1973: the producer sent seconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)

# datetime.fromisoformat takes any separator and puts fractions of hours into seconds; this does not.
_ISO_8601 = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{8}|\d{4}-?W\d\d(?:-?[1-7])?|(?P<year>\d{4})-?(?P<day>\d{3}))"
    r"(?:[T ](?P<hour>\d\d)(?P<rest>(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?)(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_TEXT_CHARACTERS_MAX = 64


def check(ms: int, field: str) -> Refused | None:
    """Return why an event time is not accepted, or None."""
    if TIME_MS_MIN <= ms < TIME_MS_END:
        return None
    return Refused("time_out_of_range", f"`{field}` must lie in the years 1973 to 2199.", field)


def judge(occurred_at: int, received_at: int) -> tuple[int, Clock]:
    """Return the time to store and its flag. Raises MappingError for one that `check` refuses."""
    if occurred_at - received_at > FUTURE_MS:
        _refuse(check(occurred_at, ""))
        return received_at, "future"
    if received_at - occurred_at > LATE_MS:
        _refuse(check(occurred_at, ""))
        return occurred_at, "late"
    return occurred_at, ""


def milliseconds(moment: datetime) -> int:
    """Return an aware datetime as Unix milliseconds, cut off below."""
    return (moment - _EPOCH) // _MILLISECOND


def iso8601(text: str) -> int | None:
    """Read a date or date-time as ISO 8601 writes it (calendar, week or ordinal date; no zone: UTC).

    Returns None for anything else. Fractions are understood of seconds only; 24:00 ends a day.
    """
    found = _ISO_8601.fullmatch(text) if len(text) <= _TEXT_CHARACTERS_MAX else None
    if found is None:
        return None
    try:
        moment = _moment(found)
        return milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # the 30th of February, the end of the year 9999
        return None


def _moment(found: re.Match[str]) -> datetime:
    day = found["date"].upper()
    if found["day"] is not None:
        day = _of_ordinal(int(found["year"]), int(found["day"])).isoformat()
    if found["hour"] is None:
        return datetime.fromisoformat(day)
    rest, zone = found["rest"], (found["zone"] or "").upper()
    if found["hour"] != "24":
        return datetime.fromisoformat(f"{day}T{found['hour']}{rest}{zone}")
    if rest.strip(":0.,"):
        raise ValueError("only midnight may be written as hour 24")
    return datetime.fromisoformat(f"{day}T00{zone}") + _DAY


def _of_ordinal(year: int, day: int) -> date:
    found = date(year, 1, 1) + timedelta(days=day - 1)
    if found.year != year:
        raise ValueError("the year has no such day")
    return found


def _refuse(refused: Refused | None) -> None:
    if refused is not None:
        raise MappingError(refused)
