"""Several jobs that wait for trainings, in one thread: generators in, each yields a future when it has to wait."""

from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

T = TypeVar("T")

Steps = Generator["Future[Any]", None, T]
"""A job in steps: yields a future that is not done yet, is continued when it is, returns its result."""


def wait_for(future: "Future[Any]") -> Steps[None]:
    """Wait for a future, which may be done."""
    if not future.done():
        yield future


def finish_all(jobs: Sequence[Steps[T]]) -> list[T]:
    """Bring all jobs to their ends, each as far as it gets whenever it can go on; return their results in order.

    A job that never waits is finished before the next begins. The first exception ends all.
    """
    results: dict[int, T] = {}
    waiting: dict[int, Future[Any]] = {}
    ready = list(range(len(jobs)))
    try:
        while ready or waiting:
            for i in ready:
                try:
                    waiting[i] = next(jobs[i])
                except StopIteration as end:
                    results[i] = end.value
                    waiting.pop(i, None)
            if waiting:
                wait(list(waiting.values()), return_when=FIRST_COMPLETED)
            ready = [i for i, future in waiting.items() if future.done()]
    finally:
        for job in jobs:
            job.close()
    return [results[i] for i in range(len(jobs))]
