"""No bytes whatever make a dialect raise; what it accepts can be mapped, and the row can be written."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

import dialects
from dialects.base import Accepted, Endpoint, Problem, Receipt, Refused
from dialects.decoding import expectations
from schemas.envelope import Envelope
from schemas.rows import TIME_MS_END, TIME_MS_MIN, event_row
from tests.contract.dialect_examples import load
from tests.contract.dialect_pure import RECEIVED_AT, TOKENS, route

EXAMPLES = load()
ENDPOINTS = [(d.name, endpoint) for d in dialects.discover() for endpoint in d.endpoints]
TOKEN = {name: token for (name, _), token in TOKENS.items()}
DECIMAL = re.compile(r"-?[0-9]{1,32}\.[0-9]{6}")

each_endpoint = pytest.mark.parametrize(
    ("dialect", "endpoint"), ENDPOINTS, ids=lambda part: getattr(part, "path", part)
)
slow = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, 1, 3, 101, RECEIVED_AT, 10**11, 9e31, 0.1, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["", "MXN", "mi-negocio", "2026-04-02T12:00:00Z", "2026-04-02", "a@b.example", "+11234567890", "::1"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@cache
def sample_events(dialect: str, endpoint: Endpoint) -> list[Any]:
    """Return the events of the examples of an endpoint, good and bad ones."""
    return list(_events(dialect, endpoint))


def _events(dialect: str, endpoint: Endpoint) -> Iterator[Any]:
    for example in EXAMPLES:
        if example.dialect != dialect or route(example)[0] is not endpoint or len(example.body) > 20_000:
            continue
        try:
            body = json.loads(example.body)
        except ValueError:
            continue
        listed = body.get("events", []) if endpoint.batch and isinstance(body, dict) else [body]
        yield from (event for event in listed if isinstance(event, dict))


def spoilt(events: list[Any], names: list[str]) -> st.SearchStrategy[Any]:
    """Events with some fields replaced, at the top or one level down, or dropped."""

    def change(event: Any, name: str, value: Any, drop: bool) -> Any:
        changed = json.loads(json.dumps(event))
        parent, _, last = name.rpartition(".")
        target = changed.get(parent) if parent else changed
        if not isinstance(target, dict):
            return changed
        if drop:
            target.pop(last, None)
        else:
            target[last] = value
        return changed

    return st.builds(change, st.sampled_from(events), st.sampled_from(names), values, st.booleans())


def to_row(dialect: str, endpoint: Endpoint, raw: bytes, accepted: Accepted) -> None:
    envelope = Envelope(
        v=1,
        id="0197b7a0-0000-7000-8000-000000000001",
        dialect=dialect,
        endpoint=endpoint.name,
        tenant=1,
        source=accepted.source,
        received_at=RECEIVED_AT,
        request="r",
        of=1,
        flags=accepted.flags,
        event=Raw(raw),
    )
    event = endpoint.to_event(envelope)
    assert TIME_MS_MIN <= event.occurred_at < TIME_MS_END
    assert event.subject == (accepted.subject or envelope.id)
    assert event.value is None or DECIMAL.fullmatch(event.value)
    assert event.event_name
    assert 0 <= event.consent <= 255
    assert isinstance(json.loads(event.properties), dict)
    assert event.raw.encode() == raw
    json.loads(event_row(event))


@each_endpoint
@slow
@given(data=st.data())
def test_what_is_accepted_becomes_a_row(dialect: str, endpoint: Endpoint, data: st.DataObject) -> None:
    names = [name for name in expectations(endpoint.wire) if name and "[" not in name]
    event = data.draw(spoilt(sample_events(dialect, endpoint), names))
    raw = json.dumps(event).encode()
    judged = endpoint.validate(Raw(raw), TOKEN.get(dialect))
    if isinstance(judged, Accepted):
        to_row(dialect, endpoint, raw, judged)
    else:
        assert judged.code
        assert judged.message.endswith(".")


@each_endpoint
@slow
@given(data=st.data())
def test_no_bytes_raise(dialect: str, endpoint: Endpoint, data: st.DataObject) -> None:
    event = json.dumps(data.draw(st.sampled_from(sample_events(dialect, endpoint)))).encode()
    cut = data.draw(st.integers(0, len(event)))
    middle = data.draw(
        st.binary(max_size=6)
        | st.sampled_from([b"\xff", b"\x00", b"[" * 3000, b"9" * 5000, b'"', b"\\ud800"])
    )
    rest = event[cut + data.draw(st.integers(0, 6)) :]
    for raw in (middle, event[:cut] + middle + rest):
        judged = endpoint.validate(Raw(raw), TOKEN.get(dialect))
        assert isinstance(judged, Accepted | Refused)
        if isinstance(judged, Accepted) and is_sound(raw):
            to_row(dialect, endpoint, raw, judged)


@pytest.mark.parametrize(
    ("dialect", "endpoint"),
    [each for each in ENDPOINTS if each[1].vouch],
    ids=lambda part: getattr(part, "path", part),
)
@slow
@given(data=st.data())
def test_who_vouches_for_events_says_of_each_what_the_rules_say(
    dialect: str, endpoint: Endpoint, data: st.DataObject
) -> None:
    assert endpoint.vouch is not None
    names = [name for name in expectations(endpoint.wire) if name and "[" not in name]
    samples, token = sample_events(dialect, endpoint), TOKEN.get(dialect)
    events = data.draw(st.lists(st.sampled_from(samples) | spoilt(samples, names), min_size=1, max_size=4))
    texts = [json.dumps(event).encode() for event in events]
    told = endpoint.vouch(b",".join(texts), token)
    judged = [endpoint.validate(Raw(text), token) for text in texts]
    # JSON text from here has no key twice: what is accepted is accepted at the first look.
    assert told == (judged if all(isinstance(each, Accepted) for each in judged) else None)


def is_sound(raw: bytes) -> bool:
    """Tell whether the gateway would let these bytes as far as the dialect (rule 7)."""
    try:
        raw.decode()
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


@each_endpoint
@given(
    body=st.binary(),
    status=st.sampled_from([400, 401, 404, 408, 413, 415, 422, 429, 500, 503]),
    code=st.text(min_size=1),
)
def test_whatever_goes_wrong_is_worded(
    dialect: str, endpoint: Endpoint, body: bytes, status: int, code: str
) -> None:
    reply = endpoint.refuse(Problem(status, code, "Correct it.", retry_after_s=1), body)
    assert isinstance(json.loads(reply.body), dict)
    receipt = Receipt(0, ((0, Refused("c", "M.", "f")),), body)
    assert endpoint.reply(receipt).status in {200, 201, 202}


@each_endpoint
def test_no_refusal_repeats_a_value(dialect: str, endpoint: Endpoint) -> None:
    names = [name for name in expectations(endpoint.wire) if name and "[" not in name]
    secret = "s3cr3t-4711"
    told = []
    for event in sample_events(dialect, endpoint):
        for name in names:
            parent, _, last = name.rpartition(".")
            for value in (secret, {secret: secret}, [secret]):
                changed = json.loads(json.dumps(event))
                target = changed.get(parent) if parent else changed
                if isinstance(target, dict):
                    target[last] = value
                judged = endpoint.validate(Raw(json.dumps(changed).encode()), TOKEN.get(dialect))
                if isinstance(judged, Refused):
                    told.append(
                        endpoint.refuse(Problem(400, "invalid_event", "No.", refusals=(judged,)), b"").body
                    )
    assert told
    assert not [text for text in told if secret.encode() in text]
