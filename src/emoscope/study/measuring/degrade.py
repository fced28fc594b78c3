"""Degrade: validation faces made worse in known ways; below which size, sharpness and light none is read rightly."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.schema import QUALITY
from emoscope.core.types import Faces as Boxes
from emoscope.faces.quality import measure_crops
from emoscope.faces.recognize import Recognizer
from emoscope.faces.upright import Cutter
from emoscope.study.measuring.robustness import (
    Faces,
    add_noise,
    blur,
    brighten,
    cover,
    dim,
    reduce_contrast,
    rotate,
    shrink,
)

LEAST_ACCURACY = 0.5
"""Beyond a limit less than every second face is read rightly."""
WINDOW = 500
"""Faces of about one value whose accuracy decides."""

STEPS: Final[Mapping[str, tuple[Callable[..., Faces], tuple[float, ...]]]] = {
    "size_px": (shrink, (6, 8, 10, 12, 14, 16, 20, 24, 32)),
    "sharpness": (blur, (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)),
    "light": (dim, (0.3, 0.2, 0.1, 0.06, 0.04, 0.03, 0.02, 0.01)),
    "contrast": (reduce_contrast, (0.3, 0.2, 0.1, 0.06, 0.04, 0.02, 0.01)),
}
"""By measure: what lowers it, and how far."""


def compress(faces: Faces, quality: int) -> Faces:
    """Write and read as JPEG."""
    coded = [cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for face in faces]
    return np.stack([np.asarray(cv2.imdecode(c, cv2.IMREAD_GRAYSCALE), np.uint8) for c in coded])


DEGRADED: Final[Mapping[str, tuple[Callable[..., Faces], tuple[float, ...]]]] = {
    "blurred, sigma in px": (blur, (1, 2, 3)),
    "noisy, share of white": (add_noise, (0.05, 0.1, 0.2)),
    "brighter by": (brighten, (0.2, 0.4, 0.6)),
    "dark, light left": (dim, (0.3, 0.1, 0.03)),
    "contrast left": (reduce_contrast, (0.33, 0.1, 0.04)),
    "eyes covered, from 0.2 to": (lambda faces, end: cover(faces, 0.2, end), (0.3, 0.4, 0.5)),
    "mouth covered, to 0.95 from": (lambda faces, start: cover(faces, start, 0.95), (0.8, 0.7, 0.6)),
    "turned, degrees": (rotate, (20, 45, 180)),
    "small, px": (shrink, (24, 16, 10)),
    "compressed, JPEG quality": (compress, (30, 15, 5)),
}
"""Ten ways to make faces worse, three strengths each."""


def cut_upright(cutter: Cutter, faces: Faces, side_px: float) -> tuple[list[Faces], NDArray[np.bool_]]:
    """Cut grey faces (n, h, w), each filling its picture, as analyses do.

    Args:
        cutter: with a network's limits.
        faces: the pictures.
        side_px: how large they were before they were enlarged; a small one stands for one that small in its picture.

    Returns:
        n crops, and (n,) which faces are beyond the limits.
    """
    box = Boxes(np.array([[0, 0, *faces.shape[2:0:-1]]], np.float32), np.ones(1, np.float32))
    cut = cutter.cut_all([(np.asarray(cv2.cvtColor(face, cv2.COLOR_GRAY2BGR), np.uint8), box) for face in faces])
    is_small = side_px < cutter.limits.get("size_px", 0.0)
    unreadable = [is_small or (found.unreadable is not None and bool(found.unreadable[0])) for found, _ in cut]
    return [crop for _, [crop] in cut], np.array(unreadable, np.bool_)


def fit_limits(recognizer: Recognizer, faces: Faces, labels: NDArray[np.integer]) -> dict[str, float]:
    """Find the smallest value of each measure at which a network still reads faces.

    Args:
        recognizer: the network.
        faces: (n, h, w) grey validation faces.
        labels: (n,), class index.

    Returns:
        By measure; one that costs the network nothing is left out.
    """
    limits = {}
    for name, (worsen, steps) in STEPS.items():
        values, right = _measure(recognizer, faces, labels, name, [partial(worsen, faces, step) for step in steps])
        if (limit := find_limit(values, right)) is not None:
            # More digits would say more than some thousand faces can.
            limits[name] = float(f"{limit:.3g}")
    return limits


def _measure(
    recognizer: Recognizer,
    faces: Faces,
    labels: NDArray[np.integer],
    name: str,
    changes: list[Callable[[], Faces]],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the measure of each face after each change, and whether it was read rightly."""
    values, right = [], []
    for change, step in zip([lambda: faces, *changes], (faces.shape[1], *STEPS[name][1]), strict=True):
        worse = change()
        right.append(recognizer.predict(worse).argmax(axis=1) == labels)
        # A face's size is that of its box, which the enlarged crop no longer tells.
        of_crop = QUALITY[3:].index(name) if name in QUALITY[3:] else None
        values.append(np.full(len(faces), step) if of_crop is None else measure_crops(list(worse))[:, of_crop])
    return np.concatenate(values).astype(np.float64), np.concatenate(right)


def find_limit(values: NDArray[np.float64], right: NDArray[np.bool_]) -> float | None:
    """Return the value below which faces are no longer read rightly often enough; None where there is none.

    Args:
        values: (n,) of one measure.
        right: (n,) whether each face was read rightly.
    """
    order = np.argsort(values, kind="stable")
    ordered, is_right = values[order], right[order].astype(np.float64)
    window = min(WINDOW, len(values))
    sums = np.concatenate([[0], np.cumsum(is_right)])
    accuracy = (sums[window:] - sums[:-window]) / window
    bad = np.flatnonzero(accuracy < LEAST_ACCURACY)
    return None if len(bad) == 0 else float(ordered[bad[-1] + window // 2])
