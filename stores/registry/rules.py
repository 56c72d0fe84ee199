"""What may be entered into the registry; every refusal is a sentence that an operator can act on."""

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import get_args

from schemas.tenants import Meaning, Scope, TenantSettings
from stores.registry.errors import EntryRefused

INT64_MAX = 2**63 - 1

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ID = re.compile(r"[1-9][0-9]{0,18}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")
_STORE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")


def slug(text: str) -> str:
    """Return a usable slug; it can be neither a number nor a UUID, so that no name means two tenants."""
    if not _SLUG.fullmatch(text):
        raise EntryRefused("A slug has 1 to 63 lower-case letters, digits and inner hyphens.")
    if text.isdigit() or _UUID.fullmatch(text):
        raise EntryRefused("A slug must not be a number or a UUID: those name tenants by id and by UUID.")
    return text


def is_slug(text: str) -> bool:
    """Tell whether a tenant could have this slug."""
    return _SLUG.fullmatch(text) is not None


def tenant_id(number: int) -> int:
    """Return a usable numeric id."""
    if not 1 <= number <= INT64_MAX:
        raise EntryRefused("A tenant's id is a number from 1 on.")
    return number


def parse_id(text: str) -> int | None:
    """Read a numeric id as a producer may write it: plain ASCII digits, no sign, no leading zero."""
    if not _ID.fullmatch(text):
        return None
    number = int(text)
    return number if number <= INT64_MAX else None


def parse_uuid(text: str) -> str | None:
    """Read a UUID in its usual form of 36 characters, as lower case."""
    return text.lower() if _UUID.fullmatch(text) else None


def tenant_uuid(text: str | None) -> str:
    """Return the UUID given, or a fresh one."""
    if text is None:
        return str(uuid.uuid4())
    parsed = parse_uuid(text)
    if parsed is None:
        raise EntryRefused("A tenant's UUID has 36 characters: 8-4-4-4-12 hexadecimal digits.")
    return parsed


def name(text: str) -> str:
    """Return a usable name for people."""
    if not text.strip() or len(text) > 200 or "\0" in text:
        raise EntryRefused("A name has 1 to 200 characters.")
    return text.strip()


def tenant_settings(settings: TenantSettings) -> TenantSettings:
    """Return usable settings of a tenant."""
    limits(settings.limits)
    # The topics keep 7 days: rows that went before their records would look lost in the ledger.
    if settings.events_days < 8 or settings.quarantine_days < 8:
        raise EntryRefused("Retention is a number of days from 8 on.")
    if not 0 <= settings.consent_default <= 0xFF:
        raise EntryRefused("The default consent is a mask from 0 to 255.")
    if unknown := sorted(set(settings.consent_bits) - set(get_args(Meaning))):
        raise EntryRefused(
            f"{unknown[0]!r} is no meaning of consent: there are {', '.join(get_args(Meaning))}."
        )
    if any(bit not in (1, 2, 4, 8, 16, 32, 64, 128) for bit in settings.consent_bits.values()):
        raise EntryRefused("A consent bit is one of 1, 2, 4, 8, 16, 32, 64, 128.")
    if settings.shared_device_user_ids_max < 1:
        raise EntryRefused("A shared device has more than one user id: the maximum is 1 or more.")
    return settings


def limits(groups: Mapping[str, int]) -> dict[str, int]:
    """Return usable rate limits by group."""
    for group, requests in groups.items():
        if not 1 <= requests <= 10**9:
            raise EntryRefused(f"The rate limit of {group!r} must lie between 1 and 1,000,000,000 requests.")
    return dict(groups)


def key_id(text: str) -> str:
    """Return a usable public name of a token."""
    if not _NAME.fullmatch(text):
        raise EntryRefused("A key id has 1 to 64 letters, digits, dots, hyphens, tildes and underscores.")
    return text


def scopes(given: Iterable[str], *, dialect: str) -> frozenset[Scope]:
    """Return the scopes that a token of this dialect may have."""
    wanted = frozenset(given)
    unknown = sorted(wanted - set(get_args(Scope)))
    if unknown:
        raise EntryRefused(f"Unknown scope {unknown[0]!r}: there are write, read and admin.")
    if not wanted:
        raise EntryRefused("A token needs a scope: write, read or admin.")
    if dialect == "alana" and wanted != {"write"}:
        raise EntryRefused(
            "An alana key stands in page source, so that everyone reads it: it may only write."
        )
    if dialect and "admin" in wanted:
        raise EntryRefused("The scope admin is for tokens without a dialect: they are the operator's own.")
    return frozenset(scope for scope in get_args(Scope) if scope in wanted)


def grants(dialect: str, client_ids: Iterable[int], store: str) -> frozenset[int]:
    """Return the client ids of a token whose grants fit its dialect."""
    ids = frozenset(client_ids)
    if dialect == "tracker":
        raise EntryRefused("The tracker dialect is public: it takes no tokens.")
    if dialect == "relo" and not ids:
        raise EntryRefused("A relo token needs the client ids it may write.")
    if dialect != "relo" and ids:
        raise EntryRefused("Only relo tokens have client ids.")
    if any(not 0 <= number <= INT64_MAX for number in ids):
        raise EntryRefused("A client id is a number from 0 on.")
    if dialect == "redo" and not store:
        raise EntryRefused("A redo token needs the store it belongs to.")
    if dialect != "redo" and store:
        raise EntryRefused("Only redo tokens belong to a store.")
    if store and not _STORE.fullmatch(store):
        raise EntryRefused("A store has 1 to 128 letters, digits, dots, hyphens, tildes and underscores.")
    return ids
