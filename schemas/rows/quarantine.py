"""The row of `quarantine`."""

from uuid import UUID

import msgspec

from schemas.envelope import DeadLetter, Rejected
from schemas.rows.landing import TENANT_ID_MAX, TIME_MS_END, TIME_MS_MIN
from schemas.tenants import TenantSettings
from schemas.topics import Coordinates

_DEFAULTS = TenantSettings()
_encode = msgspec.json.Encoder().encode

QUARANTINE_PARTS = (
    "event_id",
    "tenant_id",
    "dialect",
    "endpoint",
    "source",
    "stage",
    "code",
    "pointer",
    "message",
    "received_at",
    "ip",
    "user_agent",
    "request_id",
    "request_index",
    "raw",
    "truncated",
    "replay_of",
    "src_topic",
    "src_kp",
    "src_ko",
    "src_inc",
    "retention_days",
)

GATEWAY_STAGE = "gateway"
"""`stage` of an event that the gateway rejected; of a dead one it is the worker's stage."""


def quarantine_row(
    letter: Rejected | DeadLetter, at: Coordinates, *, retention_days: int = _DEFAULTS.quarantine_days
) -> str:
    """Return the row of `quarantine` for a letter that stands at `at` in its own topic.

    A rejected event never stood elsewhere, so its source coordinates are its own. This table is the last
    resort: an id, tenant or time that its columns cannot hold is left empty (`raw` has the original).
    """
    endpoint, source, ip, user_agent, index, replay_of = "", "", "", "", 0, ""
    if isinstance(letter, DeadLetter):
        stage = letter.stage
        source_at = Coordinates(letter.src_inc, letter.src_topic, letter.src_kp, letter.src_ko)
    else:
        endpoint, source, ip, user_agent = letter.endpoint, letter.source, letter.ip, letter.ua
        index, replay_of = letter.index, letter.replay_of or ""
        stage, source_at = GATEWAY_STAGE, at
    return _encode(
        (
            _uuid_or_empty(letter.id),
            letter.tenant if 0 <= letter.tenant <= TENANT_ID_MAX else 0,
            letter.dialect,
            endpoint,
            source,
            stage,
            letter.code,
            letter.pointer,
            letter.message,
            min(max(letter.received_at, TIME_MS_MIN), TIME_MS_END - 1),
            ip,
            user_agent,
            letter.request,
            index,
            letter.raw,
            int(letter.truncated),
            replay_of,
            source_at.topic,
            source_at.kp,
            source_at.ko,
            source_at.inc,
            retention_days,
        )
    ).decode()


def _uuid_or_empty(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""
