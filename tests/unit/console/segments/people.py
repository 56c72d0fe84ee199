"""Who is in the database that segments are tested on: by tenant, so that each test has few to expect."""

from typing import Any

from tests.unit.console.segments.population import NOW_MS, Customer

VALUES, HISTORIES, OTHERS = 1, 2, 3
"""The tenants."""

TRICKY = 'it\'s "quoted" \\ %(p0)s {x} – ü\n'
TRICKY_NAME = "a.b['x'] \\ \"%(p0)s\" `ü`"

BY_VALUE: dict[str, Any] = {
    "gold": "gold",
    "capital": "Gold",
    "five": 5,
    "five-point": 5.0,
    "five-text": "5",
    "d-text": "d5",
    "minus": -2.5,
    "tiny": 1e-7,
    "zero": 0,
    "big": 9007199254740993,
    "less-big": 9007199254740992,
    "true": True,
    "false": False,
    "true-text": "true",
    "noon": "2026-04-02T12:00:00Z",
    "noon-zone": "2026-04-02t14:00:00.000+02:00",
    "later": "2026-04-02T12:00:00.001Z",
    "old": "1955-01-01T00:00:00.5Z",
    "no-date": "2026-02-30T12:00:00Z",
    "no-zone": "2026-04-02T12:00:00",
    "day": "2026-04-02",
    "empty": "",
    "null": None,
    "object": {"p": "gold"},
    "list": [5, "gold"],
    "tricky": TRICKY,
    "nan-text": "nan",
}
"""One customer each, whose only event has this as its property `p`."""


def by_value() -> list[Customer]:
    given = [Customer(name, VALUES).did("Valued", 1, {"p": value}) for name, value in BY_VALUE.items()]
    return [
        *given,
        Customer("other-name", VALUES).did("Valued", 1, {"q": "gold", TRICKY_NAME: "gold", "": "unnamed"}),
        Customer("extra", VALUES).did("Valued", 1, {"$extra": "gold"}),
        Customer("nothing", VALUES),
    ]


def by_history() -> list[Customer]:
    """Return customers of HISTORIES, known by what they did and who they are."""
    often = Customer("often", HISTORIES)
    for days_ago in (1, 10, 20, 100):
        often.did("Order Placed", days_ago, {"plan": "pro", "n": days_ago}, value="20.5", currency="EUR")
    return [
        often,
        Customer("once", HISTORIES, profile={"id": "c-1", "firstName": "Ann", "phone": "+11234567890"})
        .did("Order Placed", 40, {"plan": "basic", "n": 40}, value="19.990000", currency="USD")
        .did("Page Viewed", 2),
        Customer("viewer", HISTORIES, profile={"location.city": "Seattle", "location.latitude": 47.6})
        .did("Page Viewed", 3, {"plan": "pro"})
        .did("Page Viewed", -0.5, {"plan": "pro"}),
        Customer(
            "quiet", HISTORIES, profile={"custom.Age": 25, "custom.Tier": 'Gold "1"', "custom.OK": False}
        ),
        Customer(
            "born", HISTORIES, profile={"custom.Birthday": "1976-07-04T12:00:00Z", "lastName": "O'Hara"}
        ),
        Customer("old-me", HISTORIES, profile={"firstName": "Zoe"}, told_ms=NOW_MS - 1).did(
            "Order Placed", 5
        ),
        Customer("new-me", HISTORIES).did("Order Placed", 6),
        Customer("late", HISTORIES).did("Backfilled", 300).did("Backfilled", 2, received_at=NOW_MS - 1),
    ]


def merged() -> list[tuple[Customer, Customer]]:
    """Return who turned out to be whom."""
    return [(Customer("old-me", HISTORIES), Customer("new-me", HISTORIES))]


def of_others() -> list[Customer]:
    """Return customers of two stores of OTHERS, one of them alike to one of HISTORIES."""
    return [
        Customer("often", OTHERS).did("Order Placed", 1, {"plan": "pro"}),
        Customer("elsewhere", OTHERS, source="store-2").did("Order Placed", 1, {"plan": "pro"}),
    ]
