"""Opening an executor by its name."""

import contextlib
import math
import os
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
    n_gpus: int = 0,
) -> Iterator[Executor]:
    """Yield an executor and end it afterwards.

    Args:
        kind: `local` or `ray`.
        shared: the first argument of every call.
        workers: processes of a local one; 1 works in this process.
        address: of a running Ray cluster, `HOST:PORT` or `auto`; None starts a Ray on this machine.
        resources: what one item occupies; by default no accelerator.
        n_gpus: accelerators of this machine, which are handed out to its workers.

    Raises:
        InputError: the address does not answer, no machine there has the resources, or more workers than accelerators.
        MissingExtraError: Ray is not installed.
    """
    if kind == "ray":
        if find_spec("ray") is None:
            raise MissingExtraError.create("Ray is not installed", "ray", ", or leave out --executor")
        from emoscope.executors.ray import RayExecutor, open_ray

        with open_ray(address):
            yield RayExecutor(shared, resources or Resources(gpus=0))
        return
    if address is not None:
        raise InputError(f"the address {address} is that of a Ray cluster; add --executor ray")
    if workers == 1:
        yield HereExecutor(shared)
        return
    pool = PoolExecutor(shared, workers, share_out(workers, n_gpus, resources) if n_gpus else None)
    try:
        yield pool
    finally:
        pool.close()


def share_out(workers: int, n_gpus: int, resources: Resources | None) -> list[str]:
    """Return what each worker is to see of this machine's accelerators: a value of CUDA_VISIBLE_DEVICES.

    Raises:
        InputError: there are not so many.
    """
    per_item = resources.gpus if resources and resources.gpus is not None else 1.0
    if per_item and (most := int(n_gpus / per_item)) < workers:
        raise InputError(
            f"{n_gpus} accelerators at {per_item:g} each do for {most} workers, not {workers}; lower --workers, or let "
            "several share one by `resources: {gpus: 0.5}` in the study file"
        )
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if len(names) < n_gpus:
        names = [str(i) for i in range(n_gpus)]
    # Whole ones side by side; those that share one need not begin at its edge.
    n = max(1, math.ceil(per_item)) if per_item else 0
    firsts = [i * n if per_item >= 1 else int(i * per_item) for i in range(workers)]
    return [",".join(names[first : first + n]) for first in firsts]
