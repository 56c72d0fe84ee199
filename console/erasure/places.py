"""Where the warehouse has a person: found by column, and by what an event's own text says.

A query narrows down, over a stretch of time, and naming.py decides; pages are bounded, so memory is too.
"""

# ruff: noqa: S608 - statements are put together from our own text; every value is a parameter
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from console.erasure.naming import Naming
from schemas.erasures import Subject
from schemas.rows import EVENTS, QUARANTINE
from schemas.topics import RAW, Coordinates
from stores.base import QueryRefused, StoreUnavailable, Warehouse

PAGE_ROWS = 500
"""Each may bring its raw text along, of up to 256 KiB."""

PART_MAX = 100
"""Identifiers that one query looks for: the engine searches for 255 texts at once."""

STRETCH_MS = 31 * 24 * 3_600_000
STRETCH_MS_MIN = 60_000
"""A stretch that takes the engine too long is halved down to this."""

PHONE_DIGITS = 6
"""The last digits of a number, which stand in it however it is written."""


class Place(Struct, frozen=True):
    """A row about the person, and what its outcome needs. `about`: the record that a dead letter is about."""

    at: Coordinates
    event_id: str
    received_at: int
    request_id: str
    request_index: int
    request_of: int
    retention_days: int
    about: Coordinates | None = None


_COORDINATES = "inc, topic, kp, ko, toUnixTimestamp64Milli(received_at) AS at_ms"
_STRETCH = (
    "tenant_id = %(tenant_id)s"
    " AND received_at >= fromUnixTimestamp64Milli(toInt64(%(from_ms)s))"
    " AND received_at < fromUnixTimestamp64Milli(toInt64(%(to_ms)s))"
    " AND (toUnixTimestamp64Milli(received_at), inc, topic, kp, ko) > %(after)s"
)
_PAGE = "ORDER BY received_at, inc, topic, kp, ko LIMIT %(rows_max)s"

_EVENTS = f"""
SELECT {_COORDINATES}, toString(event_id) AS event_id, request_id, request_index, request_of, retention_days,
    {{sure}} AS sure, if(sure, '', raw) AS raw
FROM events WHERE {_STRETCH} AND ({{sure}} OR {{maybe}}) {_PAGE}"""

_LETTERS = f"""
SELECT {_COORDINATES}, toString(event_id) AS event_id, request_id, request_index, 0 AS request_of,
    retention_days, source, raw, src_inc, src_topic, src_kp, src_ko
FROM quarantine WHERE {_STRETCH} AND dialect = %(dialect)s AND {{maybe}} {_PAGE}"""

_EXTENT = """
SELECT count() AS rows, toUnixTimestamp64Milli(min(received_at)) AS first,
    toUnixTimestamp64Milli(max(received_at)) AS last
FROM {table} WHERE tenant_id = %(tenant_id)s"""

Row = dict[str, Any]
Sort = Callable[[Row], Place | None]


class Places:
    """Finds the rows about one person."""

    def __init__(self, warehouse: Warehouse, subject: Subject) -> None:
        self._warehouse = warehouse
        self._subject = subject

    async def events(self) -> AsyncIterator[list[Place]]:
        """Yield the person's rows of `events`, page by page. Raises StoreUnavailable, QueryRefused."""
        for part in self._subject.parts(PART_MAX):
            naming = Naming(part)

            def sort(row: Row, naming: Naming = naming) -> Place | None:
                return _place(row) if row["sure"] or naming.in_event(row["raw"]) else None

            params = _params(part)
            sql = _EVENTS.format(sure=_sure(params), maybe=_maybe_event(params))
            async for page in self._pages(EVENTS, sql, params, sort):
                yield page

    async def letters(self) -> AsyncIterator[list[Place]]:
        """Yield the rows of `quarantine` that name the person. Raises StoreUnavailable, QueryRefused."""
        for part in self._subject.parts(PART_MAX):
            naming = Naming(part)

            def sort(row: Row, naming: Naming = naming) -> Place | None:
                return _letter_place(row) if naming.in_letter(row["raw"], row["source"]) else None

            params = _params(part)
            if params["needles"]:
                sql = _LETTERS.format(maybe=_maybe(params, "needles"))
                async for page in self._pages(QUARANTINE, sql, params, sort):
                    yield page

    async def _pages(self, table: str, sql: str, params: Row, sort: Sort) -> AsyncIterator[list[Place]]:
        [extent] = await self._warehouse.query(_EXTENT.format(table=table), params)
        if not extent["rows"]:
            return
        start, end, width_ms = extent["first"], extent["last"] + 1, STRETCH_MS
        after = (0, 0, "", 0, 0)
        while start < end:
            stop = min(start + width_ms, end)
            asked = params | {"from_ms": start, "to_ms": stop, "after": after, "rows_max": PAGE_ROWS}
            try:
                rows = await self._warehouse.query(sql, asked)
            except (QueryRefused, StoreUnavailable) as error:
                if width_ms <= STRETCH_MS_MIN or not _took_too_long(error):
                    raise
                width_ms //= 2
                continue
            places = [place for row in rows if (place := sort(row)) is not None]
            if places:
                yield places
            if len(rows) == PAGE_ROWS:
                last = rows[-1]
                after = (last["at_ms"], last["inc"], last["topic"], last["kp"], last["ko"])
                start = last["at_ms"]
            else:
                start = stop


