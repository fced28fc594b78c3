"""Schema: the columns of the observations, whether they stand in a file or in memory.

A network's list of classes names some of them; constants are those of the seven emotions.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from emoscope.core.emotions import EMOTIONS

NOBODY: Final = 0
"""Stands for an empty track_id; people count from 1."""
BOX: Final = ("x1", "y1", "x2", "y2")
P_, SMOOTH_, CHANGE_ = "p_", "smooth_", "change_"
"""What a class's columns begin with."""


def name_columns(prefix: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the name of each class's column."""
    return tuple(prefix + name for name in classes)


PROBABILITIES: Final = name_columns(P_, EMOTIONS)
SMOOTHED: Final = name_columns(SMOOTH_, EMOTIONS)
"""Columns that are there only where smoothing was asked for."""
SET_90: Final = "set_90"
"""Column that is there only where sets of emotions were asked for."""
QUALITY: Final = ("roll_deg", "frontal", "size_px", "sharpness", "light", "contrast")
"""How a face can be seen, see emoscope.faces.quality."""


def create_columns(classes: Sequence[str]) -> dict[str, str]:
    """Return the columns of the observations of a network with these classes, as COLUMNS are."""
    return {
        "source": "string",
        "frame": "int64",
        "time_s": "float64",
        "shot": "int64",
        "track_id": "int64",
        **dict.fromkeys((*BOX, "detection_score"), "float32"),
        **dict.fromkeys(name_columns(P_, classes), "float64"),
        "emotion": "string",
        "probability": "float64",
        "uncertain": "bool",
        **dict.fromkeys(QUALITY, "float32"),
    }


COLUMNS: Final = create_columns(EMOTIONS)
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


def create_extra(classes: Sequence[str]) -> dict[str, str]:
    """Return the columns that may follow, as EXTRA_COLUMNS are."""
    smoothed = dict.fromkeys(name_columns(SMOOTH_, classes), "float64")
    return {**smoothed, SET_90: "string", **ATTENTION, KEPT: "bool"}


EXTRA_COLUMNS: Final = create_extra(EMOTIONS)
"""Those that may follow, in this order, each with its Arrow type."""

CHANGES: Final = name_columns(CHANGE_, EMOTIONS)
"""Columns that are there only where a baseline was asked for: p_* less the person's own baseline."""


def to_dtypes(columns: Mapping[str, str]) -> dict[str, str]:
    """Return columns with pandas dtypes instead of Arrow types."""
    dtypes = {name: "boolean" if kind == "bool" else kind for name, kind in columns.items()}
    return dtypes | {name: "Int64" for name in ("track_id",) if name in columns}


DTYPES: Final = to_dtypes(COLUMNS)
"""Those of COLUMNS, with pandas dtypes."""
ALL_DTYPES: Final = to_dtypes(COLUMNS | EXTRA_COLUMNS)
"""All that there may be."""


def find_classes(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that a table's columns tell of, in their order."""
    return tuple(name.removeprefix(P_) for name in columns if name.startswith(P_))


def name_set(bits: int, classes: Sequence[str]) -> str:
    """Return a set of classes as text, by its bits: the first class is the lowest."""
    return " ".join(name for i, name in enumerate(classes) if bits >> i & 1)
