"""Executors: a function and items in, futures out; in this process, in several of this machine, or on a Ray cluster.

A function is called as `function(shared, item)`: what all items share goes to each worker once. It must be importable
by its name, since other processes import it. What it raises comes back as it is; a worker that dies is replaced and its
item tried again, so a function must be able to go on where a dead one left off.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any, Literal, Protocol

from emoscope.errors import EmoscopeError, InputError, MissingExtraError

MAX_RETRIES = 4
"""How often an item whose worker died is tried again, each time by another worker."""
ADDRESS_TIMEOUT_S = 5.0
"""Ray itself tries for more than three minutes, and ends the process then."""
OBJECT_STORE_BYTES = 256 * 2**20
"""Of a Ray that is started here: FER2013 has 83 MB. By default Ray takes a third of the memory."""

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
        raise _explain_death(item)

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


class RayExecutor:
    """Tasks on a Ray cluster, or on a Ray that is started here; use it within open_ray()."""

    is_here = False

    def __init__(self, shared: Any, resources: Resources) -> None:
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        self.n_slots = _count_slots(nodes, resources)
        self._shared = ray.put(shared)
        self._task = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=MAX_RETRIES)(
            _call_remotely
        )

    def submit(self, function: Call, item: Any) -> "Future[Any]":
        """Queue a task; a dead worker's or machine's is done again by another."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()

        def hand_over(done: "Future[tuple[Any, Exception | None]]") -> None:
            try:
                value, error = done.result()
            # Ray's own errors: all retries failed, or its connection is gone.
            except Exception as e:
                value, error = None, _explain_death(item, e)
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        self._task.remote(function, self._shared, item).future().add_done_callback(hand_over)
        return future


def _call_remotely(function: Call, shared: Any, item: Any) -> tuple[Any, Exception | None]:
    # Returned, not raised: Ray would put its traceback into the message.
    try:
        return function(shared, item), None
    except Exception as e:
        return None, e


def _explain_death(item: Any, error: Exception | None = None) -> WorkerDiedError:
    why = f": {' '.join(str(error).split())[:160]}" if error else ""
    return WorkerDiedError(
        f"{item} was given up: its worker died {MAX_RETRIES + 1} times{why}; look for too little memory"
    )


def _count_slots(nodes: list[dict[str, Any]], resources: Resources) -> int:
    """Return how many items a cluster works on at once.

    Raises:
        InputError: no machine has what one item asks for, so it would wait for ever.
    """
    wanted = {key: n for key, n in (("CPU", resources.cpus), ("GPU", resources.gpus)) if n}
    found = [node["Resources"] for node in nodes if node["Alive"]]
    slots = sum(int(min((node.get(key, 0) / n for key, n in wanted.items()), default=1)) for node in found)
    if not slots:
        most = ", ".join(f"{max(node.get(key, 0) for node in found):g} {key}" for key in ("CPU", "GPU"))
        raise InputError(
            f"no machine of the Ray cluster has {resources.cpus:g} CPU and {resources.gpus:g} GPU at once "
            f"(the most are {most}); ask for less under `resources`"
        )
    return slots


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
        with _open_ray(address):
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


@contextlib.contextmanager
def _open_ray(address: str | None) -> Iterator[None]:
    """Connect to Ray, or start it."""
    if find_spec("ray") is None:
        raise MissingExtraError(
            "Ray is not installed; install it: pip install 'emoscope[ray]', or leave out --executor"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # With its present default Ray hides no accelerator from a task that asks for none, and warns about it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # It prints on stdout that a worker died, amid our JSON; what becomes of it is ours to tell.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    import ray

    if ray.is_initialized():
        yield
        return
    if address is not None:
        _check_address(address)
    own: dict[str, Any] = {} if address else {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        # SystemExit is what Ray ends a driver with that cannot connect.
        ray.init(address or "local", logging_level=logging.ERROR, log_to_driver=False, configure_logging=False, **own)
    except (Exception, SystemExit) as e:
        raise InputError(
            f"Ray cannot be used at {address or 'this machine'} ({' '.join(str(e).split())[:200]}); name the address "
            "that `ray start --head` printed, such as 192.168.1.5:6379"
        ) from e
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Check that something answers at an address.

    Raises:
        InputError: it is no address, or nothing does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not colon or not port.isdigit():
        raise InputError(f"{address!r} is no address of a Ray cluster, expected HOST:PORT such as 192.168.1.5:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ADDRESS_TIMEOUT_S).close()
    except (OSError, OverflowError) as e:
        raise InputError(
            f"no Ray cluster answers at {address} ({e}); start one with `ray start --head` and name what it prints"
        ) from e


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
