"""JSON as it was written: numbers keep their text, and of duplicate keys the last wins."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from dialects.base import MappingError, Refused

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a msgspec decoder raises: the last two are no DecodeErrors."""

INVALID_JSON = Refused("invalid_json", "Send well-formed JSON in UTF-8.")

# A float read as Raw is written back digit by digit: 24999.00 stays 24999.00.
_read_any = msgspec.json.Decoder(float_hook=Raw).decode
_read_object = msgspec.json.Decoder(dict[str, Any], float_hook=Raw).decode
_write = msgspec.json.Encoder().encode


def without_duplicates(raw: Raw | bytes) -> bytes | None:
    """Write the value anew with each key once, at any depth; None if it is not JSON."""
    try:
        return _write(_read_any(raw))
    except UNREADABLE:
        return None


def read_object(raw: Raw | bytes) -> dict[str, Any]:
    """Read an object; a number with a fraction or an exponent becomes a Raw. Raises MappingError."""
    try:
        return _read_object(raw)
    except UNREADABLE:
        raise MappingError(INVALID_JSON) from None


def member(name: str) -> Callable[[Raw | bytes], dict[str, Any]]:
    """Return what reads one member as `read_object` does, where it is an object; the others are passed over.

    In half the time that the whole takes. What it returns raises MappingError; a missing member is empty.
    """
    read_one = msgspec.json.Decoder(
        msgspec.defstruct("Member", [(name, dict[str, Any])]), float_hook=Raw
    ).decode

    def read(raw: Raw | bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = getattr(read_one(raw), name)
        except UNREADABLE:  # also where the same key was something else before
            found = read_object(raw).get(name, {})
        return found

    return read


def write_object(members: dict[str, Any]) -> str:
    """Write what `read_object` gave, or a part of it."""
    return _write(members).decode()


def write(value: Any) -> str:
    """Write a value of what `read_object` gave."""
    return _write(value).decode()


def text(raw: Raw | bytes) -> str:
    """Return the JSON text of a value. Raises MappingError when it is not UTF-8."""
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        raise MappingError(INVALID_JSON) from None


def is_given(raw: Raw) -> bool:
    """Tell whether an optional field of type Raw was sent with a value other than null."""
    return len(raw) > 0 and raw != _NULL


_NULL = Raw(b"null")
