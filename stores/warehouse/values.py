"""What the driver would take silently and turn into something else is refused here."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from stores.base import InsertRefused, QueryRefused

ROWS_MAX = 1_000_000
"""Above it the engine would cut a block in two, and one token covers one block."""

YEAR_MIN, YEAR_MAX = 1973, 2199

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SAFE = frozenset({int, str, bool, UUID})


def insert_statement(table: str, names: Sequence[str]) -> str:
    """Return the statement that the driver sends before the rows."""
    for name in (table, *names):
        assert _NAME.fullmatch(name), f"{name} is not a plain name"
    listed = ", ".join(f"`{name}`" for name in names)
    return f"INSERT INTO `{table}` ({listed}) VALUES"


def block(columns: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
    """Return the columns as the driver takes them: lists of its own, because it writes into them.

    Raises InsertRefused.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or not 0 < max(lengths) <= ROWS_MAX:
        raise InsertRefused(f"the columns must be of one length, of 1 to {ROWS_MAX} rows")
    return [_column(name, list(values)) for name, values in columns.items()]


def _column(name: str, values: list[Any]) -> list[Any]:
    if not set(map(type, values)) <= _SAFE:
        for value in values:
            _check(name, value)
    return values


def _check(name: str, value: object) -> None:
    if isinstance(value, bytes | bytearray):
        raise InsertRefused(f"{name}: texts are str, not bytes")
    if isinstance(value, Decimal) and not value.is_finite():
        raise InsertRefused(f"{name}: a decimal is not finite")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise InsertRefused(f"{name}: a time has no zone")
    if isinstance(value, date) and not YEAR_MIN <= value.year <= YEAR_MAX:
        raise InsertRefused(f"{name}: a time is outside {YEAR_MIN}-{YEAR_MAX}")
    if isinstance(value, list | tuple):
        for item in value:
            _check(name, item)


def params(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters if the driver escapes each of them; anything else it would paste in as it is.

    Raises QueryRefused. Times are passed as integers: the driver would drop their fractions.
    """
    for name, value in given.items():
        if not _is_escaped(value):
            raise QueryRefused(f"parameter {name} is of a type that is not passed on: {type(value).__name__}")
    return dict(given)


def _is_escaped(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_escaped(item) for item in value)
    return value is None or type(value) in {int, float, str, bool, UUID}
