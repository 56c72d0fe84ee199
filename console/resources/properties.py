"""`GET /penstock/v1/properties`: what the caller's events have that a segment can ask for."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.parameters import Text, read
from console.rendering import respond
from console.segments.discovery import discover
from console.use import Use
from schemas.tenants import Token


class Window(Struct, forbid_unknown_fields=True):
    """How far back to look, and at which event only."""

    days: Annotated[int, Meta(ge=1, le=400)] = 30
    event: Text | None = None


def routes(use: Use) -> list[Route]:
    """Declare the resource."""

    async def properties(request: Request, token: Token) -> Response:
        asked = read(request, Window)
        found = await discover(
            use.warehouse, token.tenant.id, days=asked.days, event=asked.event, store=token.store
        )
        return respond({"days": asked.days, "events": found})

    return [Route("/penstock/v1/properties", use.guard(properties))]
