"""What a statement is, as far as the protocol must know: rows to come, rows to go, or neither."""

import re
from collections.abc import Container
from dataclasses import dataclass

_COMMENTS = re.compile(r"^(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)+", re.DOTALL)
_NAME = r'(?:`(?:[^`\\]|\\.)+`|"(?:[^"\\]|\\.)+"|\w+)'
_INSERT = re.compile(
    rf"(?P<target>INSERT\s+INTO\s+(?:TABLE\s+)?(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)"
    rf"(?:\s*\((?P<columns>\s*{_NAME}(?:\s*,\s*{_NAME})*\s*)\))?)"
    r"\s*(?P<settings>SETTINGS\s.*?)?\s*(?:VALUES|FORMAT\s+\w+)\s*;?\s*",
    re.DOTALL | re.IGNORECASE,
)
_SELECT = re.compile(r"(?:SELECT|WITH)\b|\(", re.IGNORECASE)
_FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)

_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
# What the engine lets pass although `readonly` is set: a server confines the first to a directory of its
# own, which chDB does not, and a DESCRIBE of a table function connects to wherever that points.
_READS_FILES = re.compile(r"(?<![\w.])(file|hasColumnInTable)\s*\(")
_DESCRIBES_FUNCTION = re.compile(r"(?:DESCRIBE|DESC)\s+(?:TABLE\s+)?\w+\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class Insert:
    """An INSERT whose rows follow as data packets; `columns` is empty where the statement names none."""

    target: str
    table: str
    columns: tuple[str, ...]
    settings: str


def bare(sql: str) -> str:
    """Return the statement without leading comments."""
    return _COMMENTS.sub("", sql)


def as_insert(sql: str) -> Insert | None:
    """Read an INSERT whose data is not in the statement itself."""
    found = _INSERT.fullmatch(bare(sql))
    if found is None:
        return None
    names = re.findall(_NAME, found["columns"] or "")
    return Insert(
        target=found["target"],
        table=found["table"],
        columns=tuple(_unquoted(name) for name in names),
        settings=found["settings"] or "",
    )


def is_select(sql: str) -> bool:
    """Tell whether the engine can stream the result."""
    return _SELECT.match(bare(sql)) is not None


def reaches_out(sql: str) -> bool:
    """Tell whether a read would look outside of the database: at files, or over the network."""
    text = _QUOTED.sub(" ", sql).strip()
    return bool(_READS_FILES.search(text) or _DESCRIBES_FUNCTION.match(text))


def without_format(sql: str, formats: Container[str]) -> str:
    """Drop a FORMAT clause: over this protocol the client formats. `formats` are in upper case."""
    found = _FORMAT.search(sql)
    return sql[: found.start()] if found and found[1].upper() in formats else sql


def _unquoted(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name[1:-1]) if name[0] in '`"' else name
