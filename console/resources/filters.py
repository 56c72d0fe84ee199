"""`/penstock/v1/filters`: what a tenant waits for in its events, and the webhooks that tell of it."""

from typing import Literal
from uuid import UUID

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.body import read_body
from console.errors import ApiError
from console.filters.saved import NamedFilter, shown, shown_delivery, shown_once
from console.filters.trying import SampleInvalid, Trial, meets, try_on_stored
from console.parameters import Count, read
from console.reach import is_admin, require_admin, require_all
from console.rendering import respond
from console.use import Use
from schemas.conditions import read_filter
from schemas.tenants import Token
from schemas.webhooks import KEEP_TRYING_MS
from stores.registry import EntryRefused, Filter

PATH = "/penstock/v1/filters"


class Asked(Struct, forbid_unknown_fields=True):
    """Which deliveries."""

    limit: Count = 100
    state: Literal["waiting", "delivered", "dead", "erased"] | None = None


class Replay(Struct, forbid_unknown_fields=True):
    """Which dead delivery is tried anew; none named: all of the filter."""

    id: UUID | None = None


def routes(use: Use) -> list[Route]:
    """Declare the resources. Asking takes the scope `read`, changing anything the scope `admin`.

    A store's own token may try conditions on its store's events; what is saved is the tenant's.
    """
    resource = _Filters(use)
    one = f"{PATH}/{{id:uuid}}"
    return [
        Route(PATH, use.guard(resource.filters), methods=["GET", "POST"]),
        Route(f"{PATH}/test", use.guard(resource.test), methods=["POST"]),
        Route(one, use.guard(resource.filter), methods=["GET", "PUT", "DELETE"]),
        Route(f"{one}/deliveries", use.guard(resource.deliveries), methods=["GET"]),
        Route(f"{one}/deliveries/replay", use.guard(resource.replay), methods=["POST"]),
    ]


class _Filters:
    def __init__(self, use: Use) -> None:
        self._use = use
        self._registry = use.registry

    async def filters(self, request: Request, token: Token) -> Response:
        if request.method == "POST":
            return await self._add(request, token)
        require_all(token)
        found = await self._registry.list_filters(token.tenant.id)
        return respond({"filters": [shown(one, whole=is_admin(token)) for one in found]})

    async def filter(self, request: Request, token: Token) -> Response:
        if request.method == "PUT":
            return await self._replace(request, token)
        if request.method == "DELETE":
            return await self._remove(request, token)
        return respond(shown(await self._find(request, token), whole=is_admin(token)))

    async def test(self, request: Request, token: Token) -> Response:
        asked = await read_body(request, Trial)
        condition = read_filter(asked.conditions)
        try:
            if asked.event is not None:
                return respond({"matches": meets(condition, asked.event)})
        except SampleInvalid as error:
            raise ApiError(400, "body_invalid", detail=f"The body is not usable: {error}.") from None
        warehouse = self._use.warehouse
        return respond(await try_on_stored(warehouse, condition, token.tenant.id, store=token.store))

    async def deliveries(self, request: Request, token: Token) -> Response:
        asked = read(request, Asked)
        filter_ = await self._find(request, token)
        found = await self._registry.list_deliveries(
            token.tenant.id, filter_id=filter_.filter_id, state=asked.state or "", limit=asked.limit
        )
        return respond({"deliveries": [shown_delivery(one) for one in found]})

    async def replay(self, request: Request, token: Token) -> Response:
        require_admin(token)
        asked = await read_body(request, Replay)
        filter_ = await self._find(request, token)
        number = await self._registry.replay_deliveries(
            token.tenant.id,
            filter_id=filter_.filter_id,
            match_id="" if asked.id is None else str(asked.id),
            keep_trying_ms=KEEP_TRYING_MS,
        )
        return respond({"replayed": number})

    async def _add(self, request: Request, token: Token) -> Response:
        require_admin(token)
        given, text = await self._read(request)
        try:
            made = await self._registry.add_filter(
                token.tenant.id, given.name, text, url=given.url, active=given.active
            )
        except EntryRefused as error:
            raise ApiError(409, "filter_refused", detail=str(error)) from None
        return respond(shown_once(made), status=201, location=f"{PATH}/{made.filter_id}")

    async def _replace(self, request: Request, token: Token) -> Response:
        require_admin(token)
        given, text = await self._read(request)
        former = await self._find(request, token)
        try:
            changed = await self._registry.replace_filter(
                token.tenant.id,
                former.filter_id,
                given.name,
                text,
                url=given.url,
                active=given.active,
                fresh=given.fresh_secret,
            )
        except EntryRefused as error:
            raise ApiError(409, "filter_refused", detail=str(error)) from None
        if changed is None:
            raise ApiError(404, "filter_unknown")
        return respond(shown(changed) if changed.secret == former.secret else shown_once(changed))

    async def _remove(self, request: Request, token: Token) -> Response:
        require_admin(token)
        if not await self._registry.remove_filter(token.tenant.id, str(request.path_params["id"])):
            raise ApiError(404, "filter_unknown")
        return Response(status_code=204)

    async def _read(self, request: Request) -> tuple[NamedFilter, str]:
        given = await read_body(request, NamedFilter)
        return given, given.text(private_allowed=self._use.private_webhooks)

    async def _find(self, request: Request, token: Token) -> Filter:
        require_all(token)  # filters are on the events of all stores
        found = await self._registry.filter(token.tenant.id, str(request.path_params["id"]))
        if found is None:
            raise ApiError(404, "filter_unknown")
        return found
