"""Executors of this machine: the items one after the other in this process, or in several."""

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from emoscope.executors import executor
from emoscope.executors.executor import Call, explain_death

T = TypeVar("T")


class WorkerProcess:
    """One process that works on one item after the other, made anew when it died.

    It is a pool of one: when it breaks, it is known which item broke it. It is not renewed after a number of items:
    CPython 3.11 can hang then.
    """

    def __init__(self, set_up: Callable[..., None], *arguments: Any) -> None:
        """Say how a new process is prepared; it is started with the first item."""
        self._start = (set_up, *arguments)
        self._pool: ProcessPoolExecutor | None = None
        self._pid: Future[int] | None = None

    @property
    def pid(self) -> int:
        """Number of the process; 0 as long as it has not told."""
        is_known = self._pid is not None and self._pid.done() and self._pid.exception() is None
        return self._pid.result() if self._pid is not None and is_known else 0

    def revive(self) -> bool:
        """Start the process if there is none or if it died; tell whether it is a new one."""
        if self._pool is not None:
            # A broken pool says so only when it is asked to work.
            with contextlib.suppress(BrokenProcessPool):
                self._pool.submit(int)
                return False
            self.kill()
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_prepare, initargs=self._start)
        self._pid = self._pool.submit(os.getpid)
        return True

    def submit(self, function: Callable[..., T], *arguments: Any) -> "Future[T]":
        """Have a function called; the future raises BrokenProcessPool when the process dies of it."""
        if self._pool is not None:
            with contextlib.suppress(BrokenProcessPool):
                return self._pool.submit(function, *arguments)
        self.revive()
        assert self._pool is not None
        return self._pool.submit(function, *arguments)

    def kill(self) -> None:
        """End the process, whatever it does; the next item starts another."""
        if self._pool is None:
            return
        # 0 as long as it has not told: that would be this process's whole group.
        if pid := self.pid:
            with contextlib.suppress(ProcessLookupError):
                # Windows has no SIGKILL; its SIGTERM is one.
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._pid = None

    def close(self) -> None:
        """Let the process finish its item, then end it."""
        if self._pool is not None:
            self._pool.shutdown()


def _prepare(set_up: Callable[..., None], *arguments: Any) -> None:
    # Ctrl-C in a terminal goes to every process; what it means is the first one's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    set_up(*arguments)


def _end_with_parent() -> None:
    # A parent that is killed cannot end its processes.
    if parent := parent_process():
        parent.join()
        os._exit(1)


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

    A process each slot, so that no other item has to be done again when one dies.
    """

    is_here = False

    def __init__(self, shared: Any, n_slots: int, gpus: Sequence[str] | None = None) -> None:
        """Begin with no process yet.

        Args:
            shared: the first argument of every call.
            n_slots: processes.
            gpus: what each of them sees of the accelerators, a value of CUDA_VISIBLE_DEVICES; None: all of them.
        """
        self.n_slots = n_slots
        self._shared = shared
        self._gpus: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        for i in range(n_slots):
            self._gpus.put(gpus[i] if gpus else None)
        self._threads = ThreadPoolExecutor(n_slots, "emoscope-slot")
        self._own = threading.local()
        self._slots: list[WorkerProcess] = []

    def submit(self, function: Call, item: Any) -> "Future[Any]":
        """Have the next free process call the function."""
        return self._threads.submit(self._run, function, item)

    def _run(self, function: Call, item: Any) -> Any:
        if getattr(self._own, "slot", None) is None:
            self._own.slot = WorkerProcess(_set_up, self._shared, self._gpus.get())
            self._slots.append(self._own.slot)
        for _ in range(executor.MAX_RETRIES + 1):
            try:
                return self._own.slot.submit(_call, function, item).result()
            except BrokenProcessPool:
                self._own.slot.kill()
        raise explain_death(item)

    def close(self) -> None:
        """End the processes; items that have not begun are dropped."""
        self._threads.shutdown(cancel_futures=True)
        for slot in self._slots:
            slot.close()


_shared: Any = None


def _set_up(shared: Any, gpus: str | None) -> None:
    """Prepare a process of a pool."""
    global _shared
    _shared = shared
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus


def _call(function: Call, item: Any) -> Any:
    return function(_shared, item)
