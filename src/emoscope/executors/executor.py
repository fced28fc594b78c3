"""Executors: a function and items in, futures out; in this process, in several of this machine, or on a Ray cluster.

A function is called as `function(shared, item)`: what all items share goes to each worker once. It must be importable
by its name, since other processes import it. What it raises comes back as it is; a worker that dies is replaced and its
item tried again, so a function must be able to go on where a dead one left off.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

from annotated_types import Interval

from emoscope.core.errors import EmoscopeError, shorten

MAX_RETRIES = 4
"""How often an item whose worker died is tried again, each time by another worker."""

Call = Callable[[Any, Any], Any]


class WorkerDiedError(EmoscopeError):
    """An item whose workers died again and again: too little memory, or a library that crashes on it."""

    exit_code = 1
    http_status = 500


@dataclass(frozen=True)
class Resources:
    """What one item occupies while it is worked on."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    cpus: Annotated[float, Interval(ge=1, le=1024)] = 1
    """Cores; a training has as many threads, and with more than one they are part of its run's name."""
    gpus: Annotated[float, Interval(ge=0, le=64)] | None = None
    """Accelerators; 0.5 lets two share one. By default one where there are any, which no other shares."""

    @property
    def n_threads(self) -> int:
        """Whole cores."""
        return int(self.cpus)


class Executor(Protocol):
    """Where items are worked on."""

    n_slots: int
    """How many at once."""
    is_here: bool
    """Whether submit() itself does the work, in this process: callbacks reach the caller, and Ctrl-C the work."""

    def submit(self, function: Call, item: Any) -> "Future[Any]":
        """Have function(shared, item) called; the future gives what it returns or raises."""


def explain_death(item: object, error: Exception | None = None) -> WorkerDiedError:
    """Return the error of an item whose retries are used up."""
    why = f": {shorten(error, 160)}" if error else ""
    return WorkerDiedError(
        f"{item} was given up: its worker died {MAX_RETRIES + 1} times{why}; look for too little memory"
    )


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
