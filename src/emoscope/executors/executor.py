"""Executors: a function and items in, futures out; in this process, in several of this machine, or on a Ray cluster.

A function is called as `function(shared, item)`: what all items share goes to each worker once. It must be importable
by its name, since other processes import it. What it raises comes back as it is; a worker that dies is replaced and its
item tried again, so a function must be able to go on where a dead one left off.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any, Literal, Protocol

from emoscope.core.errors import EmoscopeError, InputError, MissingExtraError

MAX_RETRIES = 4
"""How often an item whose worker died is tried again, each time by another worker."""

Kind = Literal["local", "ray"]
Call = Callable[[Any, Any], Any]


class WorkerDiedError(EmoscopeError):
    """An item whose workers died again and again: too little memory, or a library that crashes on it."""

    exit_code = 1
    http_status = 500


@dataclass(frozen=True)
class Resources:
    """What one item occupies while it is worked on."""

    cpus: float = 1
    """Cores; a training uses as many threads."""
    gpus: float = 0
    """Accelerators; 0.5 lets two share one."""


class Executor(Protocol):
    """Where items are worked on."""

    n_slots: int
    """How many at once."""
    is_here: bool
    """Whether submit() itself does the work, in this process: callbacks reach the caller, and Ctrl-C the work."""

    def submit(self, function: Call, item: Any) -> "Future[Any]":
        """Have function(shared, item) called; the future gives what it returns or raises."""


class HereExecutor:
    """One after the other in this process."""

    n_slots = 1
    is_here = True

    def __init__(self, shared: Any) -> None:
        self.shared = shared

    def submit(self, function: Call, item: Any) -> "Future[Any]":
        """Call the function at once; the future is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(self.shared, item))
        except Exception as e:
            future.set_exception(e)
        return future


class PoolExecutor:
    """Several processes of this machine.

    Each slot is a pool of one process: when a process dies, it is known which item was its last, and no other item has
    to be done again. Processes are not renewed after a number of items: CPython 3.11 can hang then.
    """

    is_here = False

    def __init__(self, shared: Any, n_slots: int) -> None:
        self.n_slots = n_slots
        self._shared = shared
        self._threads = ThreadPoolExecutor(n_slots, "emoscope-slot")
        self._own = threading.local()
        self._slots: list[ProcessPoolExecutor] = []

    def submit(self, function: Call, item: Any) -> "Future[Any]":
        """Have the next free process call the function."""
        return self._threads.submit(self._run, function, item)

    def _run(self, function: Call, item: Any) -> Any:
        for _ in range(MAX_RETRIES + 1):
            if getattr(self._own, "slot", None) is None:
                start = (self._shared,)
                self._own.slot = ProcessPoolExecutor(1, get_context("spawn"), initializer=_set_up, initargs=start)
                self._slots.append(self._own.slot)
            try:
                return self._own.slot.submit(_call, function, item).result()
            except BrokenProcessPool:
                self._own.slot = None
        raise explain_death(item)

    def close(self) -> None:
        """End the processes; items that have not begun are dropped."""
        self._threads.shutdown(cancel_futures=True)
        for slot in self._slots:
            slot.shutdown()


_shared: Any = None


def _set_up(shared: Any) -> None:
    """Prepare a process of a pool."""
    global _shared
    _shared = shared
    # Ctrl-C in a terminal goes to every process; what it means is the first one's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(function: Call, item: Any) -> Any:
    return function(_shared, item)


def explain_death(item: Any, error: Exception | None = None) -> WorkerDiedError:
    """Return the error of an item whose retries are used up."""
    why = f": {' '.join(str(error).split())[:160]}" if error else ""
    return WorkerDiedError(
        f"{item} was given up: its worker died {MAX_RETRIES + 1} times{why}; look for too little memory"
    )


@contextlib.contextmanager
def open_executor(
    kind: Kind = "local",
    *,
    shared: Any = None,
    workers: int = 1,
    address: str | None = None,
    resources: Resources | None = None,
) -> Iterator[Executor]:
    """Yield an executor and end it afterwards.

    Args:
        kind: `local` or `ray`.
        shared: the first argument of every call.
        workers: processes of a local one; 1 works in this process.
        address: of a running Ray cluster, `HOST:PORT` or `auto`; None starts a Ray on this machine.
        resources: what one item occupies on Ray.

    Raises:
        InputError: the address does not answer, or no machine there has the resources.
        MissingExtraError: Ray is not installed.
    """
    if kind == "ray":
        if find_spec("ray") is None:
            raise MissingExtraError.create("Ray is not installed", "ray", ", or leave out --executor")
        from emoscope.executors.ray import RayExecutor, open_ray

        with open_ray(address):
            yield RayExecutor(shared, resources or Resources())
        return
    if address is not None:
        raise InputError(f"the address {address} is that of a Ray cluster; add --executor ray")
    if workers == 1:
        yield HereExecutor(shared)
        return
    pool = PoolExecutor(shared, workers)
    try:
        yield pool
    finally:
        pool.close()


def map_unordered(executor: Executor, function: Call, items: Iterable[Any]) -> "Iterator[tuple[Any, Future[Any]]]":
    """Yield each item with its done future as soon as it is, a few slots' worth of items under way."""
    limit = 1 if executor.is_here else 4 * executor.n_slots
    pending: dict[Future[Any], Any] = {}
    for item in items:
        pending[executor.submit(function, item)] = item
        if len(pending) >= limit:
            yield from _take_done(pending)
    while pending:
        yield from _take_done(pending)


def _take_done(pending: "dict[Future[Any], Any]") -> "Iterator[tuple[Any, Future[Any]]]":
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        yield pending.pop(future), future
