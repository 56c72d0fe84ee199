"""Browser, operating system and kind of device, from the user agent."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ua_parser import Parser, Result, load_lazy_builtins
from ua_parser.regex import Resolver

from schemas.event import Event
from workers.resources import Resources
from workers.stage import KEEP, Verdict

CACHED_MAX = 16_384
PARSED_CHARS_MAX = 1_024
"""Real ones are shorter; this bounds the cache, whatever is sent, to some 20 MB."""

DESKTOPS = frozenset({"Windows", "Mac OS X", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS", "FreeBSD"})
TABLETS = ("iPad", "Kindle", "PlayBook", "Tablet")
PHONES = frozenset({"iOS", "Windows Phone", "BlackBerry OS", "KaiOS", "HarmonyOS"})
APPLIANCES = ("SMART-TV", "SmartTV", "TV", "PlayStation", "Xbox", "Nintendo")


class Known(NamedTuple):
    """What a user agent tells: family names, and one of desktop, mobile, tablet, bot, other."""

    browser: str
    os: str
    device_type: str


class Device:
    """Fill browser, os and device_type from the user agent; empty where none was sent."""

    name = "device"

    def __init__(self, use: Resources) -> None:
        self._parse = Parser(Resolver(load_lazy_builtins())).parse
        self._known = lru_cache(CACHED_MAX)(self._look)

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep all."""
        known = self._known
        for event in events:
            if event.user_agent:
                event.browser, event.os, event.device_type = known(event.user_agent[:PARSED_CHARS_MAX])
        return [KEEP] * len(events)

    def _look(self, user_agent: str) -> Known:
        result = self._parse(user_agent)
        return Known(
            result.user_agent.family if result.user_agent else "Other",
            result.os.family if result.os else "Other",
            _kind(user_agent, result),
        )


def _kind(user_agent: str, result: Result) -> str:
    os = result.os.family if result.os else ""
    device = result.device.family if result.device else ""
    if device == "Spider":
        return "bot"
    if any(word in user_agent for word in APPLIANCES):
        return "other"
    if device in TABLETS or (os == "Android" and _is_tablet(user_agent)):
        return "tablet"
    if os == "Android" or os in PHONES or "Mobile" in user_agent:
        return "mobile"
    return "desktop" if os in DESKTOPS else "other"


def _is_tablet(user_agent: str) -> bool:
    # Browsers on Android phones say Mobile, those on tablets do not; apps say neither.
    return user_agent.startswith("Mozilla/") and "Mobile" not in user_agent
