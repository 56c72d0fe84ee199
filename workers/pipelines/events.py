"""Pipeline `events`: what a gateway accepted becomes a row of `events`."""

import dialects
from bus.base import Taken
from dialects.base import MappingError
from schemas.envelope import EnvelopeError, decode_envelope
from schemas.event import Event
from schemas.rows import EVENTS, event_row, outcome_row, patch_row
from schemas.topics import RAW, Coordinates
from workers.judging import Unreadable
from workers.matches import match
from workers.partitions import Limits
from workers.pipeline import Pipeline
from workers.resources import Resources
from workers.stage import Dead, Drop, Duplicate
from workers.stages.consent import Consent, Withhold
from workers.stages.device import Device
from workers.stages.duplicate import Duplicates
from workers.stages.filters import Filters
from workers.stages.fraud import Fraud
from workers.stages.geo import Geo
from workers.stages.person import Person
from workers.stages.suppress import Suppress
from workers.stages.tenant import Tenant

READS = (RAW,)

STAGES = (Tenant, Consent, Suppress, Duplicates, Geo, Device, Person, Fraud, Withhold, Filters)
"""In the order events pass them."""

_MAPPINGS = {
    (dialect.name, endpoint.name): endpoint.to_event
    for dialect in dialects.discover()
    for endpoint in dialect.endpoints
}


def events_pipeline(use: Resources) -> Pipeline[Event]:
    """Read events.raw, write `events`."""
    settings = use.settings
    return Pipeline(
        name="events",
        reads=READS,
        read=read_event,
        stages=tuple(stage(use) for stage in STAGES),
        table=EVENTS,
        row=row,
        outcome=outcome,
        patch=patch,
        match=match,
        limits=Limits(settings.worker_rows_max, settings.worker_bytes_max, settings.worker_wait_ms),
    )


def read_event(record: Taken, at: Coordinates) -> Event:
    """Decode an envelope and map its event to the canonical one. Raises Unreadable."""
    try:
        envelope = decode_envelope(record.value)
    except EnvelopeError as error:
        raise Unreadable("decode", Dead(error.code, str(error))) from None
    to_event = _MAPPINGS.get((envelope.dialect, envelope.endpoint))
    if to_event is None:
        raise Unreadable("map", Dead("unknown_endpoint", "no dialect here declares the endpoint it names"))
    try:
        event = to_event(envelope)
    except MappingError as error:
        refused = error.refused
        raise Unreadable("map", Dead(refused.code, refused.message, refused.field)) from None
    event.at = at
    return event


def row(event: Event) -> str:
    return event_row(event, retention_days=event.settings.events_days)


def patch(event: Event) -> str:
    return patch_row(event, retention_days=event.settings.events_days)


def outcome(event: Event, verdict: Duplicate | Drop) -> str:
    days = event.settings.events_days
    match verdict:
        case Duplicate(first_event_id):
            return outcome_row(event, "duplicate", first_event_id=first_event_id, retention_days=days)
        case Drop(reason):
            return outcome_row(event, "dropped", reason=reason, retention_days=days)
