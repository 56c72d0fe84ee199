"""The rules on devices: how fast they send, and where they are."""

from msgspec import Struct

from schemas.event import Event
from workers.fraud.rules import (
    DEVICE_EVENTS_MAX,
    TRAVEL_MS,
    USUAL_COUNTRY_VOTES_MAX,
    USUAL_COUNTRY_VOTES_MIN,
    VELOCITY_WINDOW_MS,
    Reason,
)
from workers.lastused import LastUsedBy, short_key

DEVICES_MAX = 100_000
"""About 30 MB when full; a device that was forgotten begins anew."""


class Device(Struct, gc=False):
    """What is remembered of one device. Times are event times, in Unix ms."""

    window: int  # number of the window that `events` counts, since 1970
    events: int = 0
    before: int = 0  # in the window before
    usual_country: str = ""
    votes: int = 0  # how many more events came from there than from elsewhere
    last_country: str = ""
    last_at: int = 0


class Devices:
    """Devices seen lately, of all tenants."""

    def __init__(self) -> None:
        self._devices = LastUsedBy[int, str | bytes, Device](DEVICES_MAX)
        self._window = 0  # one int for all devices of a window: 32 bytes less of each

    def judge(self, event: Event, country: str, *, is_new: bool, reasons: list[Reason]) -> None:
        """Add the reasons against an event with a device; `country` is "" where it says nothing."""
        name = short_key(event.anonymous_id)
        at = event.occurred_at
        window = at // VELOCITY_WINDOW_MS
        if window == self._window:
            window = self._window
        else:
            self._window = window
        device = self._devices.get(event.tenant_id, name)
        if device is None:
            device = Device(window)
            self._devices.put(event.tenant_id, name, device)
        if is_new:
            if window == device.window:
                device.events += 1
            elif window > device.window:  # an event of a window gone by says nothing about now
                _turn(device, window)
        if device.events + device.before > DEVICE_EVENTS_MAX and _is_fast(device, at):
            reasons.append("velocity_device")
        if country:
            if country != device.usual_country or country != device.last_country:
                _judge_country(device, country, at, reasons)
            if is_new:
                _place(device, country, at)


def _turn(device: Device, window: int) -> None:
    device.before = device.events if window == device.window + 1 else 0
    device.events = 1
    device.window = window


def _is_fast(device: Device, at: int) -> bool:
    window, into_ms = divmod(at, VELOCITY_WINDOW_MS)
    if window != device.window:
        return False
    return device.events + device.before * (1 - into_ms / VELOCITY_WINDOW_MS) > DEVICE_EVENTS_MAX


def _judge_country(device: Device, country: str, at: int, reasons: list[Reason]) -> None:
    if country != device.usual_country and device.votes >= USUAL_COUNTRY_VOTES_MIN:
        reasons.append("country_device")
    last = device.last_country
    if last and country != last and abs(at - device.last_at) <= TRAVEL_MS:
        reasons.append("two_countries")


def _place(device: Device, country: str, at: int) -> None:
    if country == device.usual_country:
        if device.votes < USUAL_COUNTRY_VOTES_MAX:
            device.votes += 1
    elif device.votes > 1:
        device.votes -= 1
    else:
        device.usual_country, device.votes = country, 1
    if at >= device.last_at:
        device.last_country, device.last_at = country, at
