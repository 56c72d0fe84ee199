"""What a redo event's shape cannot say: who the customer is, times, amounts, currencies."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from dialects import amounts, currencies, identifiers, jsontext, times
from dialects.base import Accepted, Refused
from dialects.decoding import Shape
from dialects.redo.wire import Customer, Event
from schemas.tenants import Token

SHAPE: Shape[Event] = Shape(Event)


class Identity(NamedTuple):
    """Who did it, each as it is compared; "" where not given."""

    id: str
    email: str
    phone: str

    @property
    def first(self) -> str:
        """The one that comes first in the order of look-up; it is the subject."""
        return self.id or self.email or self.phone


def validate(raw: Raw, token: Token | None) -> Accepted | Refused:
    """Judge one event; a refusal lists all that is wrong with it."""
    event = SHAPE.read(raw)
    if isinstance(event, Refused):
        sound, wrong = SHAPE.take_apart(raw)
        return _together([*wrong, *_broken(sound)] or [event])
    wrong = _broken({name: getattr(event, name) for name in _CHECKS})
    if wrong:
        return _together(wrong)
    store = "" if token is None else token.store
    return Accepted(
        subject=identity(event.customer).first,
        source=store,
        dedup_key=None if event.uniqueId is None else dedup_key(store, event.uniqueId),
    )


def identity(customer: Customer) -> Identity:
    """Return the customer's identifiers; at least one is there in an accepted event."""
    email = identifiers.email(customer.email) if customer.email else ""
    return Identity(customer.id or "", email, customer.phoneNumber or "")


def dedup_key(store: str, unique_id: str) -> str:
    """Return the key under which the first event of a store wins, for good."""
    return msgspec.json.encode(("redo", store, unique_id)).decode()


def _broken(values: Mapping[str, Any]) -> list[Refused]:
    return [refused for name, check in _CHECKS.items() if name in values for refused in check(values[name])]


def _together(wrong: list[Refused]) -> Refused:
    first = wrong[0]
    return Refused(first.code, first.message, first.field, tuple(wrong[1:]))


def _check_customer(customer: Customer) -> list[Refused]:
    who = identity(customer)
    wrong = []
    if not who.first:
        message = "`customer` must have at least one of `id`, `email` and `phoneNumber`."
        wrong.append(Refused("missing_identifier", message, "customer"))
    if who.email and not identifiers.is_email(who.email):
        message = "`customer.email` must be an e-mail address, as name@example.com."
        wrong.append(Refused("invalid_email", message, "customer.email"))
    if who.phone and not identifiers.is_e164(who.phone):
        message = "`customer.phoneNumber` must be in E.164: +, then 7 to 15 digits, the first not 0."
        wrong.append(Refused("invalid_phone", message, "customer.phoneNumber"))
    return wrong


def _check_time(moment: datetime | None) -> list[Refused]:
    if moment is None:
        return []
    return _listed(times.check(times.milliseconds(moment), "eventTimestamp"))


def _check_value(value: Raw) -> list[Refused]:
    return _listed(amounts.read(value, "value")) if jsontext.is_given(value) else []


def _check_currency(code: str | None) -> list[Refused]:
    return [] if code is None else _listed(currencies.check(code, "valueCurrency"))


def _listed(outcome: object) -> list[Refused]:
    return [outcome] if isinstance(outcome, Refused) else []


_CHECKS: dict[str, Callable[[Any], list[Refused]]] = {
    "customer": _check_customer,
    "eventTimestamp": _check_time,
    "value": _check_value,
    "valueCurrency": _check_currency,
}
