"""Faces of one size: pictures one after the other in, an array out; sizes that differ are brought to one, and said."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.faces.preprocess import resize
from emoscope.study.data.dataset import MAX_SIDE_PX, MIN_SIDE_PX, SIDE_PX


class FaceStack:
    """Keeps faces as they are while all are squares of one side; else all have `size_px`."""

    def __init__(self, size_px: int = 0) -> None:
        """Begin an empty one.

        Args:
            size_px: side that all faces are brought to; 0: their own where they share one, else SIDE_PX.

        Raises:
            InputError: no faces of this side are kept.
        """
        if size_px and not MIN_SIDE_PX <= size_px <= MAX_SIDE_PX:
            raise InputError(f"--size is {size_px}, expected {MIN_SIDE_PX} to {MAX_SIDE_PX}; 48 is FER2013's")
        self.size_px = size_px
        self.faces: list[NDArray[np.uint8]] = []
        self.sizes: dict[tuple[int, int], int] = {}
        """How many pictures of each width and height came."""
        self.n_resized = 0

    def add(self, face: NDArray[np.uint8]) -> None:
        """Take a grey face (h, w)."""
        h, w = face.shape
        self.sizes[w, h] = self.sizes.get((w, h), 0) + 1
        if not self.size_px and (len(self.sizes) > 1 or h != w or not MIN_SIDE_PX <= h <= MAX_SIDE_PX):
            self.size_px = SIDE_PX
            # One at a time: a large set must not be in memory twice.
            for i, earlier in enumerate(self.faces):
                self.faces[i] = self._resize(earlier)
        self.faces.append(self._resize(face) if self.size_px else face)

    def _resize(self, face: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.n_resized += face.shape != (self.size_px, self.size_px)
        return resize(face, self.size_px)

    def stack(self) -> NDArray[np.uint8]:
        """Return all faces (n, s, s)."""
        return np.stack(self.faces)

    def describe(self) -> Iterator[str]:
        """Yield a line about faces that were brought to another size."""
        if not self.n_resized:
            return
        sizes = sorted(self.sizes, key=lambda size: size[0] * size[1])
        texts = [f"{w} x {h}" for w, h in (sizes[0], sizes[-1])]
        came = f"of {texts[0]} px" if len(sizes) == 1 else f"of {len(sizes)} sizes, {texts[0]} to {texts[1]} px,"
        yield (
            f"{self.n_resized} pictures {came} were brought to {self.size_px} x {self.size_px} px (smaller by area "
            "averaging, larger bilinearly); --size sets another side"
        )
