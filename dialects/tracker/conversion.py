"""What a conversion says, once what is unusable in it has taken its default."""

from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec import Raw

from dialects import amounts, currencies, times
from dialects.jsontext import UNREADABLE, is_given
from dialects.tracker.wire import Conversion

CURRENCY = "HNL"
EVENT = "purchase"
EVENT_CHARACTERS_MAX = 64

_read_string = msgspec.json.Decoder(str).decode
_read_integer = msgspec.json.Decoder(int).decode


class Sale(NamedTuple):
    """A conversion with nothing left open. `defaulted` names the fields whose value was unusable.

    `transaction_id` is "" and `occurred_at` (Unix ms) None where there is none.
    """

    transaction_id: str
    value: str
    currency: str
    event: str
    occurred_at: int | None
    defaulted: tuple[str, ...]

    @property
    def dedup_key(self) -> str | None:
        """One sale told again is one sale; the same id with another amount is another."""
        if not self.transaction_id:
            return None
        parts = ("tracker", self.transaction_id, self.event, self.value, self.currency)
        return msgspec.json.encode(parts).decode()


def sale(wire: Conversion) -> Sale:
    """Read the optional fields, never refusing any."""
    found = {
        "transaction_id": _transaction_id(wire.transaction_id),
        "value": _value(wire.value),
        "currency": _currency(wire.currency),
        "event": _event(wire.event),
    }
    occurred_at = _timestamp(wire.timestamp)
    defaulted = [name for name, value in found.items() if value is None and is_given(getattr(wire, name))]
    if occurred_at is None and is_given(wire.timestamp):
        defaulted.append("timestamp")
    return Sale(
        transaction_id=found["transaction_id"] or "",
        value=found["value"] or amounts.ZERO,
        currency=found["currency"] or CURRENCY,
        event=found["event"] or EVENT,
        occurred_at=occurred_at,
        defaulted=tuple(defaulted),
    )


def _transaction_id(raw: Raw) -> str | None:
    number = _integer(raw)
    return _string(raw) if number is None else str(number)


def _value(raw: Raw) -> str | None:
    amount = amounts.read(raw, "value")
    return amounts.plain(amount) if isinstance(amount, Decimal) else None


def _currency(raw: Raw) -> str | None:
    # Nobody is told of a refusal here, so a code in lower case must not become another currency.
    code = (_string(raw) or "").strip().upper()
    return code if code in currencies.CODES else None


def _event(raw: Raw) -> str | None:
    name = _string(raw)
    return name if name is not None and len(name) <= EVENT_CHARACTERS_MAX else None


def _timestamp(raw: Raw) -> int | None:
    moment = times.iso8601(_string(raw) or "")
    return moment if moment is not None and times.check(moment, "timestamp") is None else None


def _string(raw: Raw) -> str | None:
    """Return a non-empty string, or None."""
    try:
        return _read_string(raw) or None
    except UNREADABLE:
        return None


def _integer(raw: Raw) -> int | None:
    try:
        return _read_integer(raw)
    except UNREADABLE:
        return None
