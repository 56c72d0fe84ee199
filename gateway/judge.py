"""Judges the events of a request one by one: one bad event never kills its batch (rule 2)."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from bus.base import RECORD_BYTES_MAX
from dialects.base import Accepted, Endpoint, Refused
from gateway.content import TOO_LARGE, examine
from gateway.turns import Turn
from schemas.envelope import encode
from schemas.tenants import Token

_TURN_EVENTS = 32
_REPEATED_BYTES_MAX = RECORD_BYTES_MAX - 64 * 1024  # the rest is for what the gateway stamps
_SMALL_BYTES = _REPEATED_BYTES_MAX // 11  # what is repeated was part of the event
_LEVELS_AROUND = 2  # {"events": [ … ]}


class Judged(NamedTuple):
    """Every event of a request is in one of the two, with its index and bytes, in order."""

    accepted: list[tuple[int, Raw, Accepted]]
    refused: list[tuple[int, Raw, Refused]]


async def judge(
    endpoint: Endpoint, token: Token | None, body: bytes, events: Sequence[Raw], turn: Turn
) -> Judged:
    """Ask the content rules, then the dialect. Raises RequestRefused for a body nested too deep."""
    around = _LEVELS_AROUND if endpoint.batch else 0
    faults = await examine(body, events, around=around, turn=turn)
    validate = endpoint.validate
    judged = Judged([], [])
    for index, raw in enumerate(events):
        verdict = faults.get(index) or validate(raw, token)
        if isinstance(verdict, Accepted) and (len(raw) <= _SMALL_BYTES or not _overflows(raw, verdict)):
            judged.accepted.append((index, raw, verdict))
        else:
            refused = verdict if isinstance(verdict, Refused) else TOO_LARGE
            judged.refused.append((index, raw, refused))
        if index % _TURN_EVENTS == 0:
            await turn.over()
    assert len(judged.accepted) + len(judged.refused) == len(events)
    return judged


def _overflows(raw: Raw, told: Accepted) -> bool:
    """Tell whether the event's record would be too large for the bus: some of it stands there twice."""
    # A character takes six bytes of JSON at most, and four of UTF-8 in the record's key.
    if len(raw) + 6 * len(told.ua) + 4 * len(told.subject) <= _REPEATED_BYTES_MAX:
        return False
    return len(raw) + len(encode(told.ua)) + len(told.subject.encode()) > _REPEATED_BYTES_MAX
