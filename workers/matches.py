"""Matches: what automation filters want of a stored event, and the records that tell of it."""

import time
from collections.abc import Iterator, Sequence

from msgspec import Raw, Struct

from bus.base import RECORD_BYTES_MAX, Record
from schemas.event import Event
from schemas.matches import (
    ID_HEADER,
    FilterName,
    Match,
    encode_match,
    match_id,
    matched_event,
    rfc3339,
    without_properties,
)
from workers.consent import allows

RECORDS_MAX = 500
BYTES_MAX = 4 * 2**20
"""Matches published at a time: their records are made as they go, so that a range holds each event once."""


class Matched(Struct, frozen=True, gc=False):
    """One event as filters are told of it, and which: id and name of each."""

    event_id: str
    tenant_id: int
    third_parties: bool
    event: bytes
    filters: tuple[tuple[str, str], ...]


def match(event: Event) -> Matched | None:
    """Return what the filters that the stage noted are told, or None if it noted none."""
    if not event.matched:
        return None
    return Matched(
        event.event_id,
        event.tenant_id,
        allows(event, "third_parties"),
        matched_event(event),
        event.matched,
    )


def match_records(matches: Sequence[Matched]) -> Iterator[list[Record]]:
    """Return the records to publish, as many together as one call may take."""
    matched_at = rfc3339(time.time_ns() // 1_000_000)
    records: list[Record] = []
    size_bytes = 0
    for matched in matches:
        for record in _records(matched, matched_at):
            records.append(record)
            size_bytes += len(record.value)
            if len(records) >= RECORDS_MAX or size_bytes >= BYTES_MAX:
                yield records
                records, size_bytes = [], 0
    if records:
        yield records


def _records(matched: Matched, matched_at: str) -> Iterator[Record]:
    for filter_id, name in matched.filters:
        told = Match(
            id=match_id(filter_id, matched.event_id),
            filter=FilterName(filter_id, name),
            tenant_id=matched.tenant_id,
            matched_at=matched_at,
            third_parties=matched.third_parties,
            event=Raw(matched.event),
        )
        key = told.id.encode()
        value = encode_match(told)
        if len(key) + len(value) > RECORD_BYTES_MAX:
            value = encode_match(_smaller(told))
        yield Record(key, value, ((ID_HEADER, key),))


def _smaller(told: Match) -> Match:
    return Match(
        id=told.id,
        filter=told.filter,
        tenant_id=told.tenant_id,
        matched_at=told.matched_at,
        third_parties=told.third_parties,
        event=Raw(without_properties(bytes(told.event))),
    )
