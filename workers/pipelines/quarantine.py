"""Pipeline `quarantine`: what was rejected, or is dead, becomes a row for somebody to look at."""

from msgspec import Struct
from msgspec.structs import replace

from bus.base import Taken
from schemas.envelope import DeadLetter, EnvelopeError, Rejected, decode_dead, decode_rejected
from schemas.rows import QUARANTINE, quarantine_row
from schemas.tenants import TenantSettings
from schemas.topics import DEAD, REJECTED, Coordinates
from workers.judging import Unreadable
from workers.partitions import Limits
from workers.pipeline import Pipeline
from workers.ranges import ROW_REFUSED
from workers.resources import Resources
from workers.stage import Dead
from workers.stages.tenant import Tenant

READS = (REJECTED, DEAD)

STAGES = (Tenant,)
"""In the order letters pass them."""


class Letter(Struct, gc=False):
    """A rejection or a dead letter, and where it stands in its own topic."""

    received_at: int
    content: Rejected | DeadLetter
    at: Coordinates
    settings: TenantSettings = TenantSettings()

    @property
    def tenant_id(self) -> int:
        """The registry's number, or 0."""
        return self.content.tenant


def quarantine_pipeline(use: Resources) -> Pipeline[Letter]:
    """Read events.rejected and events.dead, write `quarantine`."""
    settings = use.settings
    return Pipeline(
        name="quarantine",
        reads=READS,
        read=read_letter,
        stages=tuple(stage(use) for stage in STAGES),
        table=QUARANTINE,
        row=row,
        outcome=None,
        limits=Limits(settings.worker_rows_max, settings.worker_bytes_max, settings.worker_wait_ms),
    )


def row(letter: Letter) -> str:
    days = letter.settings.quarantine_days
    return quarantine_row(letter.content, letter.at, retention_days=days)


def read_letter(record: Taken, at: Coordinates) -> Letter:
    """Decode a letter. Raises Unreadable: then a dead letter about it is published, which is readable."""
    content: Rejected | DeadLetter
    try:
        content = decode_dead(record.value) if at.topic == DEAD else decode_rejected(record.value)
    except EnvelopeError as error:
        raise Unreadable("decode", Dead(error.code, str(error))) from None
    if isinstance(content, DeadLetter) and content.code == ROW_REFUSED and content.src_topic in READS:
        content = _bare(content)
    return Letter(content.received_at, content, at)


def _bare(letter: DeadLetter) -> DeadLetter:
    """Return a letter about a refused letter without anything that a producer wrote.

    Its row cannot be refused again, so there is no letter about it.
    """
    return replace(
        letter, id="", dialect="", tenant=0, request="", pointer="", message="", raw="", truncated=True
    )
