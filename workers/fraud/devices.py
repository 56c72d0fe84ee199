"""The rules on devices: how fast they send, and where they are."""

from collections.abc import Sequence

from schemas.event import Event
from schemas.pace import Pace
from workers.fraud.rules import (
    DEVICE_EVENTS_MAX,
    MINUTE_MS,
    TRAVEL_MS,
    USUAL_COUNTRY_VOTES_MAX,
    USUAL_COUNTRY_VOTES_MIN,
    Reasons,
)

TRAVEL_MINUTES = TRAVEL_MS // MINUTE_MS


class Devices:
    """Judges events by the pace of their devices, and brings that up to date."""

    def __init__(self) -> None:
        self._minute = 0  # one int for all devices of a minute: 32 bytes less of each, and nearer at hand

    def judge(
        self, events: Sequence[Event], addressed: Sequence[bool], first_new: int, reasons: Reasons
    ) -> None:
        """Add the reasons against events with a device; those before `first_new` were counted earlier."""
        for place, event in enumerate(events):
            pace = event.pace
            if pace is None:
                continue
            minute = event.occurred_at // MINUTE_MS
            if minute == self._minute:
                minute = self._minute
            else:
                self._minute = minute
            is_new = place >= first_new
            if is_new:
                _count(pace, minute)
            if pace.events + pace.before > DEVICE_EVENTS_MAX and _is_fast(pace, event.occurred_at):
                reasons[place].append("velocity_device")
            if addressed[place] and event.country:
                if event.country != pace.usual_country or event.country != pace.last_country:
                    _judge_country(pace, event.country, minute, place, reasons)
                if is_new:
                    _visit(pace, event.country, minute)


def _count(pace: Pace, minute: int) -> None:
    if minute == pace.minute:
        pace.events += 1
    elif minute > pace.minute:  # an event of a minute gone by says nothing about now
        pace.before = pace.events if minute == pace.minute + 1 else 0
        pace.events = 1
        pace.minute = minute


def _is_fast(pace: Pace, at: int) -> bool:
    minute, into_ms = divmod(at, MINUTE_MS)
    if minute != pace.minute:
        return False
    return pace.events + pace.before * (1 - into_ms / MINUTE_MS) > DEVICE_EVENTS_MAX


def _judge_country(pace: Pace, country: str, minute: int, place: int, reasons: Reasons) -> None:
    if country != pace.usual_country and pace.votes >= USUAL_COUNTRY_VOTES_MIN:
        reasons[place].append("country_device")
    last = pace.last_country
    if last and country != last and abs(minute - pace.last_minute) < TRAVEL_MINUTES:
        reasons[place].append("two_countries")


def _visit(pace: Pace, country: str, minute: int) -> None:
    if country == pace.usual_country:
        if pace.votes < USUAL_COUNTRY_VOTES_MAX:
            pace.votes += 1
    elif pace.votes > 1:
        pace.votes -= 1
    else:
        pace.usual_country, pace.votes = country, 1
    if minute >= pace.last_minute:
        pace.last_country, pace.last_minute = country, minute
