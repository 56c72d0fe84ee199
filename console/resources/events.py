"""`GET /penstock/v1/events`: the last stored events of the caller's tenant, or of its store."""

from uuid import UUID

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.parameters import Count, Text, read
from console.reach import OF_STORE
from console.reading import Listing, last_rows
from console.rendering import respond, unfold
from console.use import Use
from schemas.tenants import Token


class Filter(Struct, forbid_unknown_fields=True):
    """What may be asked for; all given conditions hold together."""

    limit: Count = 100
    event_id: UUID | None = None
    request_id: Text | None = None
    subject: Text | None = None
    type: Text | None = None


LISTING = Listing(
    table="events",
    columns=(
        "event_id, dialect, source, event_name, event_type, occurred_at, received_at, subject, user_id, "
        "anonymous_id, person_id, url, referrer, ip, country, city, browser, os, device_type, value, "
        "currency, order_id, product_ids, flags, clock, properties, request_id, topic, kp, ko, inc"
    ),
    of_store=OF_STORE,
    conditions={
        "event_id": "event_id = %(event_id)s",
        "request_id": "request_id = %(request_id)s",
        "subject": "subject = %(subject)s",
        "type": "event_type = %(type)s",
    },
)


def routes(use: Use) -> list[Route]:
    """Declare the resource."""

    async def events(request: Request, token: Token) -> Response:
        asked = read(request, Filter)
        rows = await last_rows(use.warehouse, LISTING, asked, token)
        return respond({"events": [unfold(row, ("properties",)) for row in rows]})

    return [Route("/penstock/v1/events", use.guard(events))]
