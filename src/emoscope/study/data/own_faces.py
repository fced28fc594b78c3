"""Own pictures: whole photographs in, the face of each out, found, straightened and cut as an analysis does."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.picture import decode_picture
from emoscope.faces.crop import CROP_MARGIN
from emoscope.faces.detect import create_detector, look_all_ways
from emoscope.faces.preprocess import to_grey
from emoscope.faces.upright import Cutter
from emoscope.pipeline.analyzer import PICTURE_SIDE_PX

MAX_NAMES: Final = 5
"""Pictures that a message names."""


class FaceTaker:
    """Takes the largest face of each picture and remembers what it left out."""

    def __init__(self, detector: str = "auto") -> None:
        """Load detector and roll network.

        Args:
            detector: `auto`, `yunet` or `own`.

        Raises:
            ModelError: `yunet` was asked for and is not to be had.
        """
        self.detector = create_detector(detector, PICTURE_SIDE_PX).detector
        self.cutter = Cutter(CROP_MARGIN, {})
        self.n_taken = self.n_further = 0
        self.without_face: list[str] = []

    def take(self, data: bytes, name: str) -> NDArray[np.uint8] | None:
        """Return the largest face (h, w), grey; None where none was found.

        Args:
            data: the file's content.
            name: what messages call it.

        Raises:
            InputError: it cannot be decoded.
        """
        image = decode_picture(data, name)
        faces, _ = look_all_ways(self.detector, image)
        if not len(faces):
            self.without_face.append(name)
            return None
        # The label is that of whom the picture is about, not of who stands behind.
        largest = int((faces.xyxy[:, 2:] - faces.xyxy[:, :2]).prod(axis=1).argmax())
        _, crops = self.cutter.cut(image, faces)
        self.n_taken += 1
        self.n_further += len(faces) - 1
        return to_grey(crops[largest])

    def list_left_out(self) -> Iterator[str]:
        """Yield what was left out and why, a line each."""
        if n := len(self.without_face):
            names = ", ".join(self.without_face[:MAX_NAMES]) + (", ..." if n > MAX_NAMES else "")
            what = "picture was left out: no face was" if n == 1 else "pictures were left out: no face was"
            yield f"{n} {what} found in {names} (detector {self.detector.name})"
        if n := self.n_further:
            what = "further face was" if n == 1 else "further faces were"
            yield f"{n} {what} left out: each picture's label is taken for its largest face"

    def describe(self) -> dict[str, Any]:
        """Return JSON-ready what was taken and what was left out."""
        return {
            "detector": self.detector.name,
            "taken": self.n_taken,
            "without_face": self.without_face,
            "further_faces": self.n_further,
        }
