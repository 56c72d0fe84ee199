"""Named points at which a worker kills itself, so that a test can crash it exactly there.

`PENSTOCK_CRASH_AT=after_intent:3` is kill -9 at the third time that point is reached. Without the
variable a point costs one call of an empty function per range.
"""

import os
from collections.abc import Callable
from typing import Literal, get_args

from schemas import crash
from schemas.settings import CRASH_AT

Point = Literal[
    "after_take",  # records in hand, nothing declared
    "after_judge",  # rows made, nothing declared
    "after_intent",  # the range is declared, nothing of it is written
    "before_insert",  # once per inserted block: events, outcomes, batches, and every repeated part
    "after_insert",
    "after_dead_letters",  # published and acknowledged, the range is not complete
    "after_matches",  # likewise
    "after_store",  # all of the range is written, its completion is not committed
    "after_complete",
    "after_deliveries",  # the worker webhooks: matches entered, the offset is not committed
    "after_answer",  # likewise: a receiver answered, that is not noted
    "in_recovery",  # what an earlier attempt wrote has been read
]

POINTS: tuple[Point, ...] = get_args(Point)


def _pass_by(point: Point) -> None:
    """Do nothing: no crash is asked for."""


def armed(spec: str) -> Callable[[Point], None]:
    """Return the function that crashes at "point" or "point:n". Raises ValueError."""
    return crash.armed(spec, POINTS)


crash_point: Callable[[Point], None] = armed(os.environ[CRASH_AT]) if CRASH_AT in os.environ else _pass_by
