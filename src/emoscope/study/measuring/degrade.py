"""Degrade: validation faces made worse step by step in; below which size, sharpness and light none is read rightly."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.schema import QUALITY
from emoscope.faces.quality import measure_crops
from emoscope.faces.recognize import Recognizer
from emoscope.study.measuring.robustness import Faces, blur, dim, reduce_contrast, shrink

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
