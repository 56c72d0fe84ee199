"""What rule 7 says of an event whatever its dialect: its size, its depth, its keys, strings and numbers."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from dialects.base import Refused
from gateway.errors import TOO_DEEP
from gateway.screen import KEY_BYTES_MAX, OPENINGS_MAX, SMALL_BYTES, is_clean, is_clean_body
from gateway.turns import Turn

EVENT_BYTES_MAX = 256 * 1024
PROPERTIES_MAX = 500  # of one object; what an event holds in all is bounded by its size
STRING_BYTES_MAX = 32 * 1024
DEPTH_MAX = 64
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

EVENT_TOO_LARGE = "event_too_large"
_TOO_LARGE = Refused(EVENT_TOO_LARGE, f"An event may have {EVENT_BYTES_MAX} bytes; make it smaller.")
_NOT_FINITE = Refused("number_not_finite", "A number is too large for a 64-bit float; send a smaller one.")
_INTEGER = ("integer_out_of_range", "Integers are from -2^63 to 2^63-1; send a larger one as a string.")
_STRING = ("string_too_long", f"A string may have {STRING_BYTES_MAX} bytes; make it shorter.")
_KEY = ("key_too_long", f"The name of a property may have {KEY_BYTES_MAX} bytes; make it shorter.")
_NUL = ("nul_character", "U+0000 cannot be stored; leave it out.")
_PROPERTIES = ("too_many_properties", f"An object may have {PROPERTIES_MAX} properties; leave some out.")

_CONTAINERS = (dict, list)
_TURN_EVENTS = 64
_TURN_TOKENS = 1024
_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]')
_decode = msgspec.json.Decoder().decode


async def examine(body: bytes, events: Sequence[Raw], *, around: int, turn: Turn) -> dict[int, Refused]:
    """Return why events are refused, by index. `around` is how many levels the body puts around one.

    Raises RequestRefused for a body that is nested over 64 levels.
    """
    clean = await is_clean_body(body, turn)
    refused: dict[int, Refused] = {}
    outside = body.count(b"{") + body.count(b"[")
    for index, raw in enumerate(events):
        text = bytes(raw)
        openings = text.count(b"{") + text.count(b"[")
        outside -= openings
        if openings > OPENINGS_MAX and await depth(text, turn) + around > DEPTH_MAX:
            raise TOO_DEEP.refuse(depth=DEPTH_MAX)
        if not clean or len(text) > SMALL_BYTES:
            reason = judge(text, clean=clean)
            if reason is not None:
                refused[index] = reason
            await turn.over()
        elif index % _TURN_EVENTS == 0:
            await turn.over()
    if outside > OPENINGS_MAX and await depth(body, turn) > DEPTH_MAX:  # in a field that holds no events
        raise TOO_DEEP.refuse(depth=DEPTH_MAX)
    return refused


def judge(text: bytes, *, clean: bool = False) -> Refused | None:
    """Return why the content of one event is not taken, or None. `clean`: the screen has passed it."""
    if len(text) > EVENT_BYTES_MAX:
        return _TOO_LARGE
    if (clean or is_clean(text)) and len(text) <= STRING_BYTES_MAX and text.count(b":") <= PROPERTIES_MAX:
        return None
    try:
        event = _decode(text)
    except msgspec.ValidationError as error:  # its JSON is sound: only a number can be out of range
        return Refused(*_INTEGER) if "Integer" in str(error) else _NOT_FINITE
    return _walk(event)


async def depth(text: bytes, turn: Turn) -> int:
    """Return how many levels a JSON text is nested; brackets in strings don't count."""
    deepest = level = 0
    for number, token in enumerate(_TOKENS.finditer(text)):
        first = token[0][:1]
        if first in b"{[":
            level += 1
            deepest = max(deepest, level)
        elif first != b'"':
            level -= 1
        if number % _TURN_TOKENS == 0:
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
            else:
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


def _check_scalar(value: Any) -> tuple[str, str] | None:
    if isinstance(value, str):
        if _is_longer(value, STRING_BYTES_MAX):
            return _STRING
        if "\0" in value:
            return _NUL
    elif isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        return _INTEGER
    return None


def _is_longer(text: str, bytes_max: int) -> bool:
    """Tell whether a text has more bytes in UTF-8, which takes 1 to 4 for a character."""
    return len(text) * 4 > bytes_max and len(text.encode()) > bytes_max


def _join(path: str, name: str | int) -> str:
    """Extend a path; the root is the only member of the list it is put in, and has no path."""
    if isinstance(name, str):
        return f"{path}.{name}" if path else name
    return f"{path}[{name}]" if path else ""
