"""Native libraries: how many threads they take, and what they print by themselves."""

import contextlib
import logging
import os
import sys
from typing import Final

M_ARENA_MAX: Final = -8
"""malloc.h's number for the most arenas."""


def set_up_libraries() -> None:
    """Bring native libraries into line: one thread in OpenCV, and nothing of theirs on stderr unless with -v.

    Stages already share the cores among them: more threads within one cost more than they bring. libpng and others
    comment on damaged media on the process's stderr, which Python keeps for itself.
    """
    import cv2

    cv2.setNumThreads(1)
    _share_arena()
    logger = logging.getLogger("emoscope")
    if logger.isEnabledFor(logging.INFO) or sys.stderr is not sys.__stderr__ or sys.stderr is None:
        return
    sys.stderr.flush()
    # libpng and others print by themselves: there is no setting, only the descriptor.
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    sys.stderr = os.fdopen(kept, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


def _share_arena() -> None:
    """Let all threads take memory from one place: each of its own keeps the largest pictures that it ever held."""
    import ctypes

    # glibc's alone; see mallopt(3).
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def return_memory() -> None:
    """Give what is free back to the system; the library keeps it otherwise, in case that it is wanted again."""
    import ctypes

    # glibc's alone; see malloc_trim(3).
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def count_cores() -> int:
    """Return how many processor cores this process may use."""
    # Not everywhere: macOS and Windows have none.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
