"""Trainings' settings as a report prints them, and the reference study's rows that belong beside a family."""

from typing import Any

import pandas as pd

from emoscope.study.measuring.reference import MEAN_AUC_HARD, Stage, find_reference
from emoscope.study.recipes.families import Space
from emoscope.study.recipes.training import SWITCHES, TrainConfig
from emoscope.study.report.typeset import NONE, Column

LABELS = {
    "augment": "augmented",
    "batch_size": "batch",
    "sizes_px": "size, px",
    "size_shares": "shares of the epochs at each size",
    "branch_filters": "filters",
    "branch_layers": "branch layers",
    "branch_width": "branch width",
    "head_layers": "head layers",
    "head_width": "head width",
    "pretrained": "ImageNet weights",
}
"""Where the setting's own name says too little or too much."""

TEXTS = ("network", "optimizer", "kernel", "schedule", "precision", "augment")
"""Settings that are words."""

MAX_COLUMNS = 6
"""More settings stand in one column, as text."""

REFERENCE_COLUMNS = (
    Column("network", "text"),
    Column("optimizer", "text"),
    Column("learning rate"),
    Column("augmented", "text"),
    Column("batch"),
    Column("size, px"),
)
REFERENCE_KEYS = ["architecture", "optimizer", "learning_rate", "augmentation", "batch_size", "input_px"]

SOURCE = (
    "G. López Bermejo, Emotion recognition using Deep Learning techniques, degree thesis, University of Castilla-La "
    "Mancha, 2022"
)


def format_setting(value: Any) -> str:
    """Return a setting's value for a cell."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return " → ".join(format_setting(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def name_setting(key: str) -> str:
    """Return a setting's name for a title."""
    return LABELS.get(key, key.replace("_", " "))


def list_varied(space: Space) -> list[str]:
    """Return the settings that a search chooses, the network first, the others in the order of the study's file."""
    keys = [key for key, values in space.values.items() if len(values) > 1]
    return sorted(keys, key=lambda key: key != "network")


def create_columns(space: Space) -> list[Column]:
    """Return a column for each setting that a search chooses, or one for all where they are many."""
    if len(list_varied(space)) > MAX_COLUMNS:
        return [Column("settings", "long")]
    return [Column(name_setting(key), "text" if key in TEXTS else "number") for key in list_varied(space)]


def format_point(space: Space, config: TrainConfig) -> list[str]:
    """Return the values of the settings that a search chooses; those without effect are left out."""
    idle = {name for switch, names in SWITCHES.items() if not getattr(config, switch) for name in names}
    if len(keys := list_varied(space)) > MAX_COLUMNS:
        used = [f"{name_setting(key)} {format_setting(getattr(config, key))}" for key in keys if key not in idle]
        return [", ".join(used)]
    return [NONE if key in idle else format_setting(getattr(config, key)) for key in keys]


def describe_fixed(space: Space) -> str:
    """Return the settings that every training of a family has in common."""
    fixed = {**space.settings, **{key: values[0] for key, values in space.values.items() if len(values) == 1}}
    if len(fixed.get("sizes_px", (1,))) == 1:
        fixed.pop("size_shares", None)
    # A size reads as one, not as a column's title.
    names = {"sizes_px": "picture size (px)"}
    return ", ".join(f"{names.get(key, name_setting(key))} {format_setting(value)}" for key, value in fixed.items())


def list_sizes(space: Space) -> list[int]:
    """Return the final picture sizes that a family may choose from."""
    sizes = space.values.get("sizes_px", (space.settings.get("sizes_px", TrainConfig.sizes_px),))
    return sorted({size[-1] for size in sizes})


def find_beside(stage: Stage, family: str, space: Space) -> pd.DataFrame:
    """Return the reference study's rows that belong beside a family's; none where it has no such family.

    A family has the reference study's name; `-resized` and a network's number may follow. Its enlarged pictures belong
    beside a family whose pictures are all enlarged, those of 48 px beside any other.
    """
    rows = find_reference(stage, family)
    if rows.empty:
        rows = find_reference(stage, family.removesuffix("-resized").rstrip("0123456789"))
    enlarged = rows[rows["input_px"] > 48]
    is_enlarged = family.endswith("-resized") or min(list_sizes(space)) > 48
    return enlarged if is_enlarged and not enlarged.empty else rows[rows["input_px"] == 48]


def format_reference(row: Any) -> list[str]:
    """Return the settings of one of the reference study's trainings, as REFERENCE_COLUMNS has them."""
    values = [row[key] for key in REFERENCE_KEYS]
    values[3] = bool(values[3])
    return [format_setting(v) for v in values]


def find_auc(family: str, space: Space) -> float | None:
    """Return the reference study's mean AUC of hard predictions beside a family's."""
    rows = find_beside("final", family, space)
    return None if rows.empty else MEAN_AUC_HARD.get((rows.iloc[0]["family"], int(rows.iloc[0]["input_px"])))
