"""From judged events to records: accepted ones as sent, in an envelope; refused ones with the reason."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec import Raw, Struct

from bus.base import RECORD_BYTES_MAX, Record
from dialects.base import Accepted, Limits, Refused
from gateway.identity import EventIds
from gateway.turns import Turn
from schemas.envelope import VERSION, Envelope, Rejected, encode, encode_into

_TURN_EVENTS = 64
_ENVELOPE_BYTES = 1024  # of most; the buffer grows for the others

_record: Callable[[tuple[bytes, bytes, tuple[()]]], Record] = partial(tuple.__new__, Record)
"""`Record(key, value)` is a function in Python; this makes the same in a third of the time."""


class Stamp(Struct, frozen=True, gc=False):
    """What is the same for all events of a request. Times are Unix ms; `tenant` 0 is an unknown one."""

    dialect: str
    endpoint: str
    tenant: int
    request: str
    received_at: int
    sent_at: int | None
    ip: str
    ua: str
    ids: EventIds
    store: str = ""  # that the token belongs to: a rejected event does not tell


async def accepted_records(
    stamp: Stamp, events: Sequence[tuple[int, Raw, Accepted]], turn: Turn
) -> list[Record]:
    """Return one record per accepted event, given as (index, bytes, what its dialect said)."""
    if not events:
        return []
    ids, tenant = stamp.ids, f"{stamp.tenant}|"
    envelope = _envelope(stamp, events)
    buffer = bytearray(_ENVELOPE_BYTES)
    records: list[Record] = []
    for index, raw, told in events:
        envelope.id = event_id = ids(index, raw, told.dedup_key)
        envelope.index, envelope.event = index, raw
        envelope.source, envelope.flags = told.source, told.flags
        if told.ip:
            envelope.ip, envelope.ip_source = told.ip, "event"
        else:
            envelope.ip, envelope.ip_source = stamp.ip, "connection"
        if told.ua:
            envelope.ua, envelope.ua_source = told.ua, "event"
        else:
            envelope.ua, envelope.ua_source = stamp.ua, "connection"
        encode_into(envelope, buffer)
        records.append(_record(((tenant + (told.subject or event_id)).encode(), bytes(buffer), ())))
        if len(records) % _TURN_EVENTS == 0:
            await turn.over()
    return records


def _envelope(stamp: Stamp, events: Sequence[tuple[int, Raw, Accepted]]) -> Envelope:
    """Return what the envelopes of a request have in common: one is filled in again and again."""
    return Envelope(
        v=VERSION,
        id="",
        dialect=stamp.dialect,
        endpoint=stamp.endpoint,
        tenant=stamp.tenant,
        received_at=stamp.received_at,
        sent_at=stamp.sent_at,
        request=stamp.request,
        of=len(events),
        event=events[0][1],
    )


async def rejected_records(
    stamp: Stamp, events: Iterable[tuple[int, Raw, Refused]], limits: Limits, turn: Turn
) -> list[Record]:
    """Return one record per refused event, with as much of it as the dialect's caps allow."""
    records: list[Record] = []
    for index, raw, refused in events:
        records.append(_rejected(stamp, index, raw, refused, limits))
        if len(records) % _TURN_EVENTS == 0:
            await turn.over()
    return records


def _rejected(stamp: Stamp, index: int, raw: Raw, refused: Refused, limits: Limits) -> Record:
    text = bytes(raw)
    rejected = Rejected(
        v=VERSION,
        id=stamp.ids(index, raw, None),
        dialect=stamp.dialect,
        endpoint=stamp.endpoint,
        tenant=stamp.tenant,
        source=stamp.store,
        received_at=stamp.received_at,
        ip=stamp.ip,
        ua=stamp.ua,
        request=stamp.request,
        index=index,
        code=refused.code,
        pointer=refused.field,
        message=refused.message,
        raw="",
    )
    key = f"{stamp.tenant}|{rejected.id}".encode()
    _keep(rejected, text, limits.rejected_raw_bytes_max, limits.rejected_cut_bytes)
    value = encode(rejected)
    if len(key) + len(value) > RECORD_BYTES_MAX:
        # As text in JSON every quote takes two bytes: what was whole may not fit.
        _keep(rejected, text, 0, limits.rejected_cut_bytes)
        value = encode(rejected)
    return Record(key, value)


def _keep(rejected: Rejected, text: bytes, whole_bytes_max: int, cut_bytes: int) -> None:
    """Keep the event whole, or its beginning, cut between two characters."""
    rejected.truncated = len(text) > whole_bytes_max
    kept = text[:cut_bytes] if rejected.truncated else text
    rejected.raw = kept.decode("utf-8", "ignore")
