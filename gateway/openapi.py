"""/openapi.json, made from what the dialects declare, and the page that shows it."""

from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

import msgspec
from starlette.convertors import Convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, compile_path

from dialects.base import Answer, Auth, Dialect, Endpoint
from dialects.bodies import Fault
from gateway.examples import examples_of
from gateway.health import HealthBody

_JSON = "application/json"

_SECURITY: dict[Auth, list[dict[str, list[str]]]] = {
    Auth.BEARER: [{"bearer": []}],
    Auth.API_KEY: [{"apiKeyHeader": []}, {"apiKeyQuery": []}],
    Auth.PUBLIC: [],
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token made by `penstock token add`."},
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "apiKeyQuery": {"type": "apiKey", "in": "query", "name": "key", "description": "For want of a header."},
}
_EVERYWHERE = (
    Answer(400, "The request or its body is not usable as a whole", Fault),
    Answer(405, "Not a POST; see Allow", Fault),
    Answer(408, "The body came too slowly", Fault),
    Answer(413, "The body is too large", Fault),
    Answer(415, "A content type or an encoding that is not supported", Fault),
    Answer(429, "Too many requests; see Retry-After", Fault),
    Answer(431, "The headers are too large or too many", Fault),
    Answer(503, "Not durable; send it again after Retry-After", Fault),
)
_LIMIT_HEADERS = {
    "Retry-After": "Seconds to wait, with 429 and 503.",
    "RateLimit-Limit": "Requests that the limit allows at once.",
    "RateLimit-Remaining": "Requests that are left.",
    "RateLimit-Reset": "Seconds until all of them are back.",
}
_REQUEST_ID = {"X-Request-Id": "The request's id: the caller's own, or a new one."}


def routes(dialects: Sequence[Dialect], *, version: str) -> Iterator[BaseRoute]:
    """Declare the document and its page."""
    described = msgspec.json.encode(document(dialects, version=version))
    page = (resources.files("gateway") / "docs.html").read_bytes()
    security = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'"
    }

    async def show(request: Request) -> Response:
        return Response(described, media_type=_JSON, headers={"Access-Control-Allow-Origin": "*"})

    async def read(request: Request) -> Response:
        return Response(page, media_type="text/html", headers=security)

    for path, answer in (("/openapi.json", show), ("/docs", read)):
        yield Route(path, answer)
        yield Route(path + "/", answer)


def document(dialects: Sequence[Dialect], *, version: str) -> dict[str, Any]:
    """Return an OpenAPI 3.1 description of all endpoints."""
    endpoints = [(dialect, endpoint) for dialect in dialects for endpoint in dialect.endpoints]
    bodies = [a.body for _, e in endpoints for a in _answers(e) if a.body is not None]
    kinds: list[Any] = list(dict.fromkeys([*(e.wire for _, e in endpoints), *bodies, HealthBody]))
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths = {e.path: {"post": _operation(d, e, schema_of)} for d, e in endpoints}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Penstock",
            "version": version,
            "summary": "Takes events over HTTP in several protocols; a success means that they are durable.",
        },
        "tags": [{"name": d.name, "description": d.title} for d in dialects],
        "paths": {**paths, "/health": {"get": _health(schema_of[HealthBody])}},
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def _operation(dialect: Dialect, endpoint: Endpoint, schema_of: dict[Any, Any]) -> dict[str, Any]:
    examples = examples_of(dialect, endpoint)
    types = [_JSON, "text/plain"] if endpoint.browser else [_JSON]
    content = {
        "schema": _body_schema(endpoint, schema_of[endpoint.wire]),
        "examples": {n: {"summary": e.about, "value": e.request.body} for n, e in examples},
    }
    return {
        "operationId": f"{dialect.name}_{endpoint.name}",
        "tags": [dialect.name],
        "summary": endpoint.summary,
        "description": _limits(endpoint),
        "security": _SECURITY[endpoint.auth],
        "parameters": _parameters(endpoint),
        "requestBody": {"required": True, "content": dict.fromkeys(types, content)},
        "responses": {
            str(a.status): _response(a, schema_of, examples) for a in sorted(_answers(endpoint), key=_status)
        },
    }


def _status(answer: Answer) -> int:
    return answer.status


def _answers(endpoint: Endpoint) -> list[Answer]:
    """Return what the endpoint documents, and what happens on all of them unless the protocol forbids it."""
    documented = {answer.status: answer for answer in endpoint.answers}
    everywhere = {answer.status: answer for answer in _EVERYWHERE}
    if 503 not in documented:  # failures are swallowed: what is left is what is no request of it at all
        everywhere = {status: everywhere[status] for status in (405, 431)}
    return list({**everywhere, **documented}.values())


def _body_schema(endpoint: Endpoint, event: dict[str, Any]) -> dict[str, Any]:
    if not endpoint.batch:
        return event
    limits = endpoint.limits
    events = {"type": "array", "items": event, "minItems": limits.events_min, "maxItems": limits.events_max}
    return {"type": "object", "required": ["events"], "properties": {"events": events}}


def _limits(endpoint: Endpoint) -> str:
    limits = endpoint.limits
    said = [f"Up to {_bytes(limits.body_bytes_max)} after decompression"]
    if endpoint.batch:
        said.append(f"{limits.events_min} to {limits.events_max:,} events")
    said += [
        f"{r.requests:,} requests per {r.period_s} s for each {' and '.join(r.per)}" for r in endpoint.rates
    ]
    return "; ".join(said) + "."


def _bytes(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 1024} KiB"


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    converters: dict[str, Convertor[Any]] = compile_path(endpoint.path)[2]
    parameters = [_parameter("path", name, "Which one of yours.", required=True) for name in converters] + [
        _parameter("query", "dry_run", "With 1 all is checked and answered, and nothing is stored."),
        _parameter("header", "X-Request-Id", "Your own id for this request, up to 128 characters."),
        _parameter("header", "Content-Encoding", "gzip, deflate, br or zstd."),
    ]
    if endpoint.batch:
        parameters.append(_parameter("query", "verbose", "With 1 an answer lists what was rejected."))
    if endpoint.idempotency_key:
        parameters.append(
            _parameter("header", "Idempotency-Key", "The same key makes a retry the same events.")
        )
    return parameters


def _parameter(where: str, name: str, about: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "in": where,
        "name": name,
        "description": about,
        "required": required,
        "schema": {"type": "string"},
    }


def _response(answer: Answer, schema_of: dict[Any, Any], examples: list[tuple[str, Any]]) -> dict[str, Any]:
    named = {**_REQUEST_ID, **(_LIMIT_HEADERS if answer.status in {429, 503} else {})}
    headers = {n: {"description": about, "schema": {"type": "string"}} for n, about in named.items()}
    response: dict[str, Any] = {"description": answer.description, "headers": headers}
    if answer.body is not None:
        content: dict[str, Any] = {"schema": schema_of[answer.body]}
        shown = {n: {"value": e.expected.body} for n, e in examples if e.expected.status == answer.status}
        if shown:
            content["examples"] = shown
        response["content"] = {_JSON: content}
    return response


def _health(schema: dict[str, Any]) -> dict[str, Any]:
    content = {_JSON: {"schema": schema}}
    return {
        "operationId": "health",
        "tags": ["operation"],
        "summary": "Tell whether the gateway and the parts behind it work",
        "security": [],
        "responses": {
            "200": {"description": "Events are taken; `degraded`: another part is down", "content": content},
            "503": {"description": "The bus refuses events", "content": content},
        },
    }
