"""How a process kills itself at a named point, so that a test can crash it exactly there."""

import os
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

from schemas.settings import CRASH_AT

Point = TypeVar("Point", bound=str)


def armed(spec: str, points: Sequence[Point]) -> Callable[[Point], None]:
    """Return the function that crashes at "point" or "point:n". Raises ValueError."""
    name, _, nth = spec.partition(":")
    if name not in points:
        raise ValueError(f"{CRASH_AT}: {name} is not one of {', '.join(points)}")
    left = int(nth or 1)

    def crash(point: Point) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return crash
