"""Signals: Ctrl-C in, an event out that asks for a normal end."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C, or a polite kill, sets.

    A nervous second one must not throw away what the first one asked to be written: it is answered with a warning,
    the third one ends the program.
    """
    stop = threading.Event()
    count = 0

    def take(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        stop.set()
        if count == 2:
            log.warning("writing the results; press Ctrl-C once more to throw them away")
        elif count > 2:
            raise KeyboardInterrupt

    # Python lets only the main thread take signals.
    is_main = threading.current_thread() is threading.main_thread()
    earlier = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)} if is_main else {}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
