"""Every example of every dialect, sent to the gateway: status, body, headers, envelopes, canonical events."""

from urllib.parse import urlencode

import msgspec
import pytest

import dialects
from schemas.envelope import Envelope
from tests.contract.dialect_examples import Example, Outcome, check, load
from tests.unit.gateway.rig import Rig

SENT = [example for example in load() if example.problem is None]


@pytest.mark.parametrize("example", SENT, ids=str)
async def test_example_through_the_gateway(example: Example) -> None:
    rig = Rig()
    answer = await rig.ask(
        example.path,
        example.body,
        example.headers,
        method=example.method,
        query=urlencode(example.query),
    )
    envelopes = rig.accepted
    outcome = Outcome(
        status=answer.status,
        body=answer.body,
        headers=dict(answer.headers),
        envelopes=[msgspec.json.decode(msgspec.json.encode(envelope)) for envelope in envelopes],
        events=[_canonical(envelope) for envelope in envelopes],
        rejected=[msgspec.to_builtins(rejected) for rejected in rig.rejected],
    )
    check(example, outcome)
    _check_counts(rig, answer.status)


def _canonical(envelope: Envelope) -> dict[str, object]:
    endpoint = dialects.endpoint(envelope.dialect, envelope.endpoint)
    assert endpoint is not None
    built: dict[str, object] = msgspec.to_builtins(endpoint.to_event(envelope))
    return built


def _check_counts(rig: Rig, status: int) -> None:
    assert rig.measured("events_accepted_total") == len(rig.accepted)
    assert rig.measured("events_rejected_total") == len(rig.rejected)
    assert rig.measured("requests_total", status=str(status)) == 1
