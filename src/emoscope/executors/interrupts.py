"""Signals: Ctrl-C in, an event out that asks for a normal end; by a file also in processes on other machines."""

import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from emoscope.core.files import open_atomic

POLL_S = 0.5
END_S = 3.0
"""How long a second signal waits for the main thread to end in good order."""

log = logging.getLogger(__name__)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C, or a polite kill, sets.

    The first one is answered with what happens now; the second one ends the program, even where it is stuck in code
    that does not know of signals. What was there before is whole then, and what is half written is put in order by the
    next command.
    """
    stop = threading.Event()
    count = 0

    def take(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        stop.set()
        if count > 1:
            raise KeyboardInterrupt
        log.warning("ending: what was read is written; Ctrl-C once more ends at once, without it")

    # Python lets only the main thread take signals.
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    earlier = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _end_at_second():
            yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def _end_at_second() -> Iterator[None]:
    """End the process soon after a second signal, whatever its main thread does.

    Python calls handlers between two of its own steps, and a damaged network may never come to the next; but the
    number of every signal goes into a pipe at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    earlier = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    is_over = threading.Event()

    def watch() -> None:
        count = 0
        while data := os.read(reader, 16):
            count += sum(number in (signal.SIGINT, signal.SIGTERM) for number in data)
            if count > 1 and not is_over.wait(END_S):
                os._exit(130)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        signal.set_wakeup_fd(earlier)
        os.close(writer)
        watcher.join()
        os.close(reader)


@contextmanager
def signal_by_file(stop: threading.Event, folder: Path) -> Iterator[Path]:
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
