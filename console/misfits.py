"""What msgspec found wrong with what was sent, in words that say what fits and hold no value of it."""

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_NAME_SHOWN_MAX = 64


def misfit(error: msgspec.ValidationError, shape: type[Struct], *, word: str) -> str:
    """Return what is wrong with a struct's members, each of which is a `word` to who sent them."""
    reason, _, at = str(error).partition(" - at `$.")
    place = at.removesuffix("`")
    types = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    if (unknown := _UNKNOWN.match(reason)) and not place:
        return f"there is no {word} `{unknown[1][:_NAME_SHOWN_MAX]}`; there are {_listed(types)}"
    if reason.startswith("Invalid enum value"):
        reason = f"one of {_listed(_words(types.get(place)))}" if place in types else "not one of its values"
        return f"`{place}`: {reason}"
    return f"`{place}`: {reason}" if place else reason


def _words(kind: Any) -> Iterator[str]:
    """Return the words that a type allows, wherever they stand in it."""
    if get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    else:
        for part in get_args(kind):
            yield from _words(part)


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)
