"""What the gateway stamped reaches the canonical event unchanged."""

import pytest
from msgspec import Raw

from dialects.base import MappingError
from dialects.stamping import stamped
from schemas.envelope import Envelope

ENVELOPE = Envelope(
    v=1,
    id="0197b7a0-0000-7000-8000-000000000001",
    dialect="relo",
    endpoint="batch",
    tenant=7,
    source="3",
    received_at=1_775_131_200_000,
    sent_at=1_775_131_199_000,
    ip="203.0.113.9",
    ip_source="event",
    ua="Shopper/1.0",
    ua_source="event",
    request="r-1",
    index=2,
    of=5,
    flags=("product_unverified",),
    replay_of="1/events.raw/0/9",
    event=Raw(b'{"a":"\xc3\xa9"}'),
)


def test_everything_is_carried_over() -> None:
    event = stamped(ENVELOPE, event_name="n", event_type="custom")
    assert (event.event_id, event.tenant_id, event.dialect, event.source) == (ENVELOPE.id, 7, "relo", "3")
    assert (event.received_at, event.sent_at) == (ENVELOPE.received_at, ENVELOPE.sent_at)
    assert (event.request_id, event.index, event.of) == ("r-1", 2, 5)
    assert (event.ip, event.ip_source) == ("203.0.113.9", "event")
    assert (event.user_agent, event.ua_source) == ("Shopper/1.0", "event")
    assert event.flags == ["product_unverified"]
    assert event.raw == '{"a":"é"}'
    assert event.replay_of == "1/events.raw/0/9"
    assert (event.occurred_at, event.clock, event.subject) == (ENVELOPE.received_at, "", ENVELOPE.id)


def test_flags_are_the_events_own_list() -> None:
    one = stamped(ENVELOPE, event_name="n", event_type="custom")
    one.flags.append("later")
    assert stamped(ENVELOPE, event_name="n", event_type="custom").flags == ["product_unverified"]


def test_bytes_that_are_no_text_are_dead() -> None:
    spoilt = Envelope(
        v=1,
        id="x",
        dialect="relo",
        endpoint="batch",
        tenant=1,
        received_at=0,
        request="r",
        of=1,
        event=Raw(b'"\xff"'),
    )
    with pytest.raises(MappingError):
        stamped(spoilt, event_name="n", event_type="custom")
