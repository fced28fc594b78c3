"""Robustness: faces made worse in known ways in, accuracy and macro F1 of each way out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.schema import QUALITY
from emoscope.faces.quality import find_unreadable, measure_crops
from emoscope.faces.recognize import Recognizer
from emoscope.study.measuring.metrics import compute_f1

Faces = NDArray[np.uint8]
"""(n, h, w) grey."""


def blur(faces: Faces, sigma_px: float) -> Faces:
    """Blur by a Gaussian; its sigma is that of a face of 48 px."""
    sigma = sigma_px * faces.shape[1] / 48
    return np.stack([np.asarray(cv2.GaussianBlur(face, (0, 0), sigma), np.uint8) for face in faces])


def add_noise(faces: Faces, share: float) -> Faces:
    """Add normal noise with a standard deviation of this share of full white; the seed is fixed."""
    noise = np.random.default_rng(0).normal(0, 255 * share, faces.shape)
    return _to_pixels(faces + noise)


def brighten(faces: Faces, share: float) -> Faces:
    """Add this share of full white; negative darkens."""
    return _to_pixels(faces + 255.0 * share)


def dim(faces: Faces, factor: float) -> Faces:
    """Multiply the light: a dark room, where little is left between black and black."""
    return _to_pixels(faces * factor)


def reduce_contrast(faces: Faces, factor: float) -> Faces:
    """Bring every pixel nearer to its face's mean."""
    mean = faces.mean((1, 2), keepdims=True)
    return _to_pixels(mean + (faces - mean) * factor)


def shrink(faces: Faces, side_px: int) -> Faces:
    """Reduce to a side and enlarge again, as a small face in a picture is."""
    h, w = faces.shape[1:]
    small = [cv2.resize(face, (side_px, side_px), interpolation=cv2.INTER_AREA) for face in faces]
    return np.stack([np.asarray(cv2.resize(s, (w, h), interpolation=cv2.INTER_LINEAR), np.uint8) for s in small])


def cover(faces: Faces, top: float, bottom: float) -> Faces:
    """Paint a band grey, its edges given as shares of the height: sunglasses, a mask."""
    h = faces.shape[1]
    covered = faces.copy()
    covered[:, round(top * h) : round(bottom * h)] = 128
    return covered


def rotate(faces: Faces, angle_deg: float) -> Faces:
    """Turn around the middle, the edge pixels going on outside."""
    h, w = faces.shape[1:]
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), angle_deg, 1.0)
    turned = [cv2.warpAffine(face, matrix, (w, h), borderMode=cv2.BORDER_REPLICATE) for face in faces]
    return np.stack([np.asarray(face, np.uint8) for face in turned])


def _to_pixels(values: NDArray[np.floating]) -> Faces:
    pixels: Faces = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


CHANGES: Final[Mapping[str, Callable[[Faces], Faces]]] = {
    "as they are": lambda faces: faces,
    "blur, sigma 1 px": partial(blur, sigma_px=1),
    "blur, sigma 2 px": partial(blur, sigma_px=2),
    "noise, 5 %": partial(add_noise, share=0.05),
    "noise, 10 %": partial(add_noise, share=0.1),
    "brighter by 30 %": partial(brighten, share=0.3),
    "darker by 30 %": partial(brighten, share=-0.3),
    "a third of the contrast": partial(reduce_contrast, factor=1 / 3),
    "eyes covered": partial(cover, top=0.2, bottom=0.45),
    "mouth covered": partial(cover, top=0.65, bottom=0.95),
    "turned by 20°": partial(rotate, angle_deg=20),
    "turned by 45°": partial(rotate, angle_deg=45),
    "32 px wide": partial(shrink, side_px=32),
    "24 px wide": partial(shrink, side_px=24),
    "16 px wide": partial(shrink, side_px=16),
}
"""What a camera, light, glasses or distance do, on faces of 48 px."""


@dataclass(frozen=True)
class Changed:
    """What a network says of faces after one of CHANGES."""

    probabilities: NDArray[np.float64]
    """(n, classes)"""
    certainty: NDArray[np.float64]
    """(n,) the largest probability; below 0 where the face is beyond one of the network's limits."""


def read_changed(recognizer: Recognizer, faces: Faces) -> dict[str, Changed]:
    """Read faces (n, h, w) after each of CHANGES."""
    found = {}
    for name, change in CHANGES.items():
        changed = change(faces)
        probabilities = recognizer.predict(changed)
        quality = np.full((len(faces), len(QUALITY)), np.nan)
        # A face's size is that of its box, which the enlarged crop no longer tells.
        quality[:, QUALITY.index("size_px")] = getattr(change, "keywords", {}).get("side_px", np.nan)
        quality[:, 3:] = measure_crops(list(changed))
        is_beyond = find_unreadable(quality, recognizer.spec.limits)
        found[name] = Changed(probabilities, probabilities.max(axis=1) - 2 * is_beyond)
    return found


def measure_robustness(
    changed: Mapping[str, Changed], labels: NDArray[np.integer], uncertain_below: float
) -> list[dict[str, Any]]:
    """Measure a network on faces after each of CHANGES.

    Args:
        changed: what it said of them.
        labels: (n,), class index.
        uncertain_below: the network's threshold.

    Returns:
        One row per change: change, accuracy, macro_f1, uncertain (share of faces below the threshold or a limit).
    """
    rows = []
    for name, read in changed.items():
        predictions = read.probabilities.argmax(axis=1)
        rows.append(
            {
                "change": name,
                "accuracy": float((predictions == labels).mean()),
                "macro_f1": float(compute_f1(predictions, labels, read.probabilities.shape[1]).mean()),
                "uncertain": float((read.certainty < uncertain_below).mean()),
            }
        )
    return rows


def pool_changed(
    changed: Mapping[str, Changed], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return certainty (m,), and whether it was read rightly (m,), of every face after every change that changes it."""
    _, *worse = changed.values()
    right = [read.probabilities.argmax(axis=1) == labels for read in worse]
    return np.concatenate([read.certainty for read in worse]), np.concatenate(right)
