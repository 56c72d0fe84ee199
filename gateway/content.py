"""What rule 7 says of an event whatever its dialect: its size, its depth, its keys, strings and numbers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Raw

from dialects.base import Refused
from gateway.errors import TOO_DEEP
from gateway.screen import KEY_BYTES_MAX, is_clean
from gateway.turns import Turn

EVENT_BYTES_MAX = 256 * 1024
PROPERTIES_MAX = 500  # of one object; what an event holds in all is bounded by its size
STRING_BYTES_MAX = 32 * 1024
DEPTH_MAX = 64
OPENINGS_MAX = 61  # so many brackets nest an event at most 61 deep, and with the body around it 63
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

EVENT_TOO_LARGE = "event_too_large"
TOO_LARGE = Refused(EVENT_TOO_LARGE, f"An event may have {EVENT_BYTES_MAX} bytes; make it smaller.")
_NOT_FINITE = Refused("number_not_finite", "A number is too large for a 64-bit float; send a smaller one.")
_INTEGER = ("integer_out_of_range", "Integers are from -2^63 to 2^63-1; send a larger one as a string.")
_STRING = ("string_too_long", f"A string may have {STRING_BYTES_MAX} bytes; make it shorter.")
_KEY = ("key_too_long", f"The name of a property may have {KEY_BYTES_MAX} bytes; make it shorter.")
_NUL = ("nul_character", "U+0000 cannot be stored; leave it out.")
_PROPERTIES = ("too_many_properties", f"An object may have {PROPERTIES_MAX} properties; leave some out.")

_CONTAINERS = (dict, list)
_CHECKED = (str, int)
GROUP = 16
"""Events that are proved fine together; of a group that isn't, all are looked at."""

_NONE: Mapping[int, Refused] = {}
_FEW_BYTES = 5 * PROPERTIES_MAX  # that many properties take more: `"":1,`

_STEP_BYTES = 2**20
_SLICE_BYTES = 128 * 1024
_FEW_EVENTS = 16  # of most producers, which have two or three brackets each, no more than one may have
_ESCAPES = re.compile(rb"\\.", re.DOTALL)
_STEPS = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")  # one level down, one level up (as a signed byte)
_NO_BRACKETS = bytes(set(range(256)) - set(b"{[}]"))
_decode = msgspec.json.Decoder().decode


async def examine(group: Sequence[Raw], text: bytes, *, around: int, turn: Turn) -> Mapping[int, Refused]:
    """Return why events of a group are refused, by their place in it. `text` is all of them joined by commas.

    `around` is how many levels the body puts around one. Raises RequestRefused for a body that is nested
    over 64 levels.
    """
    clean = len(text) <= GROUP * EVENT_BYTES_MAX and is_clean(text)
    if clean and not _may_be_deep(group) and not _any_may_be_large(group):
        return _NONE
    refused: dict[int, Refused] = {}
    for place, raw in enumerate(group):
        reason = await _look_at(bytes(raw), around, turn, clean=clean)
        if reason is not None:
            refused[place] = reason
    return refused


async def examine_outside(body: bytes, events: Sequence[Raw], turn: Turn) -> None:
    """Raise RequestRefused for a body that is nested too deep where it holds no events."""
    outside = len(body) - sum(map(len, events)) - len(events)  # without the commas in between
    if outside > OPENINGS_MAX and await _is_deep_outside(body, events, turn):
        raise TOO_DEEP.refuse(depth=DEPTH_MAX)


async def _is_deep_outside(body: bytes, events: Sequence[Raw], turn: Turn) -> bool:
    """Tell whether a field that holds no events makes the body too deep."""
    openings = -sum(_openings(bytes(raw)) for raw in events)
    for start in range(0, len(body), _STEP_BYTES):
        openings += _openings(body, start, start + _STEP_BYTES)
        await turn.over()
    return openings > OPENINGS_MAX and await depth(body, turn) > DEPTH_MAX


async def _look_at(text: bytes, around: int, turn: Turn, *, clean: bool) -> Refused | None:
    """Judge one event of a group of which not all could be said to be fine."""
    if _openings(text) > OPENINGS_MAX and await depth(text, turn) + around > DEPTH_MAX:
        raise TOO_DEEP.refuse(depth=DEPTH_MAX)
    reason = judge(text, clean=clean)
    await turn.over()
    return reason


