"""`/penstock/v1/erasures` and `/penstock/v1/persons/export`: for the tenant's token with the scope `admin`.

A person is named in the body, never in the path: addresses of requests are logged, by proxies too.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from console.body import read_body
from console.customers import STORES
from console.erasure.export import counted, export, shown
from console.erasure.status import status
from console.erasure.subject import Ambiguous, Unknown, find_subject
from console.errors import ApiError
from console.reach import require_admin
from console.rendering import encode, respond
from console.use import Use
from schemas.erasures import Subject
from schemas.persons import customer_scope
from schemas.tenants import Token
from stores.registry import ErasureUnderWay, PersonRecord

PATH = "/penstock/v1/erasures"

Text = Annotated[str, Meta(min_length=1, max_length=1024)]


class Named(Struct, forbid_unknown_fields=True):
    """Who is meant; `scope` is needed where several have the value."""

    kind: Literal["id", "email", "phone", "device", "person"]
    value: Text
    scope: Text | None = None


class Asked(Named, forbid_unknown_fields=True):
    """A request to erase; a dry run only says what there is."""

    dry_run: bool = False


def routes(use: Use) -> list[Route]:
    """Declare the resources. They take the scope `admin`; a store may export its own customers."""
    resource = _Erasures(use)
    return [
        Route(PATH, use.guard(resource.erasures), methods=["GET", "POST"]),
        Route(f"{PATH}/{{id:uuid}}", use.guard(resource.erasure)),
        Route("/penstock/v1/persons/export", use.guard(resource.person_export), methods=["POST"]),
    ]


class _Erasures:
    def __init__(self, use: Use) -> None:
        self._use = use
        self._registry = use.registry

    async def erasures(self, request: Request, token: Token) -> Response:
        require_admin(token)
        if request.method == "POST":
            return await self._request(request, token)
        listed = await self._registry.list_erasures(token.tenant.id)
        return respond({"erasures": [status(each) for each in listed]})

    async def erasure(self, request: Request, token: Token) -> Response:
        require_admin(token)
        found = await self._registry.erasure(str(request.path_params["id"]))
        if found is None or found.tenant_id != token.tenant.id:
            raise ApiError(404, "erasure_unknown")
        return respond(status(found))

    async def person_export(self, request: Request, token: Token) -> Response:
        if _reach(token) is None:
            require_admin(token)
        subject, record = await self._find(await read_body(request, Named), token)

        async def lines() -> AsyncIterator[bytes]:
            async for entry in export(self._registry, self._use.warehouse, subject, record):
                yield encode(entry) + b"\n"

        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(lines(), headers=headers, media_type="application/x-ndjson")

    async def _request(self, request: Request, token: Token) -> Response:
        asked = await read_body(request, Asked)
        subject, record = await self._find(asked, token)
        found = await counted(self._registry, self._use.warehouse, subject)
        if asked.dry_run:
            return respond({**shown(subject, record), "found": found})
        try:
            made = await self._registry.request_erasure(
                subject, asked_by=f"token {token.key_id}", found=found
            )
        except ErasureUnderWay as error:
            headers = {"Location": f"{PATH}/{error.erasure_id}"}
            raise ApiError(409, "erasure_under_way", detail=str(error), headers=headers) from None
        return respond(status(made), status=202, location=f"{PATH}/{made.erasure_id}")

    async def _find(self, named: Named, token: Token) -> tuple[Subject, PersonRecord]:
        reach = _reach(token)
        if named.scope is not None and reach not in (None, named.scope):
            raise ApiError(403, "store_not_allowed")
        try:
            return await find_subject(
                self._registry,
                self._use.warehouse,
                tenant_id=token.tenant.id,
                kind=named.kind,
                value=named.value,
                scope=named.scope if reach is None else reach,
            )
        except Unknown as error:
            hint = "; name the scope to have the quarantine searched, too" if named.scope is None else ""
            raise ApiError(404, "person_unknown", detail=f"Not found: {error}{hint}.") from None
        except Ambiguous as error:
            raise ApiError(409, "person_ambiguous", detail=f"Several have this value: {error}.") from None


def _reach(token: Token) -> str | None:
    """Return the scope that a store's own token is held to, None: all of its tenant's."""
    return customer_scope(STORES, token.store) if token.dialect == STORES else None
