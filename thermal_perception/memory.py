"""How the C library treats memory that a network gives back after every layer."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # malloc.h of glibc


def keep_freed_memory() -> bool:
    """Keep freed memory for the next frame instead of returning it; for this whole process.

    glibc maps large tensors afresh for every layer and trims the heaps of threads at once, so that
    a sixth of the time of a frame went into page faults. Resident memory then stays at its peak.
    Call it before any thread is started, also before NumPy is imported: threads that exist keep
    heaps of their own. Returns False where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return all((mallopt(_M_ARENA_MAX, 1), mallopt(_M_MMAP_MAX, 0),
                mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)))
