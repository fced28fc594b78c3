"""Places that are held for long, counted in all and per client: event streams and live connections."""

import contextlib
from collections import Counter
from collections.abc import Iterator


class Places:
    """So many places; no client gets more than its share."""

    def __init__(self, limit: int, limit_per_client: int) -> None:
        self.limit, self.limit_per_client = limit, limit_per_client
        self.n_of: Counter[str] = Counter()

    @contextlib.contextmanager
    def hold(self, client: str) -> Iterator[bool]:
        """Hold a place while the block runs; yields False where there is none."""
        if self.n_of.total() >= self.limit or self.n_of[client] >= self.limit_per_client:
            yield False
            return
        self.n_of[client] += 1
        try:
            yield True
        finally:
            self.n_of[client] -= 1
            # Clients come and go.
            self.n_of += Counter()
