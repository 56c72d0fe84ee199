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
    return Event(
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
        ip=envelope.ip,
        ip_source=envelope.ip_source,
        user_agent=envelope.ua,
        ua_source=envelope.ua_source,
        clock=clock,
        raw=text(envelope.event),
        replay_of=envelope.replay_of,
    )
