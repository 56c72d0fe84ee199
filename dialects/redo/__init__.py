"""redo: marketing back-ends that send events of customers, one by one or in bulk."""

from functools import partial

from dialects.base import Answer, Auth, Dialect, Endpoint, Limits, Rate
from dialects.bodies import Fault, InvalidEvent, refuse
from dialects.redo.mapping import EVENT_TYPES, to_event
from dialects.redo.replies import reply
from dialects.redo.rules import validate
from dialects.redo.wire import Event

BODY_BYTES_MAX = 4 * 2**20

_endpoint = partial(
    Endpoint,
    auth=Auth.BEARER,
    wire=Event,
    validate=validate,
    to_event=to_event,
    reply=reply,
    refuse=refuse,
)

_ANSWERS = (
    Answer(401, "No token, or not a valid one", Fault),
    Answer(403, "The token belongs to another store, or may not write", Fault),
    Answer(413, "More than 4 MiB after decompression", Fault),
    Answer(415, "Not application/json, or an encoding that is not supported", Fault),
    Answer(429, "More than 100 requests in a second; see Retry-After", Fault),
    Answer(503, "Not durable; send it again after Retry-After", Fault),
)

SINGLE = _endpoint(
    name="event",
    summary="Send one event of a customer",
    path="/v2.2/stores/{store}/events",
    limits=Limits(body_bytes_max=BODY_BYTES_MAX),
    rates=(Rate("redo.events", requests=100, period_s=1, per=("tenant", "store")),),
    batch=False,
    answers=(
        Answer(202, "Taken"),
        Answer(400, "The event is invalid; `errors` lists all that is wrong", InvalidEvent),
        *_ANSWERS,
    ),
)

BULK = _endpoint(
    name="bulk",
    summary="Send up to 100 events of customers",
    path="/v2.2/stores/{store}/events/bulk",
    limits=Limits(body_bytes_max=BODY_BYTES_MAX, events_min=1, events_max=100),
    rates=(Rate("redo.bulk", requests=100, period_s=1, per=("tenant", "store")),),
    batch=True,
    answers=(
        Answer(202, "Taken; invalid events among them are left out silently"),
        Answer(400, "The body is not usable as a whole", Fault),
        *_ANSWERS,
    ),
)

DIALECT = Dialect(
    name="redo",
    title="Customers and segments of a marketing back-end",
    endpoints=(SINGLE, BULK),
    event_types=(*EVENT_TYPES.items(), ("any other name", "custom")),
    identifiers={"customer.id": "id", "customer.email": "email", "customer.phoneNumber": "phone"},
)
