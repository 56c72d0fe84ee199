"""The rows that account for every record: `outcomes` and `batches`."""

from typing import Literal

import msgspec

from schemas.event import Event
from schemas.tenants import TenantSettings

Outcome = Literal["duplicate", "dropped", "erased"]
"""Why an accepted event is not (or no longer) a row of `events`."""

_DEFAULTS = TenantSettings()
_encode = msgspec.json.Encoder().encode

OUTCOME_PARTS = (
    "event_id",
    "tenant_id",
    "outcome",
    "reason",
    "first_event_id",
    "received_at",
    "request_id",
    "request_index",
    "request_of",
    "retention_days",
)


def outcome_row(
    event: Event,
    outcome: Outcome,
    *,
    reason: str = "",
    first_event_id: str = "",
    retention_days: int = _DEFAULTS.events_days,
) -> str:
    """Return the row of `outcomes` for an accepted event that is not stored."""
    return _encode(
        (
            event.event_id,
            event.tenant_id,
            outcome,
            reason,
            first_event_id,
            event.received_at,
            event.request_id,
            event.index,
            event.of,
            retention_days,
        )
    ).decode()


BATCH_PARTS = ("end", "stored", "duplicate", "dropped", "dead", "worker", "written_at")


def batch_row(
    *, end: int, stored: int, duplicate: int, dropped: int, dead: int, worker: str, written_at: int
) -> str:
    """Return the row of `batches` for a finished range [start, end); `start` is its offset coordinate.

    The four counts must add up to `end - start`, else the insert is refused. `written_at` is in Unix ms.
    """
    return _encode((end, stored, duplicate, dropped, dead, worker, written_at)).decode()
