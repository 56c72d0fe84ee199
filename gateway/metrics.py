"""What the gateway counts: every measure with its meaning, in one place. Labels take few values each."""

from prometheus_client import (
    GC_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
)

from gateway.histogram import Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BYTES = (256, 1024, 4096, 16_384, 65_536, 262_144, 2**20, 4 * 2**20, 16 * 2**20, 32 * 2**20)

OTHER = "other"
"""The endpoint of a request that no dialect takes."""


class Metrics:
    """The measures of one gateway process. They are moved per request, never per event.

    `endpoint` is dialect and endpoint ("relo.batch"), `code` a reason that the code declares.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(GC_COLLECTOR)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

        # --- requests
        self.requests = self._counter("requests", "Requests answered.", "endpoint", "status")
        self.refused = self._counter(
            "requests_refused", "Requests refused as a whole, or in their only event.", "endpoint", "code"
        )
        self.swallowed = self._counter(
            "requests_swallowed",
            "Refused, but answered as a success, as their protocol says.",
            "endpoint",
            "code",
        )
        self.gone = self._counter(
            "clients_gone", "Requests whose client hung up before their end.", "endpoint"
        )
        self.malformed = self._counter("requests_malformed", "Bytes that were no HTTP request.")
        self.seconds = self._histogram("request_seconds", "From headers to answer.", SECONDS, "endpoint")
        self.body_bytes = self._histogram("body_bytes", "Bodies read, decompressed.", BYTES, "endpoint")
        self.in_flight = 0
        self.requests_in_flight = self._gauge("requests_in_flight", "Requests being worked on.")
        self.requests_in_flight.set_function(lambda: self.in_flight)

        # --- events
        self.accepted = self._counter("events_accepted", "Durable, and answered for.", "endpoint")
        self.rejected = self._counter("events_rejected", "Refused one by one.", "endpoint", "code")
        self.not_stored = self._counter(
            "events_rejected_not_stored", "Of those, counted only: over 100 a minute per address.", "endpoint"
        )
        self.unverified = self._counter(
            "events_unverified",
            "Accepted while the registry could not tell of tenant or product.",
            "endpoint",
        )

        # --- what the gateway holds and asks
        self.body_bytes_held = self._gauge(
            "body_bytes_held", "Body bytes in memory; PENSTOCK_BODY_BYTES_BUDGET."
        )
        self.publish_bytes = self._gauge(
            "publish_bytes_in_flight", "Record bytes not yet durable; PENSTOCK_PUBLISH_BYTES_BUDGET."
        )
        self.publish_seconds = self._histogram(
            "publish_seconds", "Until the bus had a request's records.", SECONDS
        )
        self.publish_failures = self._counter(
            "publish_failures", "Requests whose records the bus did not take."
        )
        self.bad_credentials = self._counter("bad_credentials", "Requests with no valid credential.")
        self.limits_alone = self._counter("limits_alone", "Rate limits decided without the shared key store.")
        self.lookups = self._counter(
            "registry_lookups", "Keys asked for in the registry; `unavailable`: calls.", "of", "answer"
        )
        self.up = self._gauge("dependency_up", "1 ok, 0.5 degraded, 0 down, as /health says.", "part")

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"penstock_gateway_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"penstock_gateway_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, bounds: tuple[float, ...], label: str = "") -> Histogram:
        made = Histogram(f"penstock_gateway_{name}", meaning, bounds, label)
        self.registry.register(made)
        return made
