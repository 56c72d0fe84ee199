"""From a body to the bytes of its events, and what is said of the body as a whole (rule 7)."""

import codecs
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

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

Decode = Callable[[bytes], Sequence[Raw]]

SMALL_BYTES = 512 * 1024
"""A body up to here has no more elements than can be kept: 18 MB, for as long as it takes to count them."""

_STEP_BYTES = 2**20


class Splitter:
    """Splits the bodies of one endpoint; events stay the bytes they are."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._limits = endpoint.limits
        self._decode = _batch(endpoint.limits.events_max) if endpoint.batch else _single()

    async def split(self, body: bytes, turn: Turn) -> Sequence[Raw]:
        """Return the events of a body, undecoded. Raises RequestRefused."""
        await _refuse_other_than_utf8(body, turn)
        try:
            events = self._decode(body)
        except msgspec.ValidationError:
            raise EVENTS_REQUIRED.refuse(field="events") from None
        except msgspec.DecodeError as error:
            raise INVALID_JSON.refuse(error=str(error).removeprefix("JSON is malformed: ")) from None
        except RecursionError:
            raise TOO_DEEP.refuse(depth=DEPTH_MAX) from None
        if len(events) > self._limits.events_max:
            raise TOO_MANY_EVENTS.refuse(limit=self._limits.events_max, field="events")
        if len(events) < self._limits.events_min:
            raise TOO_FEW_EVENTS.refuse(limit=self._limits.events_min, field="events")
        return events


def _single() -> Decode:
    decode = msgspec.json.Decoder(Raw).decode
    return lambda body: (decode(body),)


class _Batch(Struct):
    events: list[Raw]


@cache
def _batch(events_max: int) -> Decode:
    """Return a decoder that keeps, of a large body, one event more than there may be.

    A list would keep all: 70 bytes for each element, of which a sender needs two. But a struct that is
    written as an array has as many fields as are declared, and what follows in the array is only checked.
    """
    fields = [(f"event_{index}", Raw | UnsetType, UNSET) for index in range(events_max + 1)]
    events = msgspec.defstruct("Events", fields, array_like=True, gc=False)
    decode_large = msgspec.json.Decoder(msgspec.defstruct("Body", [("events", events)])).decode
    decode_small = msgspec.json.Decoder(_Batch).decode

    def decode(body: bytes) -> Sequence[Raw]:
        if len(body) <= SMALL_BYTES:
            return decode_small(body).events
        large: Any = decode_large(body)
        found: tuple[Any, ...] = msgspec.structs.astuple(large.events)
        # They are filled from the left.
        return found if found[-1] is not UNSET else found[: found.index(UNSET)]

    return decode


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
