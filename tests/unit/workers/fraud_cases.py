"""What each rule of the fraud score fires on, and what it leaves alone: the last event of each list."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from schemas.event import Event
from schemas.pace import Pace
from tests.unit.workers.judged import BROWSER, DAY_MS, HOUR_MS, NOW, event, purchase
from workers.consent import BITS
from workers.fraud import rules
from workers.fraud.rules import Reason
from workers.stage import Verdict
from workers.stages.fraud import Fraud

PERSON = str(UUID(int=7))

_IDENTITY = BITS["identity"]


class Paced:
    """The stage `fraud`, and what `person` does for it: says of which device an event is."""

    def __init__(self, stage: Fraud) -> None:
        self.stage = stage
        self._paces: defaultdict[tuple[int, str, str], Pace] = defaultdict(Pace)

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        for each in events:
            device = (each.tenant_id, each.dialect, each.anonymous_id)
            each.pace = self._paces[device] if each.anonymous_id and each.allowed & _IDENTITY else None
        return await self.stage.judge(events)


FROM_EVENT: dict[str, Any] = {"ip_source": "event", "ua_source": "event"}


def many(count: int, within_ms: int, **changes: Any) -> list[Event]:
    """Make events that come evenly within a time that begins with a window."""
    start = NOW - NOW % rules.VELOCITY_WINDOW_MS
    moments = [start + n * within_ms // count for n in range(count)]
    return [event(n, **({"received_at": at, "occurred_at": at} | changes)) for n, at in enumerate(moments)]


def sold(count: int, **changes: Any) -> list[Event]:
    """Make the purchases of a usual shop: 10 to 1,000."""
    return [purchase(n, value=f"{10 + n * 7919 % 990}.000000", **changes) for n in range(count)]


def seen_in(*countries: str, step_ms: int = DAY_MS, **changes: Any) -> list[Event]:
    """Make events of one device, one after the other, from addresses in some countries."""
    given: dict[str, Any] = {"ip": "203.0.113.9", **FROM_EVENT} | changes
    return [
        event(n, country=country, occurred_at=NOW + n * step_ms, received_at=NOW + n * step_ms, **given)
        for n, country in enumerate(countries)
    ]


def from_place(**changes: Any) -> dict[str, Any]:
    return {"ip": "203.0.113.9", "country": "MX", **FROM_EVENT} | changes


def by_person(count: int, within_ms: int, **changes: Any) -> list[Event]:
    events = many(count, within_ms, person_id=PERSON, **changes)
    for number, each in enumerate(events):
        each.anonymous_id = f"device-{number}"
    return events


def by_address(count: int, within_ms: int, **changes: Any) -> list[Event]:
    events = many(count, within_ms, **({"ip": "203.0.113.9"} | changes))
    for number, each in enumerate(events):
        each.anonymous_id = f"device-{number}"
    return events


FIRES: dict[str, tuple[Reason, list[Event]]] = {
    "a device sends 121 in a minute": ("velocity_device", many(121, 59_000)),
    "a visitor of a front-end too": ("velocity_device", many(121, 59_000, dialect="alana")),
    "over the turn of a minute": (
        "velocity_device",
        [*many(100, 59_000), *[event(100 + n, occurred_at=NOW - NOW % 60_000 + 60_100) for n in range(60)]],
    ),
    "an address that the events give": ("velocity_ip", by_address(601, 59_000, **FROM_EVENT)),
    "an address that connects": ("velocity_ip", by_address(601, 59_000, dialect="tracker")),
    "whatever time the events of a connection claim": (
        "velocity_ip",
        [
            event(
                n,
                dialect="tracker",
                ip="203.0.113.9",
                anonymous_id="",
                received_at=NOW,
                occurred_at=NOW - n * DAY_MS,
            )
            for n in range(601)
        ],
    ),
    "a person with many devices": ("velocity_person", by_person(241, 59_000)),
    "a purchase of a hundredfold": ("revenue_outlier", [*sold(300), purchase(300, value="99999.000000")]),
    "pesos from France": ("country_currency", [purchase(**from_place(country="FR"))]),
    "pesos from a connection in France": (
        "country_currency",
        [purchase(dialect="tracker", ip="203.0.113.9", country="FR")],
    ),
    "a device that is abroad": ("country_device", seen_in(*["MX"] * 12, "FR")),
    "two countries within 59 minutes": ("two_countries", seen_in("MX", "FR", step_ms=59 * 60_000)),
    "two countries, told in the wrong order": ("two_countries", seen_in("MX", "FR", step_ms=-59 * 60_000)),
    "a library": ("automation", [event(user_agent="python-requests/2.32", **FROM_EVENT)]),
    "a driven browser": ("automation", [event(user_agent="Mozilla/5.0 HeadlessChrome/126", **FROM_EVENT)]),
    "a crawler that the stage device knows": (
        "automation",
        [event(user_agent="Mediapartners", device_type="bot", **FROM_EVENT)],
    ),
    "a program that connects to a front-end": ("automation", [event(dialect="alana", user_agent="curl/8.7")]),
    "a clock two days ahead": ("time_ahead", [event(clock="future")]),
    "an event of the year before last": (
        "time_long_ago",
        [event(clock="late", occurred_at=NOW - 500 * DAY_MS)],
    ),
    "an order with another amount": (
        "order_repeated",
        [purchase(1, order_id="o"), purchase(2, order_id="o", value="1.000000")],
    ),
    "an order in another currency": (
        "order_repeated",
        [purchase(1, order_id="o"), purchase(2, order_id="o", currency="USD")],
    ),
}

SILENT: dict[str, tuple[Reason, list[Event]]] = {
    "a device sends 120 in a minute": ("velocity_device", many(120, 59_000)),
    "a device sends 600 in ten minutes": ("velocity_device", many(600, 600_000)),
    "a backfill of a device's year, at once": (
        "velocity_device",
        [event(n, received_at=NOW, occurred_at=NOW - n * HOUR_MS) for n in range(2_000)],
    ),
    "many devices": ("velocity_device", by_address(601, 59_000)),
    "one device id in many tenants": (
        "velocity_device",
        [event(n, tenant_id=n, occurred_at=NOW) for n in range(300)],
    ),
    "no device": ("velocity_device", many(300, 1_000, anonymous_id="")),
    "an address that sends 600": ("velocity_ip", by_address(600, 59_000, **FROM_EVENT)),
    "a shop's own server": ("velocity_ip", by_address(2_000, 59_000)),
    "a marketing back-end": ("velocity_ip", by_address(2_000, 59_000, dialect="redo")),
    "a backfill from one address": (
        "velocity_ip",
        [
            event(n, received_at=NOW, occurred_at=NOW - n * 1_000, ip="203.0.113.9", **FROM_EVENT)
            for n in range(2_000)
        ],
    ),
    "a person that sends 240": ("velocity_person", by_person(240, 59_000)),
    "events without a person": ("velocity_person", many(2_000, 59_000)),
    "a dear purchase": ("revenue_outlier", [*sold(300), purchase(300, value="2900.000000")]),
    "too few purchases to know": ("revenue_outlier", [*sold(90), purchase(90, value="99999.000000")]),
    "purchases of another tenant": (
        "revenue_outlier",
        [*sold(300, tenant_id=2), purchase(300, value="99999.000000")],
    ),
    "purchases in another currency": (
        "revenue_outlier",
        [*sold(300, currency="USD"), purchase(300, value="99999.000000")],
    ),
    "a cart of a hundredfold": (
        "revenue_outlier",
        [*sold(300), event(300, event_type="checkout_started", value="99999.000000")],
    ),
    "a gift": ("revenue_outlier", [purchase(value="0.000000"), purchase(1, value="-5.000000")]),
    "pesos from Mexico": ("country_currency", [purchase(**from_place())]),
    "euros from a country of the euro": (
        "country_currency",
        [purchase(**from_place(country="FR", currency="EUR"))],
    ),
    "francs from Liechtenstein": ("country_currency", [purchase(**from_place(country="LI", currency="CHF"))]),
    "dollars from anywhere": ("country_currency", [purchase(**from_place(country="FR", currency="USD"))]),
    "no known country": ("country_currency", [purchase(**from_place(country=""))]),
    "no known currency": ("country_currency", [purchase(**from_place(country="FR", currency=""))]),
    "no amount": ("country_currency", [purchase(**from_place(country="FR", value="0.000000"))]),
    "a shop's server in France": ("country_currency", [purchase(ip="203.0.113.9", country="FR")]),
    "a device at home": ("country_device", seen_in(*["MX"] * 13)),
    "a device of which little is known": ("country_device", seen_in(*["MX"] * 8, "FR")),
    "a device that moved": ("country_device", seen_in(*["MX"] * 12, *["FR"] * 13)),
    "a shop's server that moved": ("country_device", seen_in(*["MX"] * 12, "FR", ip_source="connection")),
    "two countries just over an hour apart": (
        "two_countries",
        seen_in("MX", "FR", step_ms=HOUR_MS + 1_000),
    ),
    "two countries in two hours": ("two_countries", seen_in("MX", "FR", step_ms=2 * HOUR_MS)),
    "one country twice": ("two_countries", seen_in("MX", "MX", step_ms=1_000)),
    "a country and an unknown one": ("two_countries", seen_in("MX", "", step_ms=1_000)),
    "a shop's servers in two countries": (
        "two_countries",
        seen_in("MX", "FR", step_ms=1_000, ip_source="connection"),
    ),
    "a browser": ("automation", [event(user_agent=BROWSER, **FROM_EVENT)]),
    "an app": (
        "automation",
        [event(user_agent="ShopApp/4.2 (iOS 18.1) CFNetwork/1568 Darwin/24.1", **FROM_EVENT)],
    ),
    "an app's usual library": ("automation", [event(user_agent="okhttp/4.12.0", **FROM_EVENT)]),
    "a telephone called Cubot": (
        "automation",
        [event(user_agent="Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) Chrome/126.0", **FROM_EVENT)],
    ),
    "no user agent": ("automation", [event(**FROM_EVENT)]),
    "the program of a shop's server": (
        "automation",
        [event(user_agent="python-requests/2.32", device_type="bot")],
    ),
    "now": ("time_ahead", [event()]),
    "a year ago": ("time_long_ago", [event(clock="late", occurred_at=NOW - 364 * DAY_MS)]),
    "a clock ahead is not long ago": ("time_long_ago", [event(clock="future", occurred_at=NOW)]),
    "an order told twice": ("order_repeated", [purchase(1, order_id="o"), purchase(2, order_id="o")]),
    "an order of two products": (
        "order_repeated",
        [purchase(1, order_id="o"), purchase(2, order_id="o", product_ids=("product-2",), value="1.000000")],
    ),
    "orders of two shops": (
        "order_repeated",
        [purchase(1, order_id="o"), purchase(2, order_id="o", source="4", value="1.000000")],
    ),
    "no order id": ("order_repeated", [purchase(1, order_id=""), purchase(2, order_id="", value="1.000000")]),
}
