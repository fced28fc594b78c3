"""What the stages hand to each other, Frame and Faces; validated once, when made."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.core.schema import (
    ATTENTION,
    QUALITY,
)

Image = NDArray[np.uint8]
"""(h, w, 3) uint8, BGR."""


@runtime_checkable
class Deferred(Protocol):
    """An image that is converted where it is looked at: a large frame of a video."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(h, w, 3)."""
        ...

    @property
    def nbytes(self) -> int:
        """What it takes in memory, as it is."""
        ...

    def __getitem__(self, part: tuple[slice, slice]) -> Image:
        """Return a part, rows and columns as of an array."""
        ...

    def prepare(self, n_parts: int) -> None:
        """Expect that so many parts are looked at."""
        ...

    def reduce(
        self,
        part: tuple[slice, slice],
        step: int,
        reduce: Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]],
    ) -> Image:
        """Return a part, made smaller by a power of two; reduce makes a plane (h, w) smaller."""
        ...

    def shrink(
        self, size_wh: tuple[int, int], resize: Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]
    ) -> Image:
        """Return all of it as a smaller image, by a pixel at most larger; resize makes a plane (h, w) smaller."""
        ...


Raster = Image | Deferred
"""An image, or one that is not converted yet; both are cut by rows and columns."""


@dataclass(frozen=True, repr=False, init=False)
class Frame:
    """One picture of a source.

    Examples:
        >>> emoscope.Frame(image, index=12, time_s=0.48, source="clip.mp4")
        Frame(512 x 512, index=12, time_s=0.48, source='clip.mp4')
    """

    raster: Raster
    """(h, w, 3) uint8, BGR, upright; large frames of a video are not converted yet."""
    index: int
    """Number within the source, counted from 0; frames that are not analysed count too."""
    time_s: float
    """What a player's clock shows; 0 for pictures."""
    source: str
    """File that the picture comes from."""
    shot: int
    """Number of the film's shot in what is analysed of it, from 1."""
    n_breaks: int
    """So many times all of the picture has changed before: across a change people are known by their looks only."""
    is_blend: bool
    """Whether it may show two shots at once."""

    def __init__(
        self,
        image: Raster,
        index: int = 0,
        time_s: float = 0.0,
        source: str = "",
        shot: int = 1,
        n_breaks: int = 0,
        is_blend: bool = False,
    ) -> None:
        """Check the image.

        Raises:
            InputError: it is not (h, w, 3) uint8; convert it.
        """
        if isinstance(image, np.ndarray):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
                raise InputError(
                    f"an image is {image.dtype} of shape {image.shape}, expected uint8 (h, w, 3) in BGR order; "
                    "convert it"
                )
        elif not isinstance(image, Deferred):
            raise InputError(f"an image is {type(image).__name__}, expected an array uint8 (h, w, 3) in BGR order")
        # Written by hand: whoever makes a frame calls it `image`, which is also the array that is made of it later.
        for name, value in zip(
            self.__dataclass_fields__, (image, index, time_s, source, shot, n_breaks, is_blend), strict=True
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        w, h = self.size_wh
        return f"Frame({w} x {h}, index={self.index}, time_s={self.time_s:g}, source={self.source!r})"

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.raster.shape[1], self.raster.shape[0]

    @cached_property
    def image(self) -> Image:
        """The image (h, w, 3) uint8, BGR, upright; converted now where it was not yet."""
        return self.raster[:, :]


FACE_SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "xyxy": (4,),
    "score": (),
    "track_id": (),
    "probabilities": (-1,),
    "smoothed": (-1,),
    "landmarks": (5, 2),
    "quality": (len(QUALITY),),
    "unreadable": (),
    "attention": (len(ATTENTION),),
    "kept": (),
}
"""What the parts of Faces have behind the number of faces; -1: one per class."""


@dataclass(frozen=True, repr=False)
class Faces:
    """The faces of one frame, a struct of arrays; no face is the normal case of n = 0.

    Examples:
        >>> faces = emoscope.analyze_image("portrait.png").faces
        >>> faces
        Faces(n=1, with track_id, probabilities)
        >>> faces.xyxy.shape, faces.probabilities.shape
        ((1, 4), (1, 7))
    """

    xyxy: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32))
    """(n, 4) boxes in pixels of the frame, exclusive end; may reach over the frame's edge."""
    score: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    """(n,) detection scores in 0..1; comparable only within one detector."""
    track_id: NDArray[np.int64] | None = None
    """(n,) person numbers from 1, after tracking."""
    probabilities: NDArray[np.float64] | None = None
    """(n, classes) calibrated, rows sum to 1, after recognition; seven unless the network has other classes."""
    smoothed: NDArray[np.float64] | None = None
    """(n, classes) probabilities smoothed over each person's time, where that was asked for."""
    landmarks: NDArray[np.float32] | None = None
    """(n, 5, 2) in pixels of the frame: right eye, left eye, tip of the nose, right and left corner of the mouth (the
    person's right); where the detector tells them."""
    quality: NDArray[np.float64] | None = None
    """(n, 6) how each face can be seen, as schema.QUALITY lists it; NaN where that is not known."""
    attention: NDArray[np.float64] | None = None
    """(n, 6) how each head is held, as schema.ATTENTION lists it, where that was asked for; NaN where the mesh finds no
    face."""
    unreadable: NDArray[np.bool_] | None = None
    """(n,) whether a face is beyond what the model was measured to read."""
    kept: NDArray[np.bool_] | None = None
    """(n,) whether a face kept another frame's reading, where reading was adaptive."""

    def __post_init__(self) -> None:
        """Check that all parts speak of the same n faces.

        Raises:
            InputError: they do not.
        """
        n = len(self.xyxy)
        of_classes = (part for part in (self.probabilities, self.smoothed) if part is not None and part.ndim == 2)
        n_classes = next((part.shape[1] for part in of_classes), len(EMOTIONS))
        for name, shape in FACE_SHAPES.items():
            part = getattr(self, name)
            expected = (n, *(n_classes if axis < 0 else axis for axis in shape))
            if part is not None and part.shape != expected:
                raise InputError(f"{name} of the faces has shape {part.shape}, expected {expected}")

    def __len__(self) -> int:
        return len(self.xyxy)

    def __repr__(self) -> str:
        parts = [part for part in ("track_id", "probabilities", "smoothed") if getattr(self, part) is not None]
        return f"Faces(n={len(self)}{', with ' if parts else ''}{', '.join(parts)})"

    def replace(self, **parts: Any) -> "Faces":
        """Return a copy with some parts set."""
        return replace(self, **parts)
