"""tracker: public storefront beacons, without authentication."""

from functools import partial

from dialects.base import Answer, Auth, Dialect, Endpoint, Limits, Rate
from dialects.bodies import Fault
from dialects.tracker import replies
from dialects.tracker.mapping import (
    EVENT_TYPES,
    NAMED_PROPERTIES,
    conversion_to_event,
    interaction_to_event,
    track_to_event,
)
from dialects.tracker.rules import validate_conversion, validate_interaction, validate_track
from dialects.tracker.wire import Conversion, Interaction, Track

SWALLOWED_S = 2.0  # a beacon's caller waits no longer; it is told the same whatever became of its event

_API = Rate("tracker.api", requests=60, period_s=60, per=("ip",))

_TOO_MANY = Answer(429, "Too many requests in a minute; see Retry-After", Fault)
_INVALID = Answer(
    422, "The event is invalid; `errors` lists all that is wrong, by field", replies.InvalidFields
)
_UNUSABLE = (
    Answer(400, "The body is not JSON", Fault),
    Answer(413, "More than 64 KiB after decompression", Fault),
    Answer(415, "A content type or an encoding that is not supported", Fault),
)

_endpoint = partial(
    Endpoint,
    auth=Auth.PUBLIC,
    batch=False,
    browser=True,
    limits=Limits(
        body_bytes_max=64 * 1024,
        rejected_raw_bytes_max=8 * 1024,
        rejected_cut_bytes=8 * 1024,
    ),
)

TRACK = _endpoint(
    name="track",
    summary="Record what a visitor did",
    path="/api/v1/analytics/track",
    rates=(_API,),
    wire=Track,
    validate=validate_track,
    to_event=track_to_event,
    reply=replies.reply_track,
    refuse=replies.refuse_track,
    answers=(
        Answer(202, "Taken", replies.TrackReply),
        *_UNUSABLE,
        Answer(404, "There is no such active tenant", replies.TrackReply),
        _INVALID,
        _TOO_MANY,
        Answer(503, "Not durable; send it again after Retry-After", Fault),
    ),
)

CONVERSION = _endpoint(
    name="conversion",
    summary="Record a sale; failures are swallowed",
    path="/api/v1/analytics/conversion",
    rates=(_API,),
    wire=Conversion,
    deadline_s=SWALLOWED_S,
    validate=validate_conversion,
    to_event=conversion_to_event,
    reply=replies.reply_conversion,
    refuse=replies.refuse_conversion,
    answers=(
        Answer(200, "`ok`: taken; `skipped`: not, for whatever reason", replies.ConversionReply),
        _TOO_MANY,
    ),
)

INTERACTIONS = _endpoint(
    name="interactions",
    summary="Record a view or a click",
    path="/api/v1/interactions",
    rates=(
        Rate("tracker.interactions", requests=600, period_s=60, per=("tenant",)),
        Rate("tracker.interactions_tenant_ip", requests=60, period_s=60, per=("tenant", "ip")),
        Rate("tracker.interactions_ip", requests=60, period_s=60, per=("ip",)),
    ),
    wire=Interaction,
    deadline_s=SWALLOWED_S,
    validate=validate_interaction,
    to_event=interaction_to_event,
    reply=replies.reply_interaction,
    uniform_reply=replies.uniform_reply_interaction,
    refuse=replies.refuse_interaction,
    answers=(
        Answer(201, "Taken", replies.InteractionReply),
        Answer(202, "Not taken: no such active tenant, or a failure here", replies.InteractionReply),
        *_UNUSABLE,
        _INVALID,
        _TOO_MANY,
    ),
)

DIALECT = Dialect(
    name="tracker",
    title="Public storefront beacons",
    endpoints=(TRACK, CONVERSION, INTERACTIONS),
    event_types=(
        *EVENT_TYPES.items(),
        ("view with a product_id", "product_viewed"),
        ("any other name of a conversion", "custom"),
    ),
    named_properties=NAMED_PROPERTIES,
)
