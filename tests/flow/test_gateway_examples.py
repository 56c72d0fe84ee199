"""Every example of every dialect, sent to the gateway: status, body, headers, envelopes, canonical events."""

from typing import Any
from urllib.parse import urlencode

import pytest

import dialects
from schemas.envelope import Envelope
from tests.contract.dialect_examples import Example, Outcome, as_parts, check, load
from tests.unit.gateway.rig import Rig

SENT = [example for example in load() if example.problem is None]


@pytest.mark.parametrize("example", SENT, ids=str)
async def test_example_through_the_gateway(example: Example) -> None:
    rig = Rig()
    answer = await rig.ask(
        example.path, example.body, example.headers, method=example.method, query=urlencode(example.query)
    )
    outcome = Outcome(
        status=answer.status,
        body=answer.body,
        headers=dict(answer.headers),
        envelopes=[as_parts(envelope) for envelope in rig.accepted],
        events=[_mapped(envelope) for envelope in rig.accepted],
        rejected=[as_parts(rejected) for rejected in rig.rejected],
    )
    check(example, outcome)
    assert rig.measured("events_accepted_total") == len(rig.accepted)
    assert rig.measured("events_rejected_total") == len(rig.rejected)
    assert rig.measured("requests_total", status=str(answer.status)) == 1


def _mapped(envelope: Envelope) -> dict[str, Any]:
    endpoint = dialects.endpoint(envelope.dialect, envelope.endpoint)
    assert endpoint is not None
    return as_parts(endpoint.to_event(envelope))
