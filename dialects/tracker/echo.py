"""The transaction id of a conversion as it was sent, out of a body that may be cut short or spoilt."""

import json
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from dialects.base import Refused
from dialects.decoding import Shape
from dialects.jsontext import UNREADABLE
from dialects.tracker.wire import Transaction

NULL = Raw(b"null")

_TRANSACTION: Shape[Transaction] = Shape(Transaction)
_SPACE = " \t\r\n"
_scan = json.JSONDecoder().raw_decode
_read_any = msgspec.json.Decoder().decode


def transaction_id(body: bytes) -> Raw:
    """Return the bytes of the value, of whatever JSON type; null where none can be made out."""
    whole = _TRANSACTION.read(body)
    found = _scanned(body) if isinstance(whole, Refused) else whole.transaction_id
    try:
        _read_any(found)  # what is echoed must be JSON, whatever was sent
    except UNREADABLE:
        return NULL
    return found


def _scanned(body: bytes) -> Raw:
    text = body.decode("utf-8", "surrogateescape")
    found = ""
    try:
        for name, value in _members(text):
            if name == "transaction_id":
                found = value  # of duplicate keys the last wins
    except (ValueError, RecursionError):
        pass  # what was found up to here stands
    return Raw(found.encode("utf-8", "surrogateescape"))


def _members(text: str) -> Iterator[tuple[object, str]]:
    """Yield the members of the object that a text begins with. Raises ValueError where it goes wrong."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        return
    more = True
    while more:
        name, at = _scan(text, _skip(text, at + 1))
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            return
        start = _skip(text, at + 1)
        _, end = _scan(text, start)
        at = _skip(text, end)
        if text[at : at + 1] not in {",", "}"}:  # a number may have been cut off in the middle
            return
        yield name, text[start:end]
        more = text[at] == ","


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at
