"""Ray as an executor: the same items as tasks of a cluster, or of a Ray that is started here."""

import contextlib
import dataclasses
import logging
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from emoscope.core.errors import InputError, shorten
from emoscope.executors import executor as executors

ADDRESS_TIMEOUT_S = 5.0
"""Ray itself tries for more than three minutes, and ends the process then."""
OBJECT_STORE_BYTES = 256 * 2**20
"""Of a Ray that is started here: FER2013 has 83 MB. By default Ray takes a third of the memory."""


class RayExecutor:
    """Tasks on a Ray cluster, or on a Ray that is started here; use it within open_ray()."""

    is_here = False

    def __init__(self, shared: Any, resources: executors.Resources) -> None:
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        if resources.gpus is None:
            has_gpus = any(node["Alive"] and node["Resources"].get("GPU", 0) >= 1 for node in nodes)
            resources = dataclasses.replace(resources, gpus=int(has_gpus))
        self.n_slots = _count_slots(nodes, resources)
        self._shared = ray.put(shared)
        self._task = ray.remote(
            num_cpus=resources.cpus, num_gpus=resources.gpus or 0, max_retries=executors.MAX_RETRIES
        )(_call_remotely)

    def submit(self, function: executors.Call, item: Any) -> "Future[Any]":
        """Queue a task; a dead worker's or machine's is done again by another."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()

        def hand_over(done: "Future[tuple[Any, Exception | None]]") -> None:
            try:
                value, error = done.result()
            # Ray's own errors: all retries failed, or its connection is gone.
            except Exception as e:
                value, error = None, executors.explain_death(item, e)
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        self._task.remote(function, self._shared, item).future().add_done_callback(hand_over)
        return future


def _call_remotely(function: executors.Call, shared: Any, item: Any) -> tuple[Any, Exception | None]:
    # Returned, not raised: Ray would put its traceback into the message.
    try:
        return function(shared, item), None
    except Exception as e:
        return None, e


def _count_slots(nodes: list[dict[str, Any]], resources: executors.Resources) -> int:
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
            f"no machine of the Ray cluster has {resources.cpus:g} CPU and {resources.gpus or 0:g} GPU at once "
            f"(the most are {most}); ask for less under `resources`"
        )
    return slots


@contextlib.contextmanager
def open_ray(address: str | None) -> Iterator[None]:
    """Connect to Ray, or start it.

    Raises:
        InputError: the address does not answer.
    """
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
            f"Ray cannot be used at {address or 'this machine'} ({shorten(e)}); name the address "
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
