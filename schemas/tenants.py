"""Who may send and read: tenants, tokens and what they grant."""

from typing import Literal

from msgspec import Struct

Scope = Literal["write", "read", "admin"]

Meaning = Literal[
    "analytics", "identity", "location", "marketing", "personalisation", "third_parties", "device"
]
"""What a person may agree to."""


class TenantSettings(Struct, frozen=True, omit_defaults=True):
    """What a tenant may set for itself; the defaults are the documented ones.

    `limits` overrides rate limits by group (`{"relo.batch": 5000}`, requests per the group's period).
    `consent_bits` maps a meaning to its bit in relo's mask. Retention is in days.
    """

    limits: dict[str, int] = {}
    consent_bits: dict[str, int] = {}
    consent_default: int = 0xFF
    drop_without_analytics: bool = False
    shared_device_user_ids_max: int = 5
    events_days: int = 400
    quarantine_days: int = 30


class Tenant(Struct, frozen=True):
    """One shop or app. `id` is the number in envelopes, keys and rows alike."""

    id: int
    uuid: str
    slug: str
    name: str
    active: bool
    settings: TenantSettings


class Token(Struct, frozen=True):
    """One credential, without its secret. `key_id` is public and names it in rows and logs.

    `client_ids` are the relo clients it may write; `store` is the redo store it belongs to;
    `limits` overrides rate limits by group, before the tenant's. `expires_at` is in Unix ms.
    """

    key_id: str
    dialect: str  # "" for tokens of the operator's API
    tenant: Tenant
    scopes: frozenset[Scope]
    client_ids: frozenset[int] = frozenset()
    store: str = ""
    limits: dict[str, int] = {}
    expires_at: int | None = None
    revoked: bool = False


REF_CHARACTERS_MAX = 63
"""Of the longest name that a tenant may have, a slug."""


class TenantRef(Struct, frozen=True):
    """How a public producer names a tenant: by numeric id, by slug, or by any of id, UUID and slug."""

    by: Literal["id", "slug", "any"]
    value: str
