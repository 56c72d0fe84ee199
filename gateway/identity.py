"""Identifiers of events: derived wherever a retry must get the same ones (rule 3)."""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b

import uuid_utils
from msgspec import Raw

from dialects.base import Ids
from gateway.errors import INVALID_IDEMPOTENCY_KEY
from gateway.turns import Turn

EventIds = Callable[[int, Raw, str | None], str]
"""(index in the request, the event's bytes, its explicit dedup key) -> its id."""

NAMESPACE = uuid_utils.uuid5(uuid_utils.NAMESPACE_URL, "urn:penstock:event")
"""Never to be changed: every derived id of every installation hangs on it."""

KEY_LENGTH_MAX = 255
_PRINTABLE = re.compile(rb"[\x20-\x7e]{1,%d}" % KEY_LENGTH_MAX)
_HASH_STEP_BYTES = 4 * 2**20
_DIGITS = tuple(f"{index:08x}" for index in range(10_000))
"""An index as it ends an id: formatting it takes three times as long as to look it up."""


def idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    """Read the Idempotency-Key. Raises RequestRefused: its sender relies on it, so it can't be ignored."""
    given = headers.get(b"idempotency-key")
    if not given:
        return None
    if not _PRINTABLE.fullmatch(given):
        raise INVALID_IDEMPOTENCY_KEY.refuse(length=KEY_LENGTH_MAX)
    return given.decode("ascii")


async def event_ids(
    scheme: Ids, *, dialect: str, tenant: int, body: bytes, key: str | None, turn: Turn
) -> EventIds:
    """Return how the events of this request get their ids. An event's own dedup key always decides."""
    scope = f"{tenant}|{dialect}|"
    if key is not None:
        return _keyed(scope, key)
    if scheme is Ids.BODY:
        return _from_body(scope, await _prefix(tenant, body, turn))
    return _fresh(scope)


def _keyed(scope: str, key: str) -> EventIds:
    def of(index: int, event: Raw, dedup_key: str | None) -> str:
        if dedup_key is not None:
            return _derived(scope + dedup_key)
        # The index goes last: it has no "|", so no key can be mistaken for another key with an index.
        return _derived(f"{scope}{key}|{blake2b(event, digest_size=16).hexdigest()}|{index}")

    return of


def _from_body(scope: str, prefix: str) -> EventIds:
    def of(index: int, event: Raw, dedup_key: str | None) -> str:
        if dedup_key is not None:
            return _derived(scope + dedup_key)
        return prefix + (_DIGITS[index] if index < len(_DIGITS) else f"{index:08x}")

    return of


def _fresh(scope: str) -> EventIds:
    def of(index: int, event: Raw, dedup_key: str | None) -> str:
        return str(uuid_utils.uuid7()) if dedup_key is None else _derived(scope + dedup_key)

    return of


def _derived(name: str) -> str:
    return str(uuid_utils.uuid5(NAMESPACE, name))


async def _prefix(tenant: int, body: bytes, turn: Turn) -> str:
    """Return the first 28 characters of the version 8 UUIDs of a request; 8 for the index follow."""
    digest = blake2b(b"%d|" % tenant, digest_size=12)
    view = memoryview(body)
    for start in range(0, len(body), _HASH_STEP_BYTES):
        digest.update(view[start : start + _HASH_STEP_BYTES])
        await turn.over()
    octets = bytearray(digest.digest())
    octets[6] = octets[6] & 0x0F | 0x80  # version 8
    octets[8] = octets[8] & 0x3F | 0x80  # the variant of RFC 9562
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
