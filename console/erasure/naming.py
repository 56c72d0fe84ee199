"""Whether a JSON text names somebody: by whole values, never by a part of one.

An id or a device counts where its protocol has it. In the quarantine an e-mail address or a phone number
counts wherever it stands: a misspelt field may be why the event is there.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

import dialects
from dialects import identifiers
from dialects.phones import normal
from schemas.erasures import Subject
from schemas.persons import Kind, customer_scope, identifier

_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?')
_NESTED_MAX = 4
"""A dead letter about a letter has JSON in JSON; deeper than this nobody writes."""

_decode = msgspec.json.Decoder().decode
_INVALID = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Told(Struct, frozen=True):
    """What a match says of who is behind its event: part of schemas.matches.MatchedEvent."""

    dialect: str
    source: str
    subject: str
    person_id: str | None
    user_id: str
    anonymous_id: str
    email: str
    phone: str


class Naming:
    """Knows a person's identifiers, and finds them in texts."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._named = set(subject.identifiers)
        self._places = _places(subject.dialect)

    def in_event(self, raw: str) -> bool:
        """Tell whether an event of the person's own protocol and store names the person."""
        try:
            return self._in_places(_decode(raw.encode()))
        except _INVALID:
            return False

    def in_letter(self, raw: str, source: str) -> bool:
        """Tell whether the raw text of a letter names the person; `source` is the letter's own."""
        try:
            value = _decode(raw.encode())
        except _INVALID:
            return self._is_of(source) and self._in_damaged(raw)
        if isinstance(value, dict) and isinstance(value.get("event"), dict) and "v" in value:
            source, value = str(value.get("source", "")), value["event"]
        return self._is_of(source) and (self._in_places(value) or any(map(self._anywhere, _strings(value))))

    def in_match(self, event: Told) -> bool:
        """Tell whether an event that a filter was told of is the person's."""
        if event.person_id in self._subject.person_ids:
            return True
        if scope_of(event.dialect, event.source) != self._subject.scope:
            return False
        given: tuple[tuple[Kind, str], ...] = (
            ("id", event.user_id),
            ("device", event.anonymous_id),
            ("email", event.email),
            ("phone", event.phone),
        )
        return any(self._is(kind, text) for kind, value in given for text in (value, event.subject) if text)

    def _is_of(self, source: str) -> bool:
        """Tell whether what came from a source can be about the person: a store's is not another's."""
        return scope_of(self._subject.dialect, source) == self._subject.scope

    def _in_places(self, value: Any) -> bool:
        return any(self._is(kind, _at(value, path)) for path, kind in self._places)

    def _is(self, kind: Kind, value: Any) -> bool:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return False
        if kind == "email":
            forms = {identifiers.email(value)}
        elif kind == "phone":
            forms = {normal(value.strip()).number, value.strip()}
        else:
            forms = {value, value.strip()}
        subject = self._subject
        return any(identifier(subject.tenant_id, subject.scope, kind, form) in self._named for form in forms)

    def _anywhere(self, text: str) -> bool:
        return ("@" in text and self._is("email", text)) or ("+" in text and self._is("phone", text))

    def _in_damaged(self, raw: str) -> bool:
        """Read a text that is cut off: each string in it, and the member it is the value of."""
        kinds = {path[-1]: kind for path, kind in self._places}
        member = ""
        for found in _LITERAL.finditer(raw):
            text = _unescaped(found[1])
            if found[2]:
                member = text
                continue
            if self._anywhere(text) or (member in kinds and self._is(kinds[member], text)):
                return True
            member = ""
        return False


def scope_of(dialect: str, source: str) -> str:
    """Return where an event's identifiers are unique."""
    has_devices = any(kind == "device" for _, kind in _places(dialect))
    return dialect if has_devices else customer_scope(dialect, source)


def _places(name: str) -> list[tuple[tuple[str, ...], Kind]]:
    declared = next((d.identifiers for d in dialects.discover() if d.name == name), {})
    return [(tuple(path.split(".")), kind) for path, kind in declared.items()]


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _strings(value: Any, nested: int = 0) -> Iterator[str]:
    """Yield every string of a JSON value, keys too, also of JSON that stands in a string."""
    if isinstance(value, str):
        yield value
        if nested < _NESTED_MAX and value[:1] in ("{", "["):
            try:
                yield from _strings(_decode(value.encode()), nested + 1)
            except _INVALID:
                return
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _strings(each, nested)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each, nested)


def _unescaped(text: str) -> str:
    try:
        return str(_decode(f'"{text}"'.encode()))
    except _INVALID:
        return text
