"""Which of an event's identifiers name somebody, and which of those may be linked with others."""

import re
from typing import NamedTuple, Protocol

from dialects import identifiers
from dialects.phones import normal
from schemas.persons import Identifier, customer_scope, identifier

PLACEHOLDERS = frozenset({"null", "undefined", "0", "guest", "anonymous", "test", "unknown"})
"""Stand where a producer had nobody to name, in any case; so do UUIDs of zeros. They name nobody."""

LINKED_CHARACTERS_MIN = 3
"""Shorter ones name somebody, but are too likely to be a counter or a default to be linked."""

_ZEROS = re.compile(r"\{?0{8}-?0{4}-?0{4}-?0{4}-?0{12}\}?")


class Named(Protocol):
    """Whatever says who is behind it: an event, or what a match says of one."""

    @property
    def tenant_id(self) -> int: ...
    @property
    def dialect(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def anonymous_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def phone(self) -> str: ...


class Given(NamedTuple):
    """What an event says of who is behind it.

    `names` are in the order in which they decide: id, e-mail, phone. An id that may not be linked is there
    only if nothing else is: it names somebody all the same. `device` is linked only if `device_links`.
    """

    device: Identifier | None
    device_links: bool
    names: tuple[Identifier, ...]


def given(event: Named, phone: str) -> Given:
    """Read an event's identifiers; `phone` is its number as `normal` gives it."""
    tenant_id, device = event.tenant_id, event.anonymous_id
    scope = event.dialect if device else customer_scope(event.dialect, event.source)
    by_id = None
    if event.user_id and not is_placeholder(event.user_id):
        by_id = identifier(tenant_id, scope, "id", event.user_id)
    names = []
    if by_id is not None and may_link(event.user_id):
        names.append(by_id)
    if event.email and identifiers.is_email(event.email):
        names.append(identifier(tenant_id, scope, "email", event.email))
    if phone:
        names.append(identifier(tenant_id, scope, "phone", phone))
    if device and not is_placeholder(device):
        return Given(identifier(tenant_id, scope, "device", device), may_link(device), tuple(names))
    if not names and by_id is not None:
        names.append(by_id)
    return Given(None, False, tuple(names))


def is_placeholder(value: str) -> bool:
    """Tell whether a value stands for nobody."""
    folded = value.strip().casefold()
    return folded in PLACEHOLDERS or not folded or _ZEROS.fullmatch(folded) is not None


def may_link(value: str) -> bool:
    """Tell whether a value that is no placeholder may be linked with others."""
    return len(value.strip()) >= LINKED_CHARACTERS_MIN


def phone_of(event: Named) -> tuple[str, bool]:
    """Return the event's phone in E.164 ("" where it is none), and whether it is a likely number."""
    return normal(event.phone) if event.phone else ("", True)
