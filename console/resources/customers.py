"""`GET /penstock/v1/stores/{store}/customers/{id}`: a profile, for the store's own token."""

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.customers import STORES, Customer, find_customer
from console.errors import ApiError
from console.rendering import moment, respond
from console.use import Use
from schemas.tenants import Token


def routes(use: Use) -> list[Route]:
    """Declare the resource."""

    async def customer(request: Request, token: Token) -> Response:
        store, id = request.path_params["store"], request.path_params["id"]
        if not _is_for(token, store):
            raise ApiError(403, "store_not_allowed")
        found = await find_customer(
            use.registry, use.warehouse, tenant_id=token.tenant.id, store=store, id=id
        )
        if found is None:
            raise ApiError(404, "customer_unknown")
        return respond(_shown(found))

    # A shop's ids may have slashes: gid://shop/Customer/7
    return [Route("/penstock/v1/stores/{store}/customers/{id:path}", use.guard(customer))]


def _is_for(token: Token, store: str) -> bool:
    """Tell whether a token is the store's own, or for the api as a whole and so for all of its tenant's."""
    return token.store == store if token.dialect == STORES else not token.dialect


def _shown(customer: Customer) -> dict[str, object]:
    times = {name: moment(getattr(customer, name)) for name in ("created_at", "updated_at")}
    return structs.asdict(customer) | times
