"""`GET /penstock/v1/ledger`: whether every record that came in is accounted for, for the operator."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bus.base import LogChanged
from console.errors import ApiError
from console.reach import require_admin
from console.rendering import respond
from console.use import Use
from schemas.tenants import Token


def routes(use: Use) -> list[Route]:
    """Declare the resource."""

    async def ledger(request: Request, token: Token) -> Response:
        require_admin(token)
        try:
            books = await use.auditor.books()
        except LogChanged as error:
            raise ApiError(503, "log_changed", detail=f"{error}.", headers={"Retry-After": "60"}) from None
        return respond({"balanced": books.balanced, "partitions": books.lines})

    return [Route("/penstock/v1/ledger", use.guard(ledger))]
