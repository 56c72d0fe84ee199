"""The api as a Starlette application: its resources, its errors, its measures."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.errors import HANDLERS
from console.identity import Identified
from console.metrics import Measured
from console.resources import RESOURCES, health
from console.use import Use


def create_app(use: Use) -> Starlette:
    """Build the public side, for --api-port."""
    declared = [route for routes in RESOURCES for route in routes(use)]
    app = Starlette(
        # With and without a slash at the end; a redirect would cost the caller a second request.
        routes=[
            Route(path, route.endpoint, methods=list(route.methods or ()))
            for route in declared
            for path in (route.path + "/", route.path)  # a parameter that takes slashes leaves the last one
        ],
        middleware=[Middleware(Identified), Middleware(Measured)],
        exception_handlers=dict(HANDLERS),
    )
    app.router.redirect_slashes = False
    return app


def create_admin(use: Use) -> Starlette:
    """Build the operator's side, for --admin-port: metrics and health."""
    return Starlette(routes=[Route("/metrics", metrics), *health.routes(use)])


async def metrics(request: Request) -> Response:
    """Answer a scrape by Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
