"""An erasure as it is shown: how far it is, and in the end its certificate."""

from typing import Any

from console.rendering import moment
from schemas.erasures import Progress
from stores.registry import Erasure


def status(erasure: Erasure) -> dict[str, Any]:
    """Return what may be shown: digests, counts and times, and no personal value."""
    progress = erasure.progress
    entry: dict[str, Any] = {
        "erasure_id": erasure.erasure_id,
        "tenant_id": erasure.tenant_id,
        "scope": erasure.scope,
        "state": erasure.state,
        "asked_by": erasure.asked_by,
        "identifiers": erasure.digests,
        "found": progress.found,
        "requested_at": moment(erasure.requested_at),
    }
    if progress.applied_at is not None:
        entry["applied_at"] = moment(progress.applied_at)
        entry["links"] = progress.links
        entry["deliveries"] = progress.deliveries
    if erasure.state == "waiting_for_log":
        entry["in_the_log"] = _in_the_log(progress)
    if progress.log_clear_at is not None:
        entry["log_clear_at"] = moment(progress.log_clear_at)
    if erasure.finished_at is not None:
        entry["erased"] = progress.erased
        entry["finished_at"] = moment(erasure.finished_at)
    if progress.problem:
        entry["problem"] = progress.problem
    return entry


def _in_the_log(progress: Progress) -> dict[str, Any]:
    """Return what still stands in the log, and until when: None where it keeps records for good."""
    until = progress.log_until
    return {"topics": sorted(progress.log_ends), "until": None if until is None else moment(until)}
