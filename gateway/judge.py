"""Judges the events of a request one by one: one bad event never kills its batch (rule 2)."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from dialects.base import Accepted, Endpoint, Refused
from gateway.content import examine
from gateway.turns import Turn
from schemas.tenants import Token

_TURN_EVENTS = 32
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
        if isinstance(verdict, Accepted):
            judged.accepted.append((index, raw, verdict))
        else:
            judged.refused.append((index, raw, verdict))
        if index % _TURN_EVENTS == 0:
            await turn.over()
    assert len(judged.accepted) + len(judged.refused) == len(events)
    return judged
