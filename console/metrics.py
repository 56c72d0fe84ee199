"""What the api counts."""

import time
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS: Final = Counter(
    "penstock_api_requests_total", "Requests to the api, by resource and status.", ["resource", "status"]
)
SECONDS: Final = Histogram(
    "penstock_api_request_seconds", "Time to the last byte of an answer of the api.", ["resource"]
)
LEDGER_GAPS: Final = Gauge(
    "penstock_api_ledger_gaps", "Offsets of the last 7 days that no table knows: lost.", ["topic"]
)
LEDGER_OVERLAPS: Final = Gauge(
    "penstock_api_ledger_overlaps",
    "Places that offsets of the last 7 days have beyond their one: stored twice.",
    ["topic"],
)
LEDGER_IN_FLIGHT: Final = Gauge(
    "penstock_api_ledger_in_flight", "Records in the log that nothing has become of yet.", ["topic"]
)
AUDITS: Final = Counter(
    "penstock_api_audits_total", "Audits by how they ended: balanced, unbalanced, failed.", ["result"]
)
AUDITED_AT: Final = Gauge(
    "penstock_api_audited_at_seconds", "Unix time of the last audit that could be finished."
)

ERASURES: Final = Gauge(
    "penstock_api_erasures", "Erasures by state: erasing, waiting_for_log, done.", ["state"]
)
ERASURE_FAILURES: Final = Counter(
    "penstock_api_erasure_failures_total", "Steps of erasures that have to be taken again; the log says why."
)
ERASED_ROWS: Final = Counter(
    "penstock_api_erased_rows_total", "Rows that erasures deleted, by table.", ["table"]
)


class Measured:
    """ASGI middleware: counts and times every request by the resource that answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and look at the answer's status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, watch)
        finally:
            resource = getattr(scope.get("endpoint"), "__name__", "none")
            REQUESTS.labels(resource, str(status)).inc()
            SECONDS.labels(resource).observe(time.perf_counter() - started)