def _took_too_long(error: Exception) -> bool:
    return isinstance(error, QueryRefused) or "TIMEOUT_EXCEEDED" in str(error)


def _params(subject: Subject) -> Row:
    """Return all that the conditions name."""
    ids, devices, emails = (subject.values(kind) for kind in ("id", "device", "email"))
    phones = subject.values("phone")
    ascii_only = all(value.isascii() for value in (*ids, *devices, *emails))
    return {
        "tenant_id": subject.tenant_id,
        "dialect": subject.dialect,
        "source": subject.source,
        "person_ids": subject.person_ids,
        "ids": ids,
        "devices": devices,
        "subjects": (*ids, *devices, *emails, *phones),
        "emails": [form for value in emails for form in _written(value)],
        "needles": [form for value in (*ids, *devices, *emails, *phones) for form in _written(value)],
        "phones": "|".join(_phone_pattern(value) for value in phones),
        # A letter of an identifier may be written as an escape: then only reading the text tells.
        "escape": r"\\u00[2-7]" if ascii_only else r"\\u",
    }


def _written(value: str) -> set[str]:
    """Return how a JSON text may have a value, escapes of its letters apart."""
    plain = json.dumps(value, ensure_ascii=False)[1:-1]
    return {plain, plain.replace("/", r"\/")}


def _phone_pattern(number: str) -> str:
    digits = re.sub(r"\D", "", number)[-PHONE_DIGITS:]
    return r"[^0-9]{0,3}".join(digits)


def _sure(params: Row) -> str:
    """Return the condition on columns under which a row of `events` is the person's."""
    named = [
        f"{column} IN %({name})s"
        for column, name in (("user_id", "ids"), ("anonymous_id", "devices"), ("subject", "subjects"))
        if params[name]
    ]
    chosen = [f"({_of_scope(params)} AND ({' OR '.join(named)}))"] if named else []
    if params["person_ids"]:
        chosen.append("has(%(person_list)s, toString(person_id))")
        params["person_list"] = list(params["person_ids"])
    return f"ifNull({' OR '.join(chosen) or '0'}, 0)"


def _maybe_event(params: Row) -> str:
    """Return the condition under which an event's own text must be read: columns hold no e-mail or phone."""
    if not (params["emails"] or params["phones"]):
        return "0"
    return f"({_of_scope(params)} AND raw != '' AND {_maybe(params, 'emails')})"


def _maybe(params: Row, needles: str) -> str:
    chosen = ["match(raw, %(escape)s)"]
    if params[needles]:
        chosen.append(f"multiSearchAnyCaseInsensitiveUTF8(raw, %({needles})s)")
    if params["phones"]:
        chosen.append("match(raw, %(phones)s)")
    return f"({' OR '.join(chosen)})"


def _of_scope(params: Row) -> str:
    return "dialect = %(dialect)s" + ("" if params["source"] is None else " AND source = %(source)s")


def _place(row: Row) -> Place:
    return Place(
        at=Coordinates(row["inc"], row["topic"], row["kp"], row["ko"]),
        event_id=row["event_id"] or "",
        received_at=row["at_ms"],
        request_id=row["request_id"],
        request_index=row["request_index"],
        request_of=row["request_of"],
        retention_days=row["retention_days"],
    )


def _letter_place(row: Row) -> Place:
    place = _place(row)
    about = Coordinates(row["src_inc"], row["src_topic"], row["src_kp"], row["src_ko"])
    if about == place.at:
        return place
    index, of = _of_request(row["raw"]) if about.topic == RAW else (0, 0)
    return msgspec.structs.replace(place, about=about, request_index=index, request_of=of)


def _of_request(envelope: str) -> tuple[int, int]:
    """Return which event of how many of its request a dead letter is about; 0 of 0 if it does not tell."""
    try:
        read: Sequence[Any] = msgspec.json.decode(envelope.encode(), type=_Counted).told
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0, 0
    return read[0], read[1]


class _Counted(Struct):
    index: int = 0
    of: int = 0

    @property
    def told(self) -> tuple[int, int]:
        """Return both."""
        return self.index, self.of
