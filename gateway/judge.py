"""Judges the events of a request: some at once where all are fine, else one by one (rule 2)."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from bus.base import RECORD_BYTES_MAX
from dialects.base import Accepted, Endpoint, Refused
from gateway.content import GROUP, TOO_LARGE, examine, examine_outside
from gateway.turns import Turn
from schemas.envelope import encode
from schemas.tenants import Token

_REPEATED_BYTES_MAX = RECORD_BYTES_MAX - 64 * 1024  # the rest is for what the gateway stamps
_SMALL_BYTES = _REPEATED_BYTES_MAX // 11  # what is repeated was part of the event
_LEVELS_AROUND = 2  # {"events": [ … ]}


class Judged(NamedTuple):
    """Every event of a request is in one of the two, with its index and bytes, in order."""

    accepted: list[tuple[int, Raw, Accepted]]
    refused: list[tuple[int, Raw, Refused]]

    def add(self, index: int, raw: Raw, verdict: Accepted | Refused) -> None:
        """Sort one event in; one whose record the bus would not take is refused after all."""
        if isinstance(verdict, Refused):
            self.refused.append((index, raw, verdict))
        elif len(raw) > _SMALL_BYTES and _overflows(raw, verdict):
            self.refused.append((index, raw, TOO_LARGE))
        else:
            self.accepted.append((index, raw, verdict))


async def judge(
    endpoint: Endpoint, token: Token | None, body: bytes, events: Sequence[Raw], turn: Turn
) -> Judged:
    """Ask the content rules, then the dialect. Raises RequestRefused for a body nested too deep."""
    around = _LEVELS_AROUND if endpoint.batch else 0
    vouch, validate = endpoint.vouch, endpoint.validate
    judged = Judged([], [])
    for start in range(0, len(events), GROUP):
        group = events[start : start + GROUP]
        text = b",".join(group)
        faults = await examine(group, text, around=around, turn=turn)
        told = None
        if vouch is not None and len(group) > 1 and len(text) <= _SMALL_BYTES and not faults:
            told = vouch(text, token)
        if told is not None:
            judged.accepted.extend(zip(range(start, start + len(group)), group, told, strict=True))
        else:
            for index, raw in enumerate(group, start):
                judged.add(index, raw, faults.get(index - start) or validate(raw, token))
        await turn.over()
    await examine_outside(body, events, turn)
    assert len(judged.accepted) + len(judged.refused) == len(events)
    return judged


def _overflows(raw: Raw, told: Accepted) -> bool:
    """Tell whether the event's record would be too large for the bus: some of it stands there twice."""
    # A character takes six bytes of JSON at most, and four of UTF-8 in the record's key.
    if len(raw) + 6 * len(told.ua) + 4 * len(told.subject) <= _REPEATED_BYTES_MAX:
        return False
    return len(raw) + len(encode(told.ua)) + len(told.subject.encode()) > _REPEATED_BYTES_MAX
