"""Signals: Ctrl-C in, an event out that asks for a normal end; by a file also in processes on other machines."""

import logging
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from emoscope.core.files import open_atomic

POLL_S = 0.5

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


@contextmanager
def tell_by_file(stop: threading.Event, folder: Path) -> Iterator[Path]:
    """Yield a file that appears in a folder once an event is set, for heed_file() in other processes."""
    path, over = folder / f".emoscope-stop-{uuid.uuid4().hex}", threading.Event()

    def watch() -> None:
        while not over.wait(POLL_S):
            if stop.is_set():
                with open_atomic(path):
                    pass
                return

    try:
        with _run_beside(watch, over):
            yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def heed_file(path: Path) -> Iterator[threading.Event]:
    """Yield an event that is set once a file is there."""
    stop, over = threading.Event(), threading.Event()
    if path.exists():
        stop.set()

    def watch() -> None:
        while not (over.wait(POLL_S) or stop.is_set()):
            if path.exists():
                stop.set()

    with _run_beside(watch, over):
        yield stop


@contextmanager
def _run_beside(watch: Callable[[], None], over: threading.Event) -> Iterator[None]:
    """Run a watcher in a thread while the block runs; `over` ends it."""
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
