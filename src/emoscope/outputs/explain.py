"""Explanations: chosen moments in, heat maps of what the network looked at out; the ONNX graph alone, no torch.

Occlusion: one place of the face after the other is hidden, and what that takes from the odds of the emotion tells how
much the network relied on it (Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014).
"""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.types import Faces, Image
from emoscope.faces.preprocess import resize, to_grey
from emoscope.faces.recognize import Recognizer
from emoscope.faces.resample import resample
from emoscope.faces.upright import Cutter
from emoscope.outputs import blur as hide
from emoscope.outputs.explain_choice import Moment, choose_moments, load_moments
from emoscope.outputs.ink import GREY, WHITE, find_bgr, find_drawable, measure_text, put_text, write_reading
from emoscope.outputs.thumbnails import encode_jpeg, name_face_file
from emoscope.tables.observations import Observations
from emoscope.tables.summary import Summary

N_PLACES = 9
"""Places hidden per side of the face; 81 calls per face and view."""
PATCH_SHARE = 1 / 3
"""Side of the hidden square as a share of the face's: an eye or most of a mouth. With a quarter, what is left of a
clear smile still gives it away, and the maps show noise (seen on eight faces)."""
FLAT = 0.3
"""A map whose largest drop is below this, a quarter of the odds, is not stretched to full colour: it shows little."""
SIZE_PX = 192
STRIP_PX = 22
"""Height of the line of text under the face."""


def explain_faces(
    recognizer: Recognizer, crops: list[NDArray[np.uint8]], emotions: list[int] | None = None
) -> NDArray[np.float64]:
    """Compute what hiding each place of a face takes from the log-odds of its emotion.

    Log-odds, not probabilities: these hardly move where the network is very sure.

    Args:
        recognizer: the network, with its views and calibration.
        crops: n faces, each grey (h, w) or BGR (h, w, 3) uint8.
        emotions: n class indices to explain; by default the most probable of each face.

    Returns:
        (n, N_PLACES, N_PLACES) drops of the calibrated probability's log-odds, cell (0, 0) the upper left of the crop:
        0.7 halves the odds; where a drop is negative, hiding the place made the emotion more probable.
    """
    maps = np.zeros((len(crops), N_PLACES, N_PLACES))
    for i, crop in enumerate(crops):
        face = _reduce(to_grey(crop), recognizer)
        probabilities = recognizer.predict([face, *_hide_places(face)])
        emotion = int(probabilities[0].argmax()) if emotions is None else emotions[i]
        log_odds = _compute_log_odds(probabilities[:, emotion])
        maps[i] = (log_odds[0] - log_odds[1:]).reshape(N_PLACES, N_PLACES)
    return maps


def _compute_log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside / (1 - inside)))


def _reduce(grey: NDArray[np.uint8], recognizer: Recognizer) -> NDArray[np.uint8]:
    """Return the face at the network's size, by the network's kernel: resizing once is cheaper than 81 times."""
    spec = recognizer.spec
    if spec.kernel == "auto":
        return resize(grey, spec.size_px)
    return np.asarray(np.clip(resample(grey[None], spec.size_px, spec.kernel)[0], 0, 255).round(), np.uint8)


def _hide_places(face: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return copies of a grey face, each with a square of the face's mean grey, row by row."""
    size_px = face.shape[0]
    # Cells tile the face and squares are centred on them, so that a map laid over the face fits.
    centres = (np.arange(N_PLACES) + 0.5) * size_px / N_PLACES
    half = PATCH_SHARE * size_px / 2
    edges = [(max(0, round(c - half)), min(size_px, round(c + half))) for c in centres]
    grey = round(float(face.mean()))
    hidden = []
    for top, bottom in edges:
        for left, right in edges:
            copy = face.copy()
            copy[top:bottom, left:right] = grey
            hidden.append(copy)
    return hidden


def draw_explanation(crop: Image, heat: NDArray[np.float64], moment: Moment, blur: bool = False) -> Image:
    """Draw a face in grey with its map over it and what it is read as under it.

    Args:
        crop: (h, w, 3) uint8 BGR.
        heat: (g, g) of explain_faces.
        moment: whose face it is, and its reading.
        blur: hide who the person is.

    Returns:
        (SIZE_PX + STRIP_PX, SIZE_PX, 3) uint8 BGR.
    """
    grey = to_grey(hide.blur(crop, hide.SAMPLES) if blur else crop)
    interpolation = cv2.INTER_AREA if grey.shape[0] > SIZE_PX else cv2.INTER_CUBIC
    under = cv2.cvtColor(cv2.resize(grey, (SIZE_PX, SIZE_PX), interpolation=interpolation), cv2.COLOR_GRAY2BGR)
    share = np.clip(heat, 0, None) / max(float(heat.max()), FLAT)
    share = np.clip(cv2.resize(share, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_CUBIC), 0, 1)
    # Perceptually uniform, and even in grey the brighter place is the more important one.
    colours = cv2.applyColorMap((share * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)
    alpha = 0.25 + 0.45 * share[:, :, None]
    out = np.full((SIZE_PX + STRIP_PX, SIZE_PX, 3), 24, np.uint8)
    out[:SIZE_PX] = (under * (1 - alpha) + colours * alpha).round().astype(np.uint8)
    out[SIZE_PX:, :5] = find_bgr(moment.classes)[moment.emotion]
    line_px = 14
    y = SIZE_PX + (STRIP_PX - line_px) // 2
    text = write_reading(find_drawable(moment.classes)[moment.emotion], moment.probability, moment.is_uncertain)
    put_text(out, text, 11, y, line_px, WHITE)
    number = f"person {moment.track_id}"
    put_text(out, number, SIZE_PX - measure_text(number, line_px) - 5, y, line_px, GREY)
    return out


def explain(
    observations: Observations,
    summary: Summary,
    recognizer: Recognizer,
    folder: Path,
    n: int = 12,
    blur: bool = False,
    places: Mapping[str, Path] | None = None,
) -> list[Path]:
    """Write explanations/p0001-000012.345s.jpg (person 1 at 12.345 s) and so on for the most telling moments.

    Only the frames that are needed are read again. Moments that cannot be read again are left out, all of them where
    the table holds no boxes or the source was a camera.

    Args:
        observations: of one source.
        summary: its summary.
        recognizer: the network that made the observations.
        folder: where `explanations` goes.
        n: so many at most.
        blur: hide who the people are.
        places: where sources lie whose names in the table are not those of their files.

    Returns:
        The files.
    """
    if summary.kind == "live":
        return []
    moments = choose_moments(observations, summary.moments, n)
    files, cutter = [], Cutter(recognizer.spec.crop_margin, {})
    for moment, image in load_moments(moments, summary.kind == "video", places):
        path = folder / "explanations" / name_face_file(moment.track_id, moment.time_s)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(_explain_moment(moment, image, recognizer, cutter, blur)))
        files.append(path)
    return files


def _explain_moment(moment: Moment, image: Image, recognizer: Recognizer, cutter: Cutter, blur: bool) -> Image:
    _, crops = cutter.cut(image, Faces(np.array([moment.xyxy], np.float32), np.ones(1, np.float32)))
    [heat] = explain_faces(recognizer, list(crops), [moment.emotion])
    return draw_explanation(crops[0], heat, moment, blur)
