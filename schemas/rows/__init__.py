"""What stands in the warehouse: the tables, and the JSON rows that the workers write into them.

A worker never writes a table directly. It inserts into the table's landing table, whose columns are the
record's coordinates and one `row`: a JSON array whose parts are listed here. A materialized view checks
every part and fills the table (schemas/ddl/). The landing table's name carries the row's version: when
the parts change, a new landing table is added and the old one stays until no worker writes it.

No part is ever null, so that the view can tell a bad value (which ClickHouse's JSONExtract turns into a
null) from one that was not given: that one is "" (texts, UUIDs, decimals), 0 (times) or -1 (scores).
Arrays cannot be null there, so the last part counts the elements of all arrays of the row.
"""

from schemas.rows.customers import PATCH_PARTS, override_columns, patch_row
from schemas.rows.events import EVENT_PARTS, event_row
from schemas.rows.landing import (
    BATCHES,
    COORDINATES,
    EVENTS,
    LANDING,
    OUTCOMES,
    PATCHES,
    PERSON_OVERRIDES,
    QUARANTINE,
    TENANT_ID_MAX,
    TIME_MS_END,
    TIME_MS_MIN,
    columns,
)
from schemas.rows.ledger import BATCH_PARTS, OUTCOME_PARTS, Outcome, batch_row, outcome_row
from schemas.rows.quarantine import GATEWAY_STAGE, QUARANTINE_PARTS, quarantine_row

__all__ = [
    "BATCHES",
    "BATCH_PARTS",
    "COORDINATES",
    "EVENTS",
    "EVENT_PARTS",
    "GATEWAY_STAGE",
    "LANDING",
    "OUTCOMES",
    "OUTCOME_PARTS",
    "PATCHES",
    "PATCH_PARTS",
    "PERSON_OVERRIDES",
    "QUARANTINE",
    "QUARANTINE_PARTS",
    "TENANT_ID_MAX",
    "TIME_MS_END",
    "TIME_MS_MIN",
    "Outcome",
    "batch_row",
    "columns",
    "event_row",
    "outcome_row",
    "override_columns",
    "patch_row",
    "quarantine_row",
]
