"""Values behind the charts for the page's script: curves in, small base64 texts out."""

import base64

import numpy as np

from emoscope.core.emotions import EMOTIONS, find_valence
from emoscope.core.numbers import SCRIPT_RULE
from emoscope.report.charts import SCRIPT_CHART
from emoscope.report.colours import find_css_colours
from emoscope.report.timeline import Curve, Floats, Reading, Timeline

STEPS = 250
"""A probability is kept in steps of 0.4 points: one byte, finer than any percentage on the page."""
NOTHING = 255
"""The byte of a bin in which nobody was seen."""


def describe_axes(end_s: float, classes: tuple[str, ...] = EMOTIONS) -> dict[str, object]:
    """Return what the scripts of every page share: the length of the axis, emotions, and how charts are drawn."""
    return {
        "end": end_s,
        "reach": 1.0,
        "valence": find_valence(classes),
        "emotions": list(zip(classes, find_css_colours(classes), strict=True)),
        "numbers": SCRIPT_RULE,
        "chart": {**SCRIPT_CHART, "steps": STEPS, "nothing": NOTHING},
    }


def pack_timeline(timeline: Timeline, reading: Reading) -> dict[str, list[float]]:
    """Return the bins: where they begin and end, and how many faces they hold."""
    return {
        "starts": [round(float(t), 3) for t in timeline.starts_s],
        "ends": [round(float(t), 3) for t in timeline.ends_s],
        "faces": [round(float(n), 2) for n in reading.face_counts],
    }


def pack_curve(curve: Curve, timeline: str, name: str) -> dict[str, str]:
    """Return a curve's values: per bin the probabilities and the uncertain share, and the changes if there are any.

    Args:
        curve: What was read.
        timeline: Key of the bins.
        name: Whose values they are.
    """
    n_faces = np.maximum(curve.n_faces, 1)
    shares = np.where(curve.is_seen, curve.n_uncertain / n_faces, np.nan)
    packed = {"timeline": timeline, "name": name, "values": _pack(np.column_stack([curve.means, shares]))}
    if curve.n_changes.any():
        packed["changes"] = _pack((curve.changes + 1) / 2)
    return packed


def _pack(fractions: Floats) -> str:
    """Return fractions, 0 to 1 and NaN, as bytes in base64, row after row."""
    steps = np.rint(STEPS * np.clip(np.nan_to_num(fractions), 0.0, 1.0))
    return base64.b64encode(np.where(np.isnan(fractions), NOTHING, steps).astype(np.uint8).tobytes()).decode()
