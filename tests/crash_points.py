"""Puts another function where a worker's code has `crash_point`, in every module that has one."""

from collections.abc import Callable

import pytest

from workers import inserts, mending, pipeline, sink
from workers.crash import Point

_MODULES = (pipeline, sink, inserts, mending)


def arm(act: Callable[[Point], None], patch: pytest.MonkeyPatch | None = None) -> None:
    """Have `act` called at each point; with `patch` until that is undone."""
    for module in _MODULES:
        if patch is None:
            module.crash_point = act  # type: ignore[attr-defined]
        else:
            patch.setattr(module, "crash_point", act)
