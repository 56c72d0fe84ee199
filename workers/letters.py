"""Dead letters: a record that became no row, as it stood, with the reason."""

import time
from uuid import UUID

import msgspec
from msgspec import Struct

from bus.base import RECORD_BYTES_MAX, Record, Taken
from schemas.envelope import VERSION, DeadLetter, encode
from schemas.rows import TIME_MS_END, TIME_MS_MIN
from schemas.topics import Coordinates
from workers.judging import Death

NAME_CHARS_MAX = 128  # of what an envelope says of itself; a record that is none may say anything
KEY_BYTES_MAX = 64 * 1024

RAW_CHARS_CUT = 48 * 1024
"""What is kept of a record whose letter would be too large: six bytes of JSON a character at worst."""


class Stamps(Struct):
    """What a record says of itself, whichever kind and version of record it is."""

    id: str = ""
    dialect: str = ""
    tenant: int = 0
    received_at: int = 0
    request: str = ""
    replay_of: str | None = None


_stamps = msgspec.json.Decoder(Stamps)


def stamps(value: bytes) -> Stamps:
    """Read what can be read of a record; the rest is empty."""
    try:
        return _stamps.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Stamps()


def is_sane(known: Stamps) -> bool:
    """Tell whether a record names an event and a tenant as every envelope does."""
    return _is_uuid(known.id) and known.id == known.id.lower() and 0 <= known.tenant < 2**32


def dead_letter(record: Taken, at: Coordinates, death: Death) -> Record:
    """Return the letter for `events.dead`; its key is the record's, so that a subject stays in order.

    Its stamps are checked, because they decide where its own row lies: a record that is no envelope
    gets the present time.
    """
    known = stamps(record.value)
    raw, whole = _text(record.value)
    letter = DeadLetter(
        v=VERSION,
        id=known.id if _is_uuid(known.id) else "",
        dialect=known.dialect[:NAME_CHARS_MAX],
        tenant=known.tenant if 0 <= known.tenant < 2**32 else 0,
        received_at=known.received_at if _is_time(known.received_at) else int(time.time() * 1000),
        request=known.request[:NAME_CHARS_MAX],
        stage=death.stage,
        code=death.dead.code,
        pointer=death.dead.pointer,
        message=death.dead.message,
        raw=raw,
        truncated=not whole,
        src_topic=at.topic,
        src_kp=at.kp,
        src_ko=at.ko,
        src_inc=at.inc,
    )
    # A key that no gateway made may be as large as a whole record.
    key = record.key if len(record.key) <= KEY_BYTES_MAX else b""
    value = encode(letter)
    if len(key) + len(value) > RECORD_BYTES_MAX:
        value = encode(msgspec.structs.replace(letter, raw=raw[:RAW_CHARS_CUT], truncated=True))
    return Record(key, value)


def _text(value: bytes) -> tuple[str, bool]:
    try:
        return value.decode(), True
    except UnicodeDecodeError:
        return value.decode(errors="replace"), False


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_time(time_ms: int) -> bool:
    return TIME_MS_MIN <= time_ms < TIME_MS_END
