"""The rules of the fraud score: each reason, its weight, and every figure they judge by."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

Reason = Literal[
    "velocity_device",
    "velocity_ip",
    "velocity_person",
    "revenue_outlier",
    "country_currency",
    "country_device",
    "two_countries",
    "automation",
    "time_ahead",
    "time_long_ago",
    "order_repeated",
]

Reasons = defaultdict[int, list[Reason]]
"""Against the events of a batch, by index; no rule adds an index without a reason."""


class Rule(NamedTuple):
    """`weight` is what the reason adds to the score, which ends at 100."""

    weight: int
    about: str


RULES: dict[Reason, Rule] = {
    "velocity_device": Rule(30, "More than 120 events of the device within a minute."),
    "velocity_ip": Rule(20, "More than 600 events from the address within a minute."),
    "velocity_person": Rule(25, "More than 240 events of the person within a minute."),
    "revenue_outlier": Rule(
        30,
        "A purchase over three times what 99 in 100 of the tenant's purchases in that currency stay below.",
    ),
    "country_currency": Rule(10, "A purchase in a currency that is not of the country it came from."),
    "country_device": Rule(10, "Not the country that the device is usually in."),
    "two_countries": Rule(25, "The device was in another country within the hour."),
    "automation": Rule(40, "The user agent names a program, not a browser or an app."),
    "time_ahead": Rule(15, "It says that it happened over 24 hours after it was received."),
    "time_long_ago": Rule(10, "It says that it happened over a year before it was received."),
    "order_repeated": Rule(35, "The order id, for the same product, came before with another amount."),
}

assert set(RULES) == set(get_args(Reason))

VELOCITY_WINDOW_MS = MINUTE_MS
DEVICE_EVENTS_MAX = 120  # a person turns two pages a second only for a moment
IP_EVENTS_MAX = 600  # an office, or a mobile carrier's gateway
PERSON_EVENTS_MAX = 240  # two devices of one person
SHARED_FROM = 1 / 16  # of these limits: what a worker sees less of stays with it, others are not asked
COUNTERS_KEPT_MS = 5 * MINUTE_MS  # partitions of one topic are read that far apart, and more seldom

REVENUE_QUANTILE = 0.99
REVENUE_FACTOR = 3.0
REVENUE_PURCHASES_MIN = 100  # fewer say nothing about the hundredth

USUAL_COUNTRY_VOTES_MIN = 10
USUAL_COUNTRY_VOTES_MAX = 100  # so a device that moved is at home again after as many events
TRAVEL_MS = HOUR_MS
LONG_AGO_MS = 365 * DAY_MS

WARM_MS = max(2 * VELOCITY_WINDOW_MS, TRAVEL_MS)
"""State that is younger than the longest window is cold."""

COLD = "fraud_cold"
"""The flag of an event that was judged by cold state."""

WORLD_CURRENCIES = frozenset({"EUR", "USD"})
"""Taken in shops everywhere: they say nothing about a country."""

_AUTOMATION = re.compile(
    r"headless|phantomjs|selenium|webdriver|puppeteer|playwright|cypress"
    r"|(?<!cu)bot\b|spider|crawl|scrap[ey]"  # Cubot makes telephones
    r"|^(curl|wget|httpie|python|java|go-http-client|ruby|perl|php|guzzlehttp|axios|node|undici|got|libwww"
    r"|apache-httpclient|restsharp|postmanruntime|insomnia|aiohttp|httpx|k6|jmeter|apachebench|wrk|hey|vegeta)\b",
    re.IGNORECASE,
)


def is_automation(user_agent: str) -> bool:
    """Tell whether a user agent names a crawler, a driven browser or a library."""
    return _AUTOMATION.search(user_agent) is not None


def score_of(reasons: Iterable[Reason]) -> int:
    """Return the score, 0 to 100."""
    return min(sum(RULES[reason].weight for reason in reasons), 100)
