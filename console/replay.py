"""Replay: a letter's event goes to the workers once more, if today's code would store it.

It keeps its id and names the record that it repeats, so that it lands once however often it is replayed.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

import dialects
from bus.base import RECORD_BYTES_MAX, Bus, Record
from console.admission import Admission
from console.letters import Letter, Picked, portion, portions
from dialects.base import MappingError, Refused
from schemas.envelope import VERSION, Envelope, EnvelopeError, decode_envelope, encode
from schemas.rows import event_row
from schemas.topics import RAW
from stores.base import Warehouse

log = logging.getLogger("penstock.replay")

PUBLISH_S = 30.0
DAY_MS = 24 * 3_600_000

_STORED = """
SELECT DISTINCT toString(event_id) AS id
FROM events
WHERE tenant_id IN %(tenants)s AND dialect IN %(dialects)s AND event_id IN %(ids)s
    AND received_at BETWEEN fromUnixTimestamp64Milli(toInt64(%(from_ms)s))
        AND fromUnixTimestamp64Milli(toInt64(%(to_ms)s))
"""

Result = Literal["replayed", "accepted", "stored", "rejected", "dead", "impossible"]
"""What became of a letter:

- replayed: its event was published again
- accepted: today's code would take it (a dry run)
- stored: an event with its id is stored already, so nothing was done
- rejected: today's gateway would reject it, dead: today's worker could make no row of it
- impossible: what is kept of it is no whole event
"""

DONE: frozenset[Result] = frozenset({"replayed", "accepted", "stored"})


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What became of one letter. `was` is why it is in the quarantine; the rest says why it stays there."""

    event_id: str | None
    source: str
    tenant_id: int
    dialect: str
    was: str
    result: Result
    code: str = ""
    pointer: str = ""
    message: str = ""


class _Stays(Exception):
    """A letter cannot be replayed."""

    def __init__(self, result: Result, why: Refused) -> None:
        super().__init__(why.message)
        self.result = result
        self.why = why


_TRUNCATED = Refused(
    "truncated", "The record was too large, or not text: what is kept is not the whole of it."
)
_LETTER = Refused("not_an_event", "It is about a record of another topic than that of the events.")
_TOO_LARGE = Refused("record_too_large", "With what a replay adds, the record is over its cap.")
_FAULT = "Our own code fails on it; the log on stderr says how."


class Replay:
    """Brings letters back, portion by portion."""

    def __init__(self, bus: Bus, warehouse: Warehouse, admission: Admission, *, dry_run: bool) -> None:
        self._bus = bus
        self._warehouse = warehouse
        self._admission = admission
        self._dry_run = dry_run

    async def run(self, picked: Sequence[Picked]) -> AsyncIterator[list[Outcome]]:
        """Yield what became of each portion, once its events are durable.

        Raises StoreUnavailable, QueryRefused, and BusUnavailable: then some of the next portion may be
        replayed, and it may be replayed again.
        """
        for places in portions(picked):
            outcomes, records = [], []
            letters = await portion(self._warehouse, places)
            revived = [await self._revive(letter) for letter in letters]
            stored = await self._stored(letters, [outcome for outcome, record in revived if record])
            for outcome, record in revived:
                if record is None:
                    outcomes.append(outcome)
                elif outcome.event_id in stored:
                    outcomes.append(replace(outcome, result="stored"))
                else:
                    outcomes.append(outcome)
                    records.append(record)
            if records and not self._dry_run:
                await self._bus.publish(RAW, records, deadline_s=PUBLISH_S)
            yield outcomes

    async def _revive(self, letter: Letter) -> tuple[Outcome, Record | None]:
        """Return the record to publish, or None; and what to say of it."""
        outcome = Outcome(
            event_id=letter.event_id or None,
            source=str(letter.source),
            tenant_id=letter.tenant_id,
            dialect=letter.dialect,
            was=letter.code,
            result="accepted" if self._dry_run else "replayed",
        )
        try:
            envelope = await self._readmit(letter) if letter.is_rejection else _reopen(letter)
            outcome = replace(outcome, event_id=envelope.id, tenant_id=envelope.tenant)
            return outcome, _record(replace(envelope, v=VERSION, replay_of=str(letter.source)))
        except _Stays as stays:
            why = stays.why
            return (
                replace(outcome, result=stays.result, code=why.code, pointer=why.field, message=why.message),
                None,
            )

    async def _readmit(self, letter: Letter) -> Envelope:
        judged = await self._admission.judge(letter)
        if isinstance(judged, Refused):
            raise _Stays("impossible" if letter.truncated else "rejected", judged)
        return judged

    async def _stored(self, letters: Sequence[Letter], able: Sequence[Outcome]) -> set[str]:
        """Return which of the events have landed already, by a replay or as the producer sent them again.

        It saves work and tells the operator. What is in flight, or was sent again more than a day before
        or after, is found by the worker.
        """
        if not able:
            return set()
        times = [letter.received_at for letter in letters]
        params = {
            "ids": tuple(outcome.event_id for outcome in able),
            "tenants": tuple({outcome.tenant_id for outcome in able}),
            "dialects": tuple({outcome.dialect for outcome in able}),
            "from_ms": min(times) - DAY_MS,
            "to_ms": max(times) + DAY_MS,
        }
        return {row["id"] for row in await self._warehouse.query(_STORED, params)}


def _reopen(letter: Letter) -> Envelope:
    """Return the envelope that died. Raises _Stays."""
    if letter.truncated:
        raise _Stays("impossible", _TRUNCATED)
    if letter.source.topic != RAW:
        raise _Stays("impossible", _LETTER)
    try:
        return decode_envelope(letter.raw.encode())
    except EnvelopeError as error:
        raise _Stays("dead", Refused(error.code, str(error))) from None


def _record(envelope: Envelope) -> Record:
    """Return the record of an event that today's code makes a row of. Raises _Stays."""
    endpoint = dialects.endpoint(envelope.dialect, envelope.endpoint)
    if endpoint is None:
        raise _Stays("dead", Refused("unknown_endpoint", "No dialect here declares the endpoint it names."))
    try:
        event = endpoint.to_event(envelope)
        event_row(event)
    except MappingError as error:
        raise _Stays("dead", error.refused) from None
    except Exception as error:  # as in the worker: one event's fault must not stop the others
        log.warning("event %s cannot be mapped", envelope.id, exc_info=True)
        raise _Stays("dead", Refused("stage_error", f"{_FAULT} ({type(error).__name__})")) from None
    record = Record(f"{envelope.tenant}|{event.subject}".encode(), encode(envelope))
    if len(record.key) + len(record.value) > RECORD_BYTES_MAX:
        raise _Stays("impossible", _TOO_LARGE)
    return record
