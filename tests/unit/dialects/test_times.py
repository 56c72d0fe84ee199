"""Event times: what is read, what is refused, what becomes of the future and of the past."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import times
from dialects.base import MappingError
from schemas.rows import TIME_MS_END, TIME_MS_MIN

NOW = 1_775_131_200_000  # 2026-04-02T12:00:00Z
DAY = 24 * 3600 * 1000

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=zones))
def test_a_date_time_is_read_to_the_millisecond(moment: datetime) -> None:
    wanted = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert times.milliseconds(moment) == wanted
    assert times.iso8601(moment.isoformat()) == wanted


@given(st.dates())
def test_every_form_of_a_date_is_the_same_day(day: date) -> None:
    wanted = times.iso8601(day.isoformat())
    year, week, weekday = day.isocalendar()
    ordinal = (day - day.replace(month=1, day=1)).days + 1
    forms = {
        f"{day:%Y}".zfill(4) + f"{day:%m%d}",
        f"{day.year:04}-{ordinal:03}",
        f"{day.year:04}{ordinal:03}",
    }
    if 1 <= year <= 9999:
        forms |= {f"{year:04}-W{week:02}-{weekday}", f"{year:04}W{week:02}{weekday}"}
    assert {times.iso8601(form) for form in forms} == {wanted}


@given(st.text(alphabet="0123456789-:.,TWZ+ tz", max_size=40) | st.text())
def test_no_text_raises(text: str) -> None:
    assert isinstance(times.iso8601(text), int | None)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-04-02T12:00:00Z", NOW),
        ("2026-04-02t12:00:00z", NOW),
        ("2026-04-02 12:00", NOW),
        ("2026-04-02T12", NOW),
        ("20260402T120000", NOW),
        ("2026-04-02T12:00:00-06", NOW + 6 * 3600 * 1000),
        ("2026-04-02T17:30:00+05:30", NOW),
        ("2026-04-02T12:00:00.123456789Z", NOW + 123),
        ("2026-04-02T24:00:00", NOW + DAY // 2),
        ("2024-12-31T24:00", 1_735_689_600_000),
    ],
)
def test_iso_8601(text: str, ms: int) -> None:
    assert times.iso8601(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1775131200",
        "2026",
        "2026-04",
        "2026-02-30",
        "2026-13-01",
        "2026-366",
        "2026-000",
        "2026-W54",
        "2026-04-02T25:00",
        "2026-04-02T24:01",
        "2026-04-02T12.5",
        "2026-04-02X12:00",
        "2026-04-02T12:00:00 Z",
        "٢٠٢٦-04-02",
        "2026-04-02T12:00:00." + "0" * 60,
        "9999-12-31T24:00",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert times.iso8601(text) is None


def test_the_years_that_are_accepted() -> None:
    assert times.iso8601("1973-01-01") == TIME_MS_MIN
    assert times.iso8601("2200-01-01") == TIME_MS_END
    assert times.check(TIME_MS_MIN, "ts") is None
    assert times.check(TIME_MS_END - 1, "ts") is None
    for ms in (TIME_MS_MIN - 1, TIME_MS_END):
        refused = times.check(ms, "ts")
        assert refused is not None
        assert (refused.code, refused.field) == ("time_out_of_range", "ts")


@pytest.mark.parametrize(
    ("occurred_at", "stored", "clock"),
    [
        (NOW, NOW, ""),
        (NOW + DAY, NOW + DAY, ""),
        (NOW + DAY + 1, NOW, "future"),
        (NOW - 7 * DAY, NOW - 7 * DAY, ""),
        (NOW - 7 * DAY - 1, NOW - 7 * DAY - 1, "late"),
        (TIME_MS_END - 1, NOW, "future"),
        (TIME_MS_MIN, TIME_MS_MIN, "late"),
    ],
)
def test_the_clock(occurred_at: int, stored: int, clock: str) -> None:
    assert times.judge(occurred_at, NOW) == (stored, clock)


@pytest.mark.parametrize("occurred_at", [TIME_MS_MIN - 1, TIME_MS_END, -1, 2**70])
def test_a_time_that_no_row_can_hold_is_dead(occurred_at: int) -> None:
    with pytest.raises(MappingError) as dead:
        times.judge(occurred_at, NOW)
    assert dead.value.refused.code == "time_out_of_range"
