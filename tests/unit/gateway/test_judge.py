"""An event whose record would be too large for the bus is refused; its batch is not."""

from typing import Any

import pytest

from bus.base import RECORD_BYTES_MAX
from schemas.topics import RAW
from tests.unit.gateway.rig import BATCH, INSTALL, RELO, Rig, batch

GOOD = [{**INSTALL, "did": f"d-{n}"} for n in range(9)]


def repeated(ua: int, did: int = 3) -> dict[str, Any]:
    """Make an event of which the record repeats much: each of these characters is six bytes in JSON."""
    return {**INSTALL, "ua": "\u0001" * ua, "did": "\u00e9" * did}


TOO_LARGE = {
    "agent": repeated(32_000),
    "agent_just": repeated(27_500),
    "agent_and_subject": repeated(25_000, 15_000),
}
LARGE = {"agent": repeated(27_000), "agent_and_subject": repeated(20_000, 8_000)}


@pytest.mark.parametrize("large", TOO_LARGE.values(), ids=list(TOO_LARGE))
@pytest.mark.parametrize("place", [0, 4, 9])
async def test_an_event_whose_record_is_too_large_is_refused_alone(large: dict[str, Any], place: int) -> None:
    rig = Rig()
    answer = await rig.ask(BATCH, batch(*GOOD[:place], large, *GOOD[place:]), RELO)
    assert (answer.status, answer.json["accepted"], answer.json["rejected"]) == (200, 9, 1)
    assert [event.index for event in rig.accepted] == [n for n in range(10) if n != place]
    assert [(event.index, event.code) for event in rig.rejected] == [(place, "event_too_large")]


@pytest.mark.parametrize("large", LARGE.values(), ids=list(LARGE))
async def test_a_large_event_that_the_bus_takes_is_accepted(large: dict[str, Any]) -> None:
    rig = Rig()
    answer = await rig.ask(BATCH, batch(*GOOD, large), RELO)
    assert (answer.status, answer.json["accepted"]) == (200, 10)
    sizes = [len(taken.key) + len(taken.value) for log in rig.bus.log.topic(RAW) for taken in log]
    assert RECORD_BYTES_MAX * 0.7 < max(sizes) <= RECORD_BYTES_MAX
    assert (rig.accepted[9].ua, rig.rejected) == (large["ua"], [])
