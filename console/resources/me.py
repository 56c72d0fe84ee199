"""`GET /penstock/v1/me`: what the caller's token is and may do."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.rendering import respond
from console.use import Use
from schemas.tenants import Token


def routes(use: Use) -> list[Route]:
    """Declare the resource."""
    return [Route("/penstock/v1/me", use.guard(me))]


async def me(request: Request, token: Token) -> Response:
    """Describe the token, without its secret."""
    tenant = token.tenant
    return respond(
        {
            "key_id": token.key_id,
            "tenant": {"id": tenant.id, "uuid": tenant.uuid, "slug": tenant.slug, "name": tenant.name},
            "scopes": sorted(token.scopes),
            "dialect": token.dialect,
            "client_ids": sorted(token.client_ids),
            "store": token.store,
            "expires_at": token.expires_at,
        }
    )
