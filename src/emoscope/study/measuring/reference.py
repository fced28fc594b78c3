"""Nothing in, the figures of the 2022 reference study out, to be shown beside ours.

They are those of a degree thesis, *Emotion recognition using Deep Learning techniques* (G. López Bermejo, University of
Castilla-La Mancha, 2022), which compares four families of ImageNet networks on FER2013. The file holds every figure of
its tables as fractions, one row per trial of the search, fold or repeat. What to bear in mind beside ours:

* Its random test part ignores that FER2013 holds identical images (3,369 rows in 1,516 groups), so copies stand on
  both sides; only our `naive` protocol shares this. Its figures must not stand unlabelled beside the official protocol.
* Its AUCs are those of hard predictions, comparable to our `mean_auc_hard` alone.
* In the search of DenseNet at 48 px (its table 3.19) accuracy, precision and recall repeat the table of VGG (3.1), so
  only macro F1 can be trusted: `is_f1_only` marks these rows.
* Its accuracy is plain multi-class accuracy, though its text gives the formula for two classes.
* Standard deviations over the ten repeats are near 0.01 to 0.02: smaller differences are no findings.
* `input_px` is the size of the pictures; Inception networks enlarge them to the least that they can take.
"""

from importlib.resources import files
from typing import Literal

import pandas as pd

Stage = Literal["search", "cross-validation", "final"]

METRICS = ("accuracy", "precision_macro", "recall_macro", "f1_macro")
"""Columns of figures, fractions."""

MEAN_AUC_HARD: dict[tuple[str, int], float] = {
    ("vgg", 48): 0.7882,
    ("resnet", 48): 0.7445,
    ("densenet", 48): 0.7716,
    ("inception", 48): 0.7911,
    ("densenet", 175): 0.8156,
}
"""By family and input_px: mean over the classes of the hard predictions' AUC, best of the ten repeats."""


def load_reference() -> pd.DataFrame:
    """Load every figure.

    Returns:
        stage (`search`, `cross-validation` or `final`), family, architecture, optimizer, learning_rate, augmentation,
        batch_size, input_px, index (fold or repeat, from 0; none in a search), accuracy, precision_macro,
        recall_macro, f1_macro, is_f1_only (only macro F1 can be trusted).
    """
    with (files("emoscope.study.measuring") / "reference_thesis.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype={"index": "Int64"})
    table["is_f1_only"] = (table["stage"] == "search") & (table["family"] == "densenet") & (table["input_px"] == 48)
    return table


def find_reference(
    stage: Stage, family: str | None = None, architecture: str | None = None, input_px: int | None = None
) -> pd.DataFrame:
    """Select rows of load_reference().

    Args:
        stage: the phase of the study.
        family: `vgg`, `resnet`, `densenet`, `inception` or `vgg-branches`; None for all.
        architecture: for example `densenet201`; None for all.
        input_px: side of the pictures, 48 unless resized; None for all.

    Returns:
        The rows in the file's order, numbered from 0; none where the study has no such figures.
    """
    table = load_reference()
    wanted = {"stage": stage, "family": family, "architecture": architecture, "input_px": input_px}
    for column, value in wanted.items():
        if value is not None:
            table = table[table[column] == value]
    return table.reset_index(drop=True)


def compute_headline() -> pd.DataFrame:
    """Compute the study's headline table: test figures of each family's winner, best macro F1 first.

    Returns:
        family, architecture, input_px, augmentation, n (repeats), the means of METRICS over the repeats, f1_macro_sd
        (sample standard deviation), mean_auc_hard.
    """
    keys = ["family", "architecture", "input_px", "augmentation"]
    groups = find_reference("final").groupby(keys, sort=False)
    table = groups[list(METRICS)].mean()
    table.insert(0, "n", groups.size())
    table["f1_macro_sd"] = groups["f1_macro"].std()
    table = table.reset_index()
    table["mean_auc_hard"] = [
        MEAN_AUC_HARD[family, size_px] for family, size_px in zip(table["family"], table["input_px"], strict=True)
    ]
    return table.sort_values("f1_macro", ascending=False, ignore_index=True)
