"""What the api serves, one file per resource; each declares `routes(use)`. Listed here by hand."""

from collections.abc import Callable

from starlette.routing import Route

from console.resources import (
    customers,
    erasures,
    events,
    filters,
    health,
    ledger,
    me,
    properties,
    quarantine,
    receipts,
    segments,
)
from console.use import Use

RESOURCES: tuple[Callable[[Use], list[Route]], ...] = (
    me.routes,
    events.routes,
    quarantine.routes,
    receipts.routes,
    customers.routes,
    segments.routes,
    filters.routes,
    properties.routes,
    erasures.routes,
    ledger.routes,
    health.routes,
)
