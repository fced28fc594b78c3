"""Several coroutines that wait for trainings, in one thread and one event loop."""

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_together(*jobs: Coroutine[object, object, T]) -> list[T]:
    """Run coroutines to their ends and return their results in order; the first exception ends all.

    One that never waits is finished before the next begins.
    """

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
