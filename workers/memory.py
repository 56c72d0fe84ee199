"""What a worker asks of the two that look after its memory: Python's collector, and the C library."""

import ctypes
import gc

_ARENAS_MAX = -8  # M_ARENA_MAX of glibc's mallopt


def settle() -> None:
    """Have the collector look seldom, and all threads allocate from one arena. Once all is imported.

    What start-up made lives until the end, and hardly anything that comes later is part of a cycle
    (docs/decisions/0153). An arena for each thread that sends rows would keep what its largest block took
    (docs/decisions/0160); where the C library has no such setting, nothing is asked of it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENAS_MAX, 1)
