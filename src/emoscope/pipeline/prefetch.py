"""Running ahead: an iterator in, the same items out, made by a thread while the caller works on earlier ones."""

import collections
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_ITEMS = 8
MAX_BYTES = 12_000_000
"""Frames wait in memory: three of 1920 x 1080, one of 3840 x 2160, eight of small ones."""


class Ahead(Generic[T]):
    """Takes items from an iterator in a thread of its own, a bounded number ahead; a context that ends the thread.

    OpenCV, ONNX Runtime and FFmpeg release Python's lock while they compute, so stages run at the same time.
    """

    def __init__(self, items: Iterator[T], measure: Callable[[T], int] = lambda item: 0) -> None:
        """Start.

        Args:
            items: taken in the thread alone; closed there if it is a generator.
            measure: bytes of an item; no more than MAX_BYTES wait, or a single item if it is larger.
        """
        self.items, self.measure = items, measure
        self.waiting: collections.deque[tuple[T, int]] = collections.deque()
        self.n_bytes = 0
        self.n_wanted = 1
        self.is_done = self.is_closed = self.is_full = False
        self.error: BaseException | None = None
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            for item in self.items:
                if not self._put(item):
                    break
                # Large frames are not kept while the next is made; here and wherever else they pass.
                del item
        # Whatever it is, the caller's thread must learn of it.
        except BaseException as e:
            self.error = e
        finally:
            if isinstance(self.items, Generator):
                self.items.close()
            with self.changed:
                self.is_done = True
                self.changed.notify_all()

    def _put(self, item: T) -> bool:
        size = self.measure(item)
        with self.changed:
            while not (self.is_closed or self._has_room(size)):
                self.is_full = True
                self.changed.notify_all()
                self.changed.wait()
            self.waiting.append((item, size))
            self.n_bytes += size
            if len(self.waiting) >= self.n_wanted:
                self.changed.notify_all()
            # Of what is so large that one waits alone the next is not even made before it is taken.
            while size > MAX_BYTES and self.waiting and not self.is_closed:
                self.is_full = True
                self.changed.notify_all()
                self.changed.wait()
            return not self.is_closed

    def _has_room(self, size: int) -> bool:
        # A single item may be larger than the limit.
        return not self.waiting or (len(self.waiting) < MAX_ITEMS and self.n_bytes + size <= MAX_BYTES)

    def take(self, n: int) -> list[T]:
        """Return the next n items; fewer where no more can wait in memory or come, nothing at the end.

        Threads that wake each other for every item spend their time on that, and networks are faster on several.

        Raises:
            What the iterator raised, after its last item was taken.
        """
        with self.changed:
            self.n_wanted = n
            self.changed.wait_for(
                lambda: self.is_done or len(self.waiting) >= n or (self.is_full and len(self.waiting) > 0)
            )
            taken = [self.waiting.popleft() for _ in range(min(n, len(self.waiting)))]
            self.n_bytes -= sum(size for _, size in taken)
            if self.is_full:
                self.is_full = False
                self.changed.notify_all()
        if not taken and self.error is not None:
            raise self.error
        return [item for item, _ in taken]

    def __iter__(self) -> Iterator[T]:
        while items := self.take(4):
            while items:
                yield items.pop(0)

    def __enter__(self) -> "Ahead[T]":
        return self

    def __exit__(self, *error: object) -> None:
        with self.changed:
            self.is_closed = True
            self.waiting.clear()
            self.changed.notify_all()
        self.thread.join()
