"""`/penstock/v1/segments`: which customers meet conditions, now; and conditions kept under a name."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.body import read_body
from console.errors import ApiError
from console.reach import require_all
from console.rendering import respond
from console.segments.preview import preview
from console.segments.saved import Conditions, NamedConditions, condition_of, shown
from console.use import Use
from schemas.conditions import Condition, ConditionsInvalid, read_segment
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
        try:
            condition = read_segment(asked.conditions)
        except ConditionsInvalid as error:
            raise _invalid(error) from None
        return await self._preview(condition, token)

    async def saved_segment_preview(self, request: Request, token: Token) -> Response:
        segment = await self._find(request, token)
        try:
            condition = condition_of(segment)
        except ConditionsInvalid as error:
            raise _invalid(error) from None
        return await self._preview(condition, token)

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
        _require_admin(token)
        given = await read_body(request, NamedConditions)
        try:
            made = await self._registry.add_segment(token.tenant.id, given.name, given.text())
        except ConditionsInvalid as error:
            raise _invalid(error) from None
        except EntryRefused as error:
            raise ApiError(409, "segment_refused", detail=str(error)) from None
        answer = respond(shown(made))
        answer.status_code = 201
        answer.headers["Location"] = f"{PATH}/{made.segment_id}"
        return answer

    async def _replace(self, request: Request, token: Token) -> Response:
        _require_admin(token)
        given = await read_body(request, NamedConditions)
        id = str(request.path_params["id"])
        try:
            changed = await self._registry.replace_segment(token.tenant.id, id, given.name, given.text())
        except ConditionsInvalid as error:
            raise _invalid(error) from None
        except EntryRefused as error:
            raise ApiError(409, "segment_refused", detail=str(error)) from None
        if not changed:
            raise ApiError(404, "segment_unknown")
        return respond(shown(await self._find(request, token)))

    async def _remove(self, request: Request, token: Token) -> Response:
        _require_admin(token)
        if not await self._registry.remove_segment(token.tenant.id, str(request.path_params["id"])):
            raise ApiError(404, "segment_unknown")
        return Response(status_code=204)

    async def _find(self, request: Request, token: Token) -> Segment:
        require_all(token)  # its conditions may name customers of any store
        found = await self._registry.segment(token.tenant.id, str(request.path_params["id"]))
        if found is None:
            raise ApiError(404, "segment_unknown")
        return found


def _require_admin(token: Token) -> None:
    if "admin" not in token.scopes:
        raise ApiError(403, "admin_only")


def _invalid(error: ConditionsInvalid) -> ApiError:
    return ApiError(400, "conditions_invalid", detail=str(error))
