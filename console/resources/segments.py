"""`/penstock/v1/segments`: which customers meet conditions, now; and conditions kept under a name."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.body import read_body
from console.errors import ApiError
from console.reach import require_admin, require_all
from console.rendering import respond
from console.segments.preview import preview
from console.segments.saved import Conditions, NamedConditions, condition_of, shown
from console.use import Use
from schemas.conditions import Condition, read_segment
from schemas.tenants import Token
from stores.registry import EntryRefused, Segment

PATH = "/penstock/v1/segments"


def routes(use: Use) -> list[Route]:
    """Declare the resources. Asking takes the scope `read`, changing what is saved the scope `admin`.

    A store's own token may ask of its store's customers; what is saved is the tenant's.
    """
    resource = _Segments(use)
    return [
        Route(PATH, use.guard(resource.segments), methods=["GET", "POST"]),
        Route(f"{PATH}/preview", use.guard(resource.segment_preview), methods=["POST"]),
        Route(f"{PATH}/{{id:uuid}}", use.guard(resource.segment), methods=["GET", "PUT", "DELETE"]),
        Route(f"{PATH}/{{id:uuid}}/preview", use.guard(resource.saved_segment_preview), methods=["GET"]),
    ]


class _Segments:
    def __init__(self, use: Use) -> None:
        self._use = use
        self._registry = use.registry

    async def segment_preview(self, request: Request, token: Token) -> Response:
        asked = await read_body(request, Conditions)
        return await self._preview(read_segment(asked.conditions), token)

    async def saved_segment_preview(self, request: Request, token: Token) -> Response:
        return await self._preview(condition_of(await self._find(request, token)), token)

    async def _preview(self, condition: Condition, token: Token) -> Response:
        found = await preview(self._use.warehouse, condition, token.tenant.id, store=token.store)
        return respond(found)

    async def segments(self, request: Request, token: Token) -> Response:
        if request.method == "POST":
            return await self._add(request, token)
        require_all(token)
        segments = await self._registry.list_segments(token.tenant.id)
        return respond({"segments": [shown(segment) for segment in segments]})

    async def segment(self, request: Request, token: Token) -> Response:
        if request.method == "PUT":
            return await self._replace(request, token)
        if request.method == "DELETE":
            return await self._remove(request, token)
        return respond(shown(await self._find(request, token)))

    async def _add(self, request: Request, token: Token) -> Response:
        require_admin(token)
        given = await read_body(request, NamedConditions)
        try:
            made = await self._registry.add_segment(token.tenant.id, given.name, given.text())
        except EntryRefused as error:
            raise ApiError(409, "segment_refused", detail=str(error)) from None
        return respond(shown(made), status=201, location=f"{PATH}/{made.segment_id}")

    async def _replace(self, request: Request, token: Token) -> Response:
        require_admin(token)
        given = await read_body(request, NamedConditions)
        id = str(request.path_params["id"])
        try:
            changed = await self._registry.replace_segment(token.tenant.id, id, given.name, given.text())
        except EntryRefused as error:
            raise ApiError(409, "segment_refused", detail=str(error)) from None
        if not changed:
            raise ApiError(404, "segment_unknown")
        return respond(shown(await self._find(request, token)))

    async def _remove(self, request: Request, token: Token) -> Response:
        require_admin(token)
        if not await self._registry.remove_segment(token.tenant.id, str(request.path_params["id"])):
            raise ApiError(404, "segment_unknown")
        return Response(status_code=204)

    async def _find(self, request: Request, token: Token) -> Segment:
        require_all(token)  # its conditions may name customers of any store
        found = await self._registry.segment(token.tenant.id, str(request.path_params["id"]))
        if found is None:
            raise ApiError(404, "segment_unknown")
        return found
