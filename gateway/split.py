"""From a body to the bytes of its events, and what is said of the body as a whole (rule 7)."""

import codecs
import re

import msgspec
from msgspec import Raw, Struct

from dialects.base import Endpoint
from gateway.content import DEPTH_MAX
from gateway.errors import (
    EVENTS_REQUIRED,
    INVALID_JSON,
    NOT_UTF8,
    TOO_DEEP,
    TOO_FEW_EVENTS,
    TOO_MANY_EVENTS,
)
from gateway.turns import Turn


class Batch(Struct):
    """What every batch route takes; events stay the bytes they are."""

    events: list[Raw]


_batch = msgspec.json.Decoder(Batch).decode
_single = msgspec.json.Decoder(Raw).decode

COMMAS_PER_EVENT = 100
"""A body with more commas than so many for each event it may have is counted before it is decoded:
an element of a list costs 70 bytes here, and its sender only two."""

_STEP_BYTES = 2**20
_TURN_TOKENS = 1024
_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]|,')


async def split(body: bytes, endpoint: Endpoint, turn: Turn) -> list[Raw]:
    """Return the events of a body, undecoded. Raises RequestRefused."""
    await _refuse_other_than_utf8(body, turn)
    limits = endpoint.limits
    if endpoint.batch and body.count(b",") > COMMAS_PER_EVENT * limits.events_max:
        await _refuse_many(body, limits.events_max, turn)
    try:
        events = _batch(body).events if endpoint.batch else [_single(body)]
    except msgspec.ValidationError:
        raise EVENTS_REQUIRED.refuse(field="events") from None
    except msgspec.DecodeError as error:
        raise INVALID_JSON.refuse(error=str(error).removeprefix("JSON is malformed: ")) from None
    except RecursionError:
        raise TOO_DEEP.refuse(depth=DEPTH_MAX) from None
    if len(events) > limits.events_max:
        raise TOO_MANY_EVENTS.refuse(limit=limits.events_max, field="events")
    if len(events) < limits.events_min:
        raise TOO_FEW_EVENTS.refuse(limit=limits.events_min, field="events")
    return events


async def _refuse_other_than_utf8(body: bytes, turn: Turn) -> None:
    """Raise RequestRefused: the decoder doesn't look at fields it skips."""
    if body.isascii():
        return
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for start in range(0, len(body), _STEP_BYTES):
            decode(body[start : start + _STEP_BYTES])
            await turn.over()
        decode(b"", final=True)
    except UnicodeDecodeError:
        raise NOT_UTF8.refuse() from None


async def _refuse_many(body: bytes, events_max: int, turn: Turn) -> None:
    """Raise RequestRefused if the list `events` surely has more than so many elements."""
    level = commas = 0
    counting = False
    name = b""
    for number, match in enumerate(_TOKENS.finditer(body)):
        token = match[0]
        first = token[:1]
        if first == b'"':
            name = token if level == 1 else name
        elif first in b"{[":
            level += 1
            if level == 2:
                counting = first == b"[" and (name == b'"events"' or b"\\" in name)
                commas = 0
        elif first in b"]}":
            level -= 1
        elif level == 2 and counting:
            commas += 1
            if commas >= events_max:
                raise TOO_MANY_EVENTS.refuse(limit=events_max, field="events")
        if number % _TURN_TOKENS == 0:
            await turn.over()
