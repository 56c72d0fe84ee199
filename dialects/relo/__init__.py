"""relo: server-side retail tracking, up to 10,000 events a request."""

from dialects.base import Answer, Auth, Dialect, Endpoint, Ids, Limits, Rate
from dialects.bodies import Fault, refuse
from dialects.relo.mapping import NAMED_PROPERTIES, NAMES, to_event
from dialects.relo.replies import BatchReply, reply
from dialects.relo.rules import validate, vouch
from dialects.relo.wire import Event

BATCH = Endpoint(
    name="batch",
    summary="Send a batch of events",
    path="/ingest/batch",
    auth=Auth.BEARER,
    limits=Limits(body_bytes_max=32 * 2**20, events_min=0, events_max=10_000),
    rates=(Rate("relo.batch", requests=100, period_s=60, per=("token",)),),
    wire=Event,
    batch=True,
    ids=Ids.BODY,
    idempotency_key=True,
    validate=validate,
    vouch=vouch,
    to_event=to_event,
    reply=reply,
    refuse=refuse,
    answers=(
        Answer(200, "Taken; look at `rejected`, which may be all of them", BatchReply),
        Answer(400, "The body is not usable as a whole; do not send it again", Fault),
        Answer(401, "No token, or not a valid one", Fault),
        Answer(403, "The token may not write", Fault),
        Answer(413, "More than 32 MiB after decompression", Fault),
        Answer(415, "Not application/json, or an encoding that is not supported", Fault),
        Answer(429, "More than 100 requests in a minute; see Retry-After", Fault),
        Answer(503, "Not durable; send it again after Retry-After", Fault),
    ),
)

DIALECT = Dialect(
    name="relo",
    title="Server-side retail tracking",
    endpoints=(BATCH,),
    event_types=tuple(NAMES.values()),
    named_properties=NAMED_PROPERTIES,
    identifiers={"did": "device", "props.user_id": "id", "props.email": "email", "props.phone": "phone"},
)
