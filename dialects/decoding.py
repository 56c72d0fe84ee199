"""From an event's bytes to its wire struct, or to a refusal that names the field and says how to fix it.

What msgspec complains of may repeat a value; a refusal never does.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, inspect

from dialects.base import MappingError, Refused
from dialects.jsontext import INVALID_JSON, UNREADABLE, without_duplicates

T = TypeVar("T")

_INDEX = re.compile(r"\[[^\]]*\]")
_ONE_OF = "one of "
_MISSING = re.compile(r"Object missing required field `(.*)`")


class Shape(Generic[T]):
    """Reads one wire type: a struct, or a union of structs told apart by a tag field.

    `event_type` is the field that names the type of event; an unknown one has a code of its own.
    """

    def __init__(self, wire: Any, *, event_type: str = "") -> None:
        self._decode = msgspec.json.Decoder(wire).decode
        self._expected = expectations(wire)
        self._event_type = event_type
        self._members = _members(wire)

    def read(self, raw: Raw | bytes) -> T | Refused:
        """Return the event, or the first thing that is wrong with it."""
        try:
            return self._decode(raw)  # type: ignore[no-any-return]
        except msgspec.ValidationError:
            return self._read_again(raw)
        except UNREADABLE:
            return INVALID_JSON

    def mapped(self, raw: Raw | bytes) -> T:
        """Return the event of an accepted record. Raises MappingError."""
        event = self.read(raw)
        if isinstance(event, Refused):
            raise MappingError(event)
        return event

    def take_apart(self, raw: Raw | bytes) -> tuple[dict[str, Any], list[Refused]]:
        """Read field by field: the values of the sound ones, and all that is wrong with the others.

        For structs only, and for events that `read` refused.
        """
        try:
            given = _read_members(without_duplicates(raw) or raw)
        except UNREADABLE:
            refused = self.read(raw)
            return {}, [refused] if isinstance(refused, Refused) else []
        sound: dict[str, Any] = {}
        wrong: list[Refused] = []
        for name, member in self._members.items():
            if name in given:
                try:
                    sound[name] = member.decode(given[name])
                except msgspec.ValidationError as error:
                    wrong.extend(self._all_wrong(member, given[name], name, error))
                except UNREADABLE:
                    wrong.append(INVALID_JSON)
            elif member.required:
                wrong.append(self._missing(name))
        return sound, wrong

    def _all_wrong(
        self, member: "_Member", raw: Raw, name: str, error: msgspec.ValidationError
    ) -> list[Refused]:
        found = [] if member.shape is None else member.shape.take_apart(raw)[1]
        inner = [refused for refused in found if refused.field]
        if not inner:
            return [self._refused(error, name)]
        return [self._under(name, refused) for refused in inner]

    def _under(self, name: str, refused: Refused) -> Refused:
        field = _join(name, refused.field)
        message = refused.message.replace(f"`{refused.field}`", f"`{field}`", 1)
        return Refused(refused.code, message, field)

    def _read_again(self, raw: Raw | bytes) -> T | Refused:
        # Of duplicate keys the last wins (rule 7), but msgspec judges the earlier ones as well.
        try:
            return self._decode(without_duplicates(raw) or raw)  # type: ignore[no-any-return]
        except msgspec.ValidationError as again:
            return self._refused(again)

    def _refused(self, error: msgspec.ValidationError, parent: str = "") -> Refused:
        what, field = _split(str(error), parent)
        missing = _MISSING.fullmatch(what)
        if missing is not None:
            return self._missing(_join(field, missing[1]))
        if not field:
            return Refused("wrong_type", "The event must be an object.")
        return Refused(self._code(what, field), f"`{field}` must be {self._expectation(field)}.", field)

    def _code(self, what: str, field: str) -> str:
        if ", got `" in what or what == "Expected `str`":
            return "wrong_type"
        if what.startswith(("Invalid value ", "Invalid enum value ")):
            if field == self._event_type:
                return "unknown_event_type"
            # A text where there may be "" or something else, as a number, is no wrong word.
            return "unknown_value" if self._expectation(field).startswith(_ONE_OF) else "wrong_type"
        if "datetime" in what:
            return "invalid_time"
        return "invalid_value"

    def _missing(self, field: str) -> Refused:
        return Refused("missing_field", f"Add `{field}`: {self._expectation(field)}.", field)

    def _expectation(self, field: str) -> str:
        return self._expected.get(_INDEX.sub("[]", field), "of the documented type")


def expectations(wire: Any) -> dict[str, str]:
    """Return what each field of a wire type takes, by path ("props.order_id", "productIds[]")."""
    found: dict[str, str] = {}
    tags: dict[str, list[str]] = {}
    _describe(inspect.type_info(wire), "", found, tags)
    found.update({path: f"{_ONE_OF}{', '.join(names)}" for path, names in tags.items()})
    return found


def _describe(kind: inspect.Type, path: str, found: dict[str, str], tags: dict[str, list[str]]) -> None:
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            if schema and "description" in schema:
                found.setdefault(path, schema["description"])
            _describe(inner, path, found, tags)
        case inspect.UnionType(types=members):
            for member in members:
                _describe(member, path, found, tags)
        case inspect.StructType(fields=fields, tag_field=tag_field, tag=tag):
            if tag_field is not None:
                tags.setdefault(_join(path, tag_field), []).append(str(tag))
            for field in fields:
                _describe(field.type, _join(path, field.encode_name), found, tags)
        case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
            _describe(inner, path + "[]", found, tags)
        case inspect.LiteralType(values=values):
            found.setdefault(path, f"{_ONE_OF}{', '.join(map(str, values))}")
        case _:
            pass


_read_members = msgspec.json.Decoder(dict[str, Raw]).decode


class _Member(NamedTuple):
    """One field of a struct; `shape` is set where the field is a struct itself."""

    decode: Callable[[Raw], Any]
    required: bool
    shape: "Shape[Any] | None"


def _members(wire: Any) -> Mapping[str, _Member]:
    kind = inspect.type_info(wire)
    if not isinstance(kind, inspect.StructType):
        return {}
    hints = get_type_hints(wire, include_extras=True)
    return {field.encode_name: _member(hints[field.name], field.required) for field in kind.fields}


def _member(hint: Any, required: bool) -> _Member:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    nested = isinstance(plain, type) and issubclass(plain, msgspec.Struct)
    return _Member(msgspec.json.Decoder(hint).decode, required, Shape(plain) if nested else None)


def _split(message: str, parent: str) -> tuple[str, str]:
    what, found, path = message.rpartition(" - at `$")
    if not found:
        return message, parent
    return what, _join(parent, path.removesuffix("`").removeprefix("."))


def _join(parent: str, name: str) -> str:
    if not parent or name.startswith("["):
        return parent + name
    return f"{parent}.{name}" if name else parent
