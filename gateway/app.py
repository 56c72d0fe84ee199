"""Builds the gateway: what its endpoints use, its routes, and what runs beside them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bus.base import Bus
from dialects import discover
from dialects.base import Dialect
from gateway import openapi
from gateway.address import Addresses
from gateway.auth import Authenticator
from gateway.body import Bodies
from gateway.cors import Cors
from gateway.directory import Directory
from gateway.edge import Edge
from gateway.errors import METHOD_NOT_ALLOWED, NOT_FOUND, NOT_HERE
from gateway.health import Health, probes_of
from gateway.ingest import Ingest, Use
from gateway.limits import Limiter
from gateway.logs import RefusalLog
from gateway.metrics import Metrics
from gateway.operations import Operations, health_routes
from gateway.publish import Publisher
from gateway.tenancy import Tenancy
from schemas.settings import Settings
from stores.base import KeyStore, Registry


def create_app(
    settings: Settings,
    bus: Bus,
    registry: Registry,
    keys: KeyStore,
    *,
    dialects: Sequence[Dialect] | None = None,
) -> Starlette:
    """Build the public side, for all dialects that are found here. Raises SettingsError.

    `app.state.operations` (gateway.operations.Operations) is what the server needs besides.
    """
    metrics = Metrics()
    refusals = RefusalLog()
    bodies = Bodies(settings.body_bytes_budget)
    metrics.body_bytes_held.set_function(lambda: bodies.held_bytes)
    limiter = Limiter(keys, metrics)
    directory = Directory(registry, fresh_s=settings.registry_cache_s, metrics=metrics)
    publisher = Publisher(bus, settings.publish_bytes_budget, metrics)
    use = Use(
        addresses=Addresses(settings.trusted_proxies),
        authenticator=Authenticator(directory, limiter, metrics),
        bodies=bodies,
        cors=Cors(settings.cors_origins),
        limiter=limiter,
        metrics=metrics,
        publisher=publisher,
        refusals=refusals,
        tenancy=Tenancy(directory, limiter),
        uniform_status=settings.tracker_uniform_status,
    )
    health = Health(probes_of(settings, bus, registry, keys), version=_version(), metrics=metrics)
    dialects = discover() if dialects is None else dialects
    endpoints = list(_endpoints(dialects, use))
    app = Starlette(routes=[*endpoints, *_others(settings, health, dialects)], lifespan=_lifespan)
    app.router.redirect_slashes = False
    # Outermost, in the place of Starlette's own layer for errors: of those the edge lets none pass.
    app.middleware_stack = Edge(
        ExceptionMiddleware(app.router, handlers={404: _not_found, 405: _method_not_allowed}),
        direct={route.path: route.app for route in endpoints if not route.param_convertors},
        ends_at_length=settings.server == "granian",
        metrics=metrics,
        refusals=refusals,
    )
    app.state.operations = Operations(bodies, health, metrics, publisher)
    return app


def _endpoints(dialects: Sequence[Dialect], use: Use) -> Iterator[Route]:
    for dialect in dialects:
        for endpoint in dialect.endpoints:
            ingest = Ingest(dialect, endpoint, use)
            yield Route(endpoint.path, ingest)
            yield Route(endpoint.path + "/", ingest)


def _others(settings: Settings, health: Health, dialects: Sequence[Dialect]) -> Iterator[BaseRoute]:
    yield from health_routes(health)
    yield from openapi.routes(dialects, version=_version())
    api_port = settings.api_port or settings.port + 1

    async def not_here(request: HttpRequest) -> Response:
        raise NOT_HERE.refuse(port=api_port)

    yield Route("/penstock/v1{rest:path}", not_here, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Watch the parts while requests are served; let go only when nothing is on its way any more."""
    operations: Operations = app.state.operations
    await operations.health.probe_all()
    watch = asyncio.create_task(operations.health.watch())
    try:
        yield
    finally:
        await operations.publisher.finish()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _not_found(request: HttpRequest, error: Exception) -> Response:
    raise NOT_FOUND.refuse()


async def _method_not_allowed(request: HttpRequest, error: Exception) -> Response:
    allow = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
    raise METHOD_NOT_ALLOWED.refuse(allow=allow, headers=(("Allow", allow),))


def _version() -> str:
    try:
        return version("penstock")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "unknown"
