"""What the stages hand to each other: Frame, Faces, FrameResult; validated once, when made."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError

Image = NDArray[np.uint8]
"""(h, w, 3) uint8, BGR."""


@dataclass(frozen=True)
class Frame:
    """One picture of a source."""

    image: Image
    """(h, w, 3) uint8, BGR, upright."""
    index: int = 0
    """Number within the source, counted from 0; frames that are not analysed count too."""
    time_s: float = 0.0
    """Presentation time in the container; 0 for pictures."""
    source: str = ""
    """File that the picture comes from."""

    def __post_init__(self) -> None:
        """Check the image.

        Raises:
            InputError: it is not (h, w, 3) uint8; convert it.
        """
        image = self.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InputError(
                f"an image is {image.dtype} of shape {image.shape}, expected uint8 (h, w, 3) in BGR order; convert it"
            )

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True)
class Faces:
    """The faces of one frame, a struct of arrays; no face is the normal case of n = 0."""

    xyxy: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32))
    """(n, 4) boxes in pixels of the frame, exclusive end; may reach over the frame's edge."""
    score: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    """(n,) detection scores in 0..1; comparable only within one detector."""
    track_id: NDArray[np.int64] | None = None
    """(n,) person numbers from 1, after tracking."""
    probabilities: NDArray[np.float64] | None = None
    """(n, 7) calibrated, rows sum to 1, after recognition."""
    smoothed: NDArray[np.float64] | None = None
    """(n, 7) probabilities smoothed over each person's time, where that was asked for."""

    def __post_init__(self) -> None:
        """Check that all parts speak of the same n faces.

        Raises:
            InputError: they do not.
        """
        n = len(self.xyxy)
        shapes = {"xyxy": (n, 4), "score": (n,), "track_id": (n,), "probabilities": (n, len(EMOTIONS))}
        shapes["smoothed"] = shapes["probabilities"]
        for name, shape in shapes.items():
            part = getattr(self, name)
            if part is not None and part.shape != shape:
                raise InputError(f"{name} of the faces has shape {part.shape}, expected {shape}")

    def __len__(self) -> int:
        return len(self.xyxy)

    def replace(self, **parts: Any) -> "Faces":
        """Return a copy with some parts set."""
        return replace(self, **parts)


@dataclass(frozen=True)
class Reading:
    """What each face of a frame shows, decided once: whatever speaks of a face says this and nothing else."""

    by: Literal["raw", "smoothed"]
    """Which probabilities decide: smoothed over the person's time where that was asked for, else this frame's."""
    probabilities: NDArray[np.float64]
    """(n, 7) those probabilities, in the order of EMOTIONS."""
    emotion: NDArray[np.int64]
    """(n,) index of the most probable emotion."""
    probability: NDArray[np.float64]
    """(n,) its probability."""
    uncertain: NDArray[np.bool_]
    """(n,) whether the network abstains: the probability is below the model's threshold."""

    @property
    def emotions(self) -> list[str]:
        """Each face's emotion by name."""
        return [EMOTIONS[i] for i in self.emotion.tolist()]


@dataclass(frozen=True)
class FrameResult:
    """What was read from one frame; it exists for every analysed frame, with a face or without."""

    index: int
    time_s: float
    source: str
    size_wh: tuple[int, int]
    faces: Faces
    """With track_id and probabilities."""
    uncertain_below: float = 0.0
    """The model's threshold."""

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(n, 7) calibrated probabilities of this one frame in the order of EMOTIONS."""
        found = self.faces.probabilities
        return np.empty((0, len(EMOTIONS))) if found is None else found

    @cached_property
    def reading(self) -> Reading:
        """What each face shows; of no face before recognition."""
        smoothed = self.faces.smoothed
        values = self.probabilities if smoothed is None else smoothed
        top, probability = values.argmax(axis=1), values.max(axis=1)
        by: Literal["raw", "smoothed"] = "raw" if smoothed is None else "smoothed"
        return Reading(by, values, top, probability, probability < self.uncertain_below)

    @property
    def emotions(self) -> list[str]:
        """Each face's emotion, by its reading."""
        return self.reading.emotions

    @property
    def uncertain(self) -> NDArray[np.bool_]:
        """(n,) whether the network abstains, by each face's reading."""
        return self.reading.uncertain
