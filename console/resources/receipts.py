"""`GET /penstock/v1/receipts/{request_id}`: what became of each event of a request of the caller's tenant."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.errors import ApiError
from console.receipts import receipt
from console.rendering import respond
from console.use import Use
from schemas.tenants import Token


def routes(use: Use) -> list[Route]:
    """Declare the resource."""

    async def receipts(request: Request, token: Token) -> Response:
        found = await receipt(
            use.warehouse,
            use.in_flight,
            request.path_params["request_id"],
            token.tenant.id,
            store=token.store,
        )
        if found is None:
            raise ApiError(404, "receipt_unknown")
        return respond(found)

    return [Route("/penstock/v1/receipts/{request_id}", use.guard(receipts))]
