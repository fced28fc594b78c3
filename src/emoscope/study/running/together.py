"""Several coroutines that wait for trainings, in one thread and one event loop."""

import asyncio
import contextlib
import ctypes
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
Job = Coroutine[object, object, T]


def run_together(*jobs: Job[T]) -> list[T]:
    """Run coroutines to their ends and return their results in order; the first exception ends all.

    One that never waits is finished before the next begins.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(*jobs)
    # A notebook's cells run in an event loop, and a thread has room for one.
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(threading.get_ident).result()
        try:
            # Both within: the stop may come before the pool has answered.
            return pool.submit(_run, *jobs).result()
        except KeyboardInterrupt as e:
            # The notebook's stop button reaches this thread alone.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(type(e)))
            raise


def _run(*jobs: Job[T]) -> list[T]:
    async def gather() -> list[T]:
        return await asyncio.gather(*jobs)

    # Not asyncio.run(): it would keep Ctrl-C from a training in this process until that one ends.
    with asyncio.Runner() as runner:
        return runner.get_loop().run_until_complete(gather())


async def wait_for(future: "Future[T]") -> "Future[T]":
    """Return a future once it is done, whatever became of it; where it is, no other job gets its turn."""
    if not future.done():
        with contextlib.suppress(Exception):
            await asyncio.shield(asyncio.wrap_future(future))
    return future
