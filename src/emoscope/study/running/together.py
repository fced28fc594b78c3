"""Several coroutines that wait for trainings, in one thread and one event loop."""

import asyncio
import contextlib
import ctypes
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, TypeVar

T = TypeVar("T")
Job = Coroutine[object, object, T]
LOOK_EVERY_S: Final = 0.1
"""How often a notebook's threads look whether they are to stop."""


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
            # All within: the stop may come before the pool has answered.
            future = pool.submit(_run, *jobs, wakes=True)
            # Not result() alone: Windows lets nothing interrupt it.
            while wait([future], LOOK_EVERY_S).not_done:
                pass
            return future.result()
        except KeyboardInterrupt as e:
            # The notebook's stop button reaches this thread alone.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(type(e)))
            raise


def _run(*jobs: Job[T], wakes: bool = False) -> list[T]:
    async def wake() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)

    async def gather() -> list[T]:
        return await asyncio.gather(*jobs)

    # Not asyncio.run(): it would keep Ctrl-C from a training in this process until that one ends.
    with asyncio.Runner() as runner:
        # A loop that only waits for workers sees what another thread raised in this one when it wakes. That the other
        # wakes it is no way: Python 3.11 calls nothing there, while it is traced, until this thread has seen it.
        waking = runner.get_loop().create_task(wake()) if wakes else None
        results = runner.get_loop().run_until_complete(gather())
        if waking:
            waking.cancel()
        return results


async def wait_for(future: "Future[T]") -> "Future[T]":
    """Return a future once it is done, whatever became of it; where it is, no other job gets its turn."""
    if not future.done():
        with contextlib.suppress(Exception):
            await asyncio.shield(asyncio.wrap_future(future))
    return future
