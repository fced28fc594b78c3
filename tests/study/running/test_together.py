"""Coroutines that wait for trainings: their order, their failures, and Ctrl-C, also in a notebook's event loop."""

import _thread
import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from emoscope.study.running.together import run_together, wait_for


def call_here(function: Callable[[], object]) -> object:
    return function()


def call_in_a_notebook(function: Callable[[], object]) -> object:
    """Call as a notebook's cell does: from within a loop that runs."""

    async def cell() -> object:
        return function()

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(cell())
    finally:
        loop.close()


@pytest.fixture(params=[call_here, call_in_a_notebook])
def call(request: pytest.FixtureRequest) -> Callable[[Callable[[], object]], object]:
    found: Callable[[Callable[[], object]], object] = request.param
    return found


def test_jobs_take_turns_only_where_they_wait(call: Callable[[Callable[[], object]], object]) -> None:
    done: list[str] = []
    late: Future[str] = Future()
    ready: Future[str] = Future()
    ready.set_result("ready")

    async def wait(name: str, *futures: "Future[str]") -> str:
        for i, future in enumerate(futures):
            done.append(f"{name}{i}")
            assert (await wait_for(future)).done()
        return name

    async def end_it() -> str:
        late.set_exception(ValueError("no matter here: whoever waits looks at it"))
        return "end"

    assert call(lambda: run_together(wait("a", ready, late, ready), wait("b", ready, ready), end_it())) == [
        "a",
        "b",
        "end",
    ]
    assert done == ["a0", "a1", "b0", "b1", "a2"]


def test_the_first_failure_ends_all(call: Callable[[Callable[[], object]], object]) -> None:
    closed = threading.Event()

    async def wait() -> None:
        try:
            await wait_for(Future())
        finally:
            closed.set()

    async def fail() -> None:
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        call(lambda: run_together(wait(), fail()))
    assert closed.is_set()


def test_ctrl_c_ends_a_training(call: Callable[[Callable[[], object]], object]) -> None:
    async def train() -> None:
        threading.Thread(target=_thread.interrupt_main).start()
        while True:
            time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        call(lambda: run_together(train()))


def test_a_notebook_stops_while_it_waits_for_workers() -> None:
    async def wait() -> None:
        threading.Thread(target=_thread.interrupt_main).start()
        await wait_for(Future())

    with pytest.raises(KeyboardInterrupt):
        call_in_a_notebook(lambda: run_together(wait()))
