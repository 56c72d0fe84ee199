"""alana: shop front-ends that ask for recommendations."""

from dialects.alana.mapping import NAMED_PROPERTIES, NAMES, to_event
from dialects.alana.replies import BatchReply, reply
from dialects.alana.rules import validate
from dialects.alana.wire import Event
from dialects.base import Answer, Auth, Dialect, Endpoint, Limits, Rate
from dialects.bodies import Fault, refuse

EVENTS = Endpoint(
    name="events",
    summary="Send what visitors did",
    path="/api/v1/events",
    auth=Auth.API_KEY,
    limits=Limits(body_bytes_max=2**20, events_min=1, events_max=100),
    rates=(
        Rate("alana.events", requests=1000, period_s=60, per=("token",)),
        Rate("alana.events_ip", requests=100, period_s=60, per=("token", "ip")),
    ),
    wire=Event,
    batch=True,
    idempotency_key=True,
    browser=True,
    validate=validate,
    to_event=to_event,
    reply=reply,
    refuse=refuse,
    answers=(
        Answer(200, "Taken; `errors` counts the events that were not", BatchReply),
        Answer(400, "The body is not usable as a whole; do not send it again", Fault),
        Answer(401, "No API key, or not a valid one", Fault),
        Answer(403, "The token may not write", Fault),
        Answer(413, "More than 1 MiB after decompression", Fault),
        Answer(415, "A content type or an encoding that is not supported", Fault),
        Answer(429, "Too many requests in a minute; see Retry-After", Fault),
        Answer(503, "Not durable; send it again after Retry-After", Fault),
    ),
)

DIALECT = Dialect(
    name="alana",
    title="Shop front-ends for recommendations",
    endpoints=(EVENTS,),
    event_types=tuple(NAMES.values()),
    named_properties=NAMED_PROPERTIES,
    identifiers={"visitorId": "device", "userId": "id"},
)
