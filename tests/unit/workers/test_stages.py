"""What the enriching stages learn, and what they leave alone."""

from collections.abc import Sequence
from typing import cast

import pytest

from bus.base import Taken
from schemas.event import Event
from schemas.settings import Settings
from schemas.topics import Coordinates
from stores.base import KeyStore, Warehouse
from stores.geo import Geo as GeoFile
from stores.registry import SqlRegistry
from tests.unit.workers.recorder import Recorder
from tests.unit.workers.running import envelope
from workers.pipelines import describe
from workers.pipelines.events import STAGES, read_event
from workers.resources import Resources
from workers.stage import KEEP
from workers.stages.device import PARSED_CHARS_MAX, Device
from workers.stages.geo import Geo


@pytest.fixture
def use() -> Resources:
    return Resources(
        settings=Settings(),
        warehouse=cast(Warehouse, Recorder()),
        registry=cast(SqlRegistry, None),
        keys=cast(KeyStore, None),
        geo=GeoFile(),
    )


def event(**changes: str) -> Event:
    made = read_event(Taken(0, b"", envelope(1)), Coordinates(1, "events.raw", 0, 0))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


async def test_geo_knows_the_country_of_an_address(use: Resources) -> None:
    events: Sequence[Event] = [event(ip="8.8.8.8"), event(ip="127.0.0.1"), event(ip=""), event(ip="not one")]
    assert await Geo(use).judge(events) == [KEEP] * 4
    assert [e.country for e in events] == ["US", "", "", ""]


async def test_geo_looks_up_whichever_source_the_address_has(use: Resources) -> None:
    events = [event(ip="8.8.8.8", ip_source="event"), event(ip="8.8.8.8", ip_source="connection")]
    await Geo(use).judge(events)
    assert [e.country for e in events] == ["US", "US"]


BROWSER = "AppleWebKit/537.36 (KHTML, like Gecko)"
AGENTS = {
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BROWSER} Chrome/126.0.0.0 Safari/537.36": (
        "Chrome",
        "Windows",
        "desktop",
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0": ("Firefox", "Linux", "desktop"),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BROWSER} Chrome/126.0.0.0 Safari/537.36": (
        "Chrome",
        "Chrome OS",
        "desktop",
    ),
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {BROWSER} Version/17.5 Mobile Safari/604.1": (
        "Mobile Safari",
        "iOS",
        "mobile",
    ),
    f"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) {BROWSER} Version/16.6 Mobile/15E148 Safari/604.1": (
        "Mobile Safari",
        "iOS",
        "tablet",
    ),
    f"Mozilla/5.0 (Linux; Android 14; SM-S918B) {BROWSER} Chrome/126.0.0.0 Mobile Safari/537.36": (
        "Chrome Mobile",
        "Android",
        "mobile",
    ),
    f"Mozilla/5.0 (Linux; Android 13; SM-X906C) {BROWSER} Chrome/126.0.0.0 Safari/537.36": (
        "Chrome",
        "Android",
        "tablet",
    ),
    "Dalvik/2.1.0 (Linux; U; Android 12; Pixel 6 Build/SD1A)": ("Android", "Android", "mobile"),
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": ("Googlebot", "Other", "bot"),
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/538.1 Version/6.0 TV Safari/538.1": (
        "Safari",
        "Tizen",
        "other",
    ),
    "curl/8.5.0": ("curl", "Other", "other"),
    "\x00\u202e" * 40: ("Other", "Other", "other"),
    "x" * 30_000: ("Other", "Other", "other"),
}


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent[:30].encode("unicode_escape").decode())
async def test_device_knows_browser_system_and_kind(use: Resources, agent: str) -> None:
    one = event(user_agent=agent)
    assert await Device(use).judge([one]) == [KEEP]
    assert (one.browser, one.os, one.device_type) == AGENTS[agent]


async def test_without_a_user_agent_nothing_is_known(use: Resources) -> None:
    one = event(user_agent="")
    await Device(use).judge([one])
    assert (one.browser, one.os, one.device_type) == ("", "", "")


async def test_the_cache_of_user_agents_is_bounded(use: Resources) -> None:
    device = Device(use)
    await device.judge([event(user_agent="curl/1 " + "y" * n) for n in range(PARSED_CHARS_MAX + 200)])
    assert device._known.cache_info().currsize <= PARSED_CHARS_MAX


def test_the_list_of_stages_is_the_one_that_runs() -> None:
    text = "\n".join(describe())
    places = [text.index(f"  {stage.name} ") for stage in STAGES]
    assert places == sorted(places)
    assert "quarantine: reads events.rejected and events.dead" in text
