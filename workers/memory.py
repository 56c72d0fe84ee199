"""What a worker asks of the C library: one arena for all its threads."""

import ctypes

_ARENAS_MAX = -8  # M_ARENA_MAX of glibc's mallopt


def share_one_arena() -> None:
    """Have all threads allocate from one arena; does nothing where the C library has no such setting.

    One for each thread that sends rows would keep what its largest block took (docs/decisions/0160).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENAS_MAX, 1)
