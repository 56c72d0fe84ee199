"""What an operator asks: metrics, health, readiness; and what the server needs to stop in good order."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.body import Bodies
from gateway.health import Health
from gateway.metrics import Metrics
from gateway.publish import Publisher


@dataclass(frozen=True, slots=True)
class Operations:
    """The parts of a gateway that live beside its endpoints."""

    bodies: Bodies
    health: Health
    metrics: Metrics
    publisher: Publisher

    def admin(self) -> Starlette:
        """Build the operator's side, for the admin port."""

        async def metrics(request: Request) -> Response:
            return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

        return Starlette(routes=[Route("/metrics", metrics), *health_routes(self.health)])


def health_routes(health: Health) -> Iterator[BaseRoute]:
    """Declare what is asked without a token, and never limited."""

    async def told(request: Request) -> Response:
        body = health.body()
        return _json(body, 503 if body.status == "down" else 200)

    async def ready(request: Request) -> Response:
        if health.ready:
            return _json({"status": "ready"})
        reason = "stopping" if health.stopping else "the bus does not take events"
        return _json({"status": "not ready", "code": "not_ready", "message": reason}, 503)

    async def live(request: Request) -> Response:
        return _json({"status": "live"})

    for path, answer in (("/health", told), ("/ready", ready), ("/live", live)):
        yield Route(path, answer)
        yield Route(path + "/", answer)


def _json(body: object, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
