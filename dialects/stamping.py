"""What no protocol has a say in: what the gateway stamped, the clock, the raw text."""

from dialects import times
from dialects.jsontext import text
from schemas.envelope import Envelope
from schemas.event import Event, EventType


def stamped(
    envelope: Envelope,
    *,
    event_name: str,
    event_type: EventType,
    occurred_at: int | None = None,
    subject: str = "",
) -> Event:
    """Begin the canonical event of an accepted one; the mapping then sets what its protocol gives.

    Without `occurred_at` (Unix ms) it happened when it was received; without `subject` it stands alone.
    Raises MappingError for bytes that are not UTF-8 and for a time out of range.
    """
    received_at = envelope.received_at
    occurred_at, clock = times.judge(received_at if occurred_at is None else occurred_at, received_at)
    # Only the first fields, in their order: msgspec looks each name up from the last one on, and a gap costs
    # more than to set what comes after it.
    event = Event(
        event_id=envelope.id,
        tenant_id=envelope.tenant,
        dialect=envelope.dialect,
        source=envelope.source,
        received_at=received_at,
        sent_at=envelope.sent_at,
        request_id=envelope.request,
        index=envelope.index,
        of=envelope.of,
        flags=list(envelope.flags),
        event_name=event_name,
        event_type=event_type,
        occurred_at=occurred_at,
        subject=subject or envelope.id,
    )
    event.ip, event.ip_source = envelope.ip, envelope.ip_source
    event.user_agent, event.ua_source = envelope.ua, envelope.ua_source
    event.clock = clock
    event.raw = text(envelope.event)
    event.replay_of = envelope.replay_of
    return event
