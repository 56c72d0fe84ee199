"""`GET /penstock/v1/quarantine`: the caller's events that were refused or could not be stored, and why."""

from uuid import UUID

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.parameters import Count, Text, read
from console.reach import LETTERS_OF_STORE
from console.reading import Listing, last_rows
from console.rendering import respond
from console.use import Use
from schemas.tenants import Token


class Filter(Struct, forbid_unknown_fields=True):
    """What may be asked for; all given conditions hold together."""

    limit: Count = 100
    event_id: UUID | None = None
    request_id: Text | None = None
    dialect: Text | None = None
    stage: Text | None = None
    code: Text | None = None


LISTING = Listing(
    table="quarantine",
    columns=(
        "event_id, dialect, stage, code, pointer, message, received_at, request_id, raw, truncated, "
        "topic, kp, ko, inc, src_topic, src_kp, src_ko, src_inc"
    ),
    of_store=LETTERS_OF_STORE,
    conditions={
        "event_id": "event_id = %(event_id)s",
        "request_id": "request_id = %(request_id)s",
        "dialect": "dialect = %(dialect)s",
        "stage": "stage = %(stage)s",
        "code": "code = %(code)s",
    },
)


def routes(use: Use) -> list[Route]:
    """Declare the resource."""

    async def quarantine(request: Request, token: Token) -> Response:
        asked = read(request, Filter)
        rows = await last_rows(use.warehouse, LISTING, asked, token)
        return respond({"quarantine": rows})

    return [Route("/penstock/v1/quarantine", use.guard(quarantine))]
