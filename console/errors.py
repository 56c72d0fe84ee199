"""Every answer that is not a success: JSON with a stable code and a sentence that says how to fix it."""

import logging
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.base import BusUnavailable
from console.identity import HEADER, id_of
from schemas.conditions import ConditionsInvalid
from stores.base import QueryRefused, StoreUnavailable

log = logging.getLogger("penstock.api")

MESSAGES = {
    "token_missing": "Send the header `Authorization: Bearer <token>` with a token that may read.",
    "token_invalid": "The token is unknown, revoked or expired; ask the operator for a new one.",
    "too_many_bad_tokens": "Too many bad tokens came from this address; wait, and use a valid one.",
    "scope_missing": "This token may not read; ask the operator for one with the scope `read`.",
    "tenant_only": "This is all of the tenant's, and the token is one store's: ask with an api token.",
    "admin_only": "This is the operator's: ask with a token that has the scope `admin`.",
    "parameter_invalid": "A query parameter is not usable.",
    "query_too_heavy": "The question is too large to be answered in time; ask for less at once.",
    "store_unavailable": "A database does not answer at the moment; try again.",
    "bus_unavailable": "The bus does not answer at the moment; try again.",
    "log_changed": "A log is not the one that was read; the log of the api says which.",
    "receipt_unknown": "Nothing is known of this request: never accepted, or far back in the queue.",
    "store_not_allowed": "This token is for another store; ask with the store's own or an api token.",
    "customer_unknown": "The store has no customer with this id; one that was sent just now takes a moment.",
    "body_invalid": "The body is not the JSON object that this path takes; docs/api.md shows it.",
    "body_too_large": "The body is larger than 64 KiB; send less, conditions with fewer or shorter values.",
    "conditions_invalid": "The conditions cannot be read; docs/segments.md shows their form.",
    "segment_unknown": "The tenant has no segment with this id.",
    "filter_unknown": "The tenant has no filter with this id.",
    "filter_refused": "The filter cannot be saved like this.",
    "segment_refused": "The segment cannot be saved like this.",
    "person_unknown": "Nothing is known of this person.",
    "person_ambiguous": "Several persons have this identifier, each in another scope: name one as `scope`.",
    "erasure_unknown": "The tenant has no erasure with this id.",
    "erasure_under_way": "This person is being erased already.",
    "not_found": "There is nothing here; the API is under /penstock/v1, its pages are in docs/api.md.",
    "method_not_allowed": "This path takes another method; the header `Allow` names it.",
    "internal": "The request failed inside; the operator finds the reason in the log, by X-Request-Id.",
}
"""Every code the api answers with. docs/api.md lists them."""


class ApiError(Exception):
    """An answer that is not a success. `detail` takes the place of the code's general sentence."""

    def __init__(self, status: int, code: str, *, detail: str = "", headers: Mapping[str, str] | None = None):
        super().__init__(code)
        assert code in MESSAGES, f"{code} is not documented"
        self.status = status
        self.code = code
        self.message = detail or MESSAGES[code]
        self.headers = dict(headers or {})


def respond(error: ApiError) -> Response:
    """Word an error."""
    body = msgspec.json.encode({"code": error.code, "message": error.message})
    return Response(body, status_code=error.status, media_type="application/json", headers=error.headers)


async def on_api_error(request: Request, error: Exception) -> Response:
    """Answer what a resource or the guard refused."""
    assert isinstance(error, ApiError)
    return respond(error)


async def on_unavailable(request: Request, error: Exception) -> Response:
    """Answer while a database is down: the caller is not at fault."""
    return respond(ApiError(503, "store_unavailable", headers={"Retry-After": "1"}))


async def on_bus_unavailable(request: Request, error: Exception) -> Response:
    """Answer while the bus is down, where something in it was asked for."""
    return respond(ApiError(503, "bus_unavailable", headers={"Retry-After": "1"}))


async def on_refused(request: Request, error: Exception) -> Response:
    """Answer a query that went over its limits; our own statements are refused for nothing else."""
    return respond(ApiError(503, "query_too_heavy", headers={"Retry-After": "5"}))


async def on_conditions(request: Request, error: Exception) -> Response:
    """Answer conditions that cannot be: the reason names the place and says how to fix it."""
    return respond(ApiError(400, "conditions_invalid", detail=str(error)))


async def on_http(request: Request, error: Exception) -> Response:
    """Answer an unknown path or a wrong method."""
    assert isinstance(error, HTTPException)
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    return respond(ApiError(error.status_code, code, headers=error.headers))


async def on_bug(request: Request, error: Exception) -> Response:
    """Answer what should not happen; the traceback goes to the log only, under the request's id."""
    name = id_of(request.scope)
    log.error("request %s failed", name)
    return respond(ApiError(500, "internal", headers={HEADER: name}))


HANDLERS = {
    ApiError: on_api_error,
    StoreUnavailable: on_unavailable,
    BusUnavailable: on_bus_unavailable,
    QueryRefused: on_refused,
    ConditionsInvalid: on_conditions,
    HTTPException: on_http,
    Exception: on_bug,
}
