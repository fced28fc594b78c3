"""Several coroutines that wait for trainings, in one thread and one event loop."""

import asyncio
import contextlib
import ctypes
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, TypeVar

T = TypeVar("T")
Job = Coroutine[object, object, T]
LOOK_EVERY_S: Final = 0.1
"""How often a notebook's thread looks whether it is to stop."""


def run_together(*jobs: Job[T]) -> list[T]:
    """Run coroutines to their ends and return their results in order; the first exception ends all.

    One that never waits is finished before the next begins.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(*jobs)
    # A notebook's cells run in an event loop, and a thread has room for one.
    loops: list[asyncio.AbstractEventLoop] = []
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(threading.get_ident).result()
        try:
            # All within: the stop may come before the pool has answered.
            future = pool.submit(_run, *jobs, on_loop=loops.append)
            # Not result() alone: Windows lets nothing interrupt it.
            while wait([future], LOOK_EVERY_S).not_done:
                pass
            return future.result()
        except KeyboardInterrupt as e:
            # The notebook's stop button reaches this thread alone.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(type(e)))
            # A loop that waits for workers sees it once it is woken.
            for loop in loops:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(lambda: None)
            raise


def _run(*jobs: Job[T], on_loop: Callable[[asyncio.AbstractEventLoop], None] = lambda loop: None) -> list[T]:
    async def gather() -> list[T]:
        return await asyncio.gather(*jobs)

    # Not asyncio.run(): it would keep Ctrl-C from a training in this process until that one ends.
    with asyncio.Runner() as runner:
        on_loop(runner.get_loop())
        return runner.get_loop().run_until_complete(gather())


async def wait_for(future: "Future[T]") -> "Future[T]":
    """Return a future once it is done, whatever became of it; where it is, no other job gets its turn."""
    if not future.done():
        with contextlib.suppress(Exception):
            await asyncio.shield(asyncio.wrap_future(future))
    return future
