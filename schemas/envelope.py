"""What the bus carries: the producer's bytes in a small JSON envelope, one record per event.

Any Kafka tool can read it, and a corrected mapping can be run over it again.
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

VERSION = 1
"""Readers take this version and the one before it, so that workers and gateways are upgraded apart."""

Origin = Literal["event", "connection"]
"""Where an address or a user agent was read: given in the event, or seen on the HTTP connection."""


class EnvelopeError(ValueError):
    """A record that is not an envelope this version can read. `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Envelope(Struct, kw_only=True, omit_defaults=True, gc=False):
    """One accepted event on its way. Times are integer Unix milliseconds.

    `event` holds the bytes as sent, never re-serialised. `index` is the event's place in its
    request and `of` how many of that request were accepted, so that a receipt knows from any
    one of them what is still in flight.
    """

    v: int
    id: str  # UUID; version 5: explicit dedup key, 8: derived from the request's bytes, 7: fresh
    dialect: str
    endpoint: str
    tenant: int
    source: str = ""  # relo: client id; redo: store; alana: key id; tracker: endpoint
    received_at: int
    sent_at: int | None = None
    ip: str = ""
    ip_source: Origin = "connection"
    ua: str = ""
    ua_source: Origin = "connection"
    request: str
    index: int = 0
    of: int
    flags: tuple[str, ...] = ()  # what only the gateway knows: product_unverified, defaulted:value
    replay_of: str | None = None  # coordinates of the record that this one repeats
    event: Raw


class Rejected(Struct, kw_only=True, omit_defaults=True, gc=False):
    """One event that the gateway refused, published to `events.rejected`.

    `raw` is the event's JSON text, whole up to the dialect's cap; a longer one is cut and flagged
    `truncated`. `tenant` is 0 where none is known; `source` is the store that the token belongs to.
    """

    v: int
    id: str
    dialect: str
    endpoint: str
    tenant: int = 0
    source: str = ""
    received_at: int
    ip: str = ""
    ua: str = ""
    request: str
    index: int = 0
    code: str
    pointer: str = ""
    message: str
    raw: str
    truncated: bool = False
    replay_of: str | None = None


class DeadLetter(Struct, kw_only=True, omit_defaults=True, gc=False):
    """One accepted event that a worker could not store, published to `events.dead`.

    `raw` is the whole record as it stood in `events.raw` (undecodable bytes are replaced, and
    `truncated` says so); `src_*` are that record's coordinates.
    """

    v: int
    id: str = ""
    dialect: str = ""
    tenant: int = 0
    received_at: int
    request: str = ""
    stage: str
    code: str
    pointer: str = ""
    message: str
    raw: str
    truncated: bool = False
    src_topic: str
    src_kp: int
    src_ko: int
    src_inc: int


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(Envelope)
_rejected = msgspec.json.Decoder(Rejected)
_dead = msgspec.json.Decoder(DeadLetter)

encode = _encoder.encode
"""Any of the three as JSON bytes."""

encode_into = _encoder.encode_into
"""As `encode`, but into a buffer that is used again and again: a fifth less time."""


def decode_envelope(record: bytes) -> Envelope:
    """Read a record of `events.raw`. Raises EnvelopeError."""
    try:
        envelope = _envelope.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError("not_an_envelope", f"the record is not an envelope: {error}") from None
    _refuse_unknown(envelope.v)
    return envelope


def decode_rejected(record: bytes) -> Rejected:
    """Read a record of `events.rejected`. Raises EnvelopeError."""
    try:
        rejected = _rejected.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError("not_a_rejection", f"the record is not a rejection: {error}") from None
    _refuse_unknown(rejected.v)
    return rejected


def decode_dead(record: bytes) -> DeadLetter:
    """Read a record of `events.dead`. Raises EnvelopeError."""
    try:
        dead = _dead.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError("not_a_dead_letter", f"the record is not a dead letter: {error}") from None
    _refuse_unknown(dead.v)
    return dead


def _refuse_unknown(version: int) -> None:
    if not VERSION - 1 <= version <= VERSION:
        raise EnvelopeError("envelope_version", f"envelope version {version} is not readable here")
