"""Opening an executor by its name."""

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Literal

from emoscope.core.errors import InputError, MissingExtraError
from emoscope.executors.executor import Executor, Resources
from emoscope.executors.local import HereExecutor, PoolExecutor

Kind = Literal["local", "ray"]


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
        if find_spec("ray") is None:
            raise MissingExtraError.create("Ray is not installed", "ray", ", or leave out --executor")
        from emoscope.executors.ray import RayExecutor, open_ray

        with open_ray(address):
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
