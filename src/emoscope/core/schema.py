"""Schema: the columns of the observations, whether they stand in a file or in memory."""

from typing import Final

from emoscope.core.emotions import EMOTIONS

NOBODY: Final = 0
"""Stands for an empty track_id; people count from 1."""
BOX: Final = ("x1", "y1", "x2", "y2")
PROBABILITIES: Final = tuple(f"p_{name}" for name in EMOTIONS)
SMOOTHED: Final = tuple(f"smooth_{name}" for name in EMOTIONS)
"""Columns that are there only where smoothing was asked for."""
SET_90: Final = "set_90"
"""Column that is there only where sets of emotions were asked for."""
SETS: Final = tuple(
    " ".join(name for i, name in enumerate(EMOTIONS) if bits >> i & 1) for bits in range(2 ** len(EMOTIONS))
)
"""Every set of emotions as text, by its bits: the first emotion is the lowest."""
QUALITY: Final = ("roll_deg", "frontal", "size_px", "sharpness", "light", "contrast")
"""How a face can be seen, see emoscope.faces.quality."""

COLUMNS: Final = {
    "source": "string",
    "frame": "int64",
    "time_s": "float64",
    "shot": "int64",
    "track_id": "int64",
    **dict.fromkeys((*BOX, "detection_score"), "float32"),
    **dict.fromkeys(PROBABILITIES, "float64"),
    "emotion": "string",
    "probability": "float64",
    "uncertain": "bool",
    **dict.fromkeys(QUALITY, "float32"),
}
"""Columns of the observations table and their Arrow types, in order; all but the first four speak of a face."""

ATTENTION: Final = {
    **dict.fromkeys(("yaw_deg", "pitch_deg", "head_roll_deg"), "float32"),
    "faces_camera": "bool",
    "eyes_open": "float32",
    "eyes_closed": "bool",
}
"""How a head is held, see emoscope.faces.mesh; columns and types, there only where it was asked for."""
KEPT: Final = "kept"
"""Whether a face kept another frame's reading; there only where reading was adaptive."""
EXTRA_COLUMNS: Final = {**dict.fromkeys(SMOOTHED, "float64"), SET_90: "string", **ATTENTION, KEPT: "bool"}
"""Those that may follow, in this order, each with its Arrow type."""

CHANGES: Final = tuple(f"change_{name}" for name in EMOTIONS)
"""Columns that are there only where a baseline was asked for: p_* less the person's own baseline."""

DTYPES: Final = {**COLUMNS, "track_id": "Int64", "uncertain": "boolean"}
"""Those of COLUMNS, with pandas dtypes."""
ALL_DTYPES: Final = DTYPES | {name: "boolean" if kind == "bool" else kind for name, kind in EXTRA_COLUMNS.items()}
"""All that there may be."""
