"""Named points at which an erasure kills its process, so that a test can crash it exactly there.

As in workers/crash.py: `PENSTOCK_CRASH_AT=after_outcomes:2` is kill -9 at the second time.
"""

import os
from collections.abc import Callable
from typing import Literal, get_args

from schemas import crash
from schemas.settings import CRASH_AT

Point = Literal[
    "after_outcomes",  # outcomes are written, their rows are still there
    "after_delete",  # some rows are gone
    "after_sweep",  # all rows are gone, nothing is noted
    "after_forgetting",  # the registry has forgotten the person
    "before_certificate",  # the last pass is over
]

POINTS: tuple[Point, ...] = get_args(Point)


def _pass_by(point: Point) -> None:
    """Do nothing: no crash is asked for."""


def _from_environment() -> Callable[[Point], None]:
    asked = os.environ.get(CRASH_AT, "")
    return crash.armed(asked, POINTS) if asked.partition(":")[0] in POINTS else _pass_by


crash_point: Callable[[Point], None] = _from_environment()
