"""The rows of `customer_patches` and `person_overrides`."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from schemas.event import Event
from schemas.persons import Override
from schemas.tenants import TenantSettings

_DEFAULTS = TenantSettings()
_encode = msgspec.json.Encoder().encode

PATCH_PARTS = (
    "event_id",
    "tenant_id",
    "dialect",
    "source",
    "person_id",
    "occurred_at",
    "received_at",
    "fields",
    "values",
    "retention_days",
    "elements",
)


def patch_row(event: Event, *, retention_days: int = _DEFAULTS.events_days) -> str:
    """Return the row of `customer_patches` for a judged event, or "" where it adds nothing to a profile.

    A customer's source is the store that knows it; people with devices are the tenant's.
    """
    profile = event.profile
    if event.person_id is None or not profile:
        return ""
    return _encode(
        (
            event.event_id,
            event.tenant_id,
            event.dialect,
            "" if event.anonymous_id else event.source,
            event.person_id,
            event.occurred_at,
            event.received_at,
            list(profile),
            list(profile.values()),
            retention_days,
            2 * len(profile),
        )
    ).decode()


def override_columns(overrides: Sequence[Override]) -> Mapping[str, Sequence[Any]]:
    """Return what `Warehouse.insert(PERSON_OVERRIDES, …)` takes. A repeat changes nothing."""
    return {
        "tenant_id": [override.tenant_id for override in overrides],
        "person_id": [UUID(override.person_id) for override in overrides],
        "canonical_id": [UUID(override.canonical_id) for override in overrides],
        "version": [override.version for override in overrides],
    }