def judge(text: bytes, *, clean: bool = False) -> Refused | None:
    """Return why the content of one event is not taken, or None. `clean`: the screen has passed it."""
    if len(text) > EVENT_BYTES_MAX:
        return TOO_LARGE
    if (clean or is_clean(text)) and not _may_be_large(text):
        return None
    try:
        event = _decode(text)
    except msgspec.ValidationError as error:  # its JSON is sound: only a number can be out of range
        return Refused(*_INTEGER) if "Integer" in str(error) else _NOT_FINITE
    return _walk(event)


def _any_may_be_large(group: Sequence[Raw]) -> bool:
    return max(map(len, group)) > _FEW_BYTES and any(map(_may_be_large, group))


def _may_be_large(text: bytes | Raw) -> bool:
    """Tell whether there is room for a long string or for many properties."""
    return len(text) > _FEW_BYTES and (
        len(text) > STRING_BYTES_MAX or bytes(text).count(b":") > PROPERTIES_MAX
    )


def _may_be_deep(group: Sequence[Raw]) -> bool:
    """Tell whether one of them may be; looked at one by one only where a few together have many brackets."""
    for start in range(0, len(group), _FEW_EVENTS):
        some = group[start : start + _FEW_EVENTS]
        if _openings(b"".join(some)) > OPENINGS_MAX and any(
            _openings(bytes(raw)) > OPENINGS_MAX for raw in some
        ):
            return True
    return False


def _openings(text: bytes, start: int = 0, end: int | None = None) -> int:
    """Return an upper bound of how deep a text is nested: brackets in strings count as well."""
    return text.count(b"{", start, end) + text.count(b"[", start, end)


async def depth(text: bytes, turn: Turn) -> int:
    """Return how many levels a JSON text is nested; brackets in strings don't count."""
    deepest = level = in_string = at = 0
    while at < len(text):
        piece = text[at : at + _SLICE_BYTES]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # not between a backslash and what it escapes
            piece = text[at : at + _SLICE_BYTES + 1]
        at += len(piece)
        parts = _ESCAPES.sub(b"", piece).split(b'"')
        steps = b"".join(parts[in_string::2]).translate(_STEPS, _NO_BRACKETS)
        in_string = (in_string + len(parts) - 1) % 2
        levels = list(accumulate(memoryview(steps).cast("b"), initial=level))
        level = levels[-1]
        deepest = max(deepest, *levels)
        await turn.over()
    return deepest


def _walk(event: Any) -> Refused | None:
    """Look at every value of a decoded event."""
    rest: list[tuple[str, Any]] = [("", [event])]
    while rest:
        path, container = rest.pop()
        members: Iterable[tuple[Any, Any]] = enumerate(container)
        if isinstance(container, dict):
            wrong = _check_object(container)
            if wrong is not None:
                return Refused(*wrong, path)
            members = container.items()
        for name, value in members:
            if isinstance(value, _CONTAINERS):
                rest.append((_join(path, name), value))
            elif isinstance(value, _CHECKED):
                wrong = _check_scalar(value)
                if wrong is not None:
                    return Refused(*wrong, _join(path, name))
    return None


def _check_object(value: dict[str, Any]) -> tuple[str, str] | None:
    if len(value) > PROPERTIES_MAX:
        return _PROPERTIES
    for key in value:
        if _is_longer(key, KEY_BYTES_MAX):
            return _KEY
        if "\0" in key:
            return _NUL
    return None


def _check_scalar(value: str | int) -> tuple[str, str] | None:
    if isinstance(value, int):
        return None if INT_MIN <= value <= INT_MAX else _INTEGER
    if _is_longer(value, STRING_BYTES_MAX):
        return _STRING
    return _NUL if "\0" in value else None


def _is_longer(text: str, bytes_max: int) -> bool:
    """Tell whether a text has more bytes in UTF-8, which takes 1 to 4 for a character."""
    return len(text) * 4 > bytes_max and len(text.encode()) > bytes_max


def _join(path: str, name: str | int) -> str:
    """Extend a path; the root is the only member of the list it is put in, and has no path."""
    if isinstance(name, str):
        return f"{path}.{name}" if path else name
    return f"{path}[{name}]" if path else ""
