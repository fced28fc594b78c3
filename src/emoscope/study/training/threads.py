"""Threads of a training: a number in; sums that come out in the same order whatever the environment says."""

import contextlib
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits


@contextlib.contextmanager
def limit_threads(n: int) -> Iterator[None]:
    """Compute with n threads in the block, torch and the linear algebra of numpy and scipy; 0: as many as torch has.

    Sums that several threads share are rounded otherwise for another number of them, and a training amplifies that.
    """
    before = torch.get_num_threads()
    n = n or before
    torch.set_num_threads(n)
    try:
        with threadpool_limits(n, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
