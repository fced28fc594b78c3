"""Evaluation: a dataset, a part of it and an exported model in, every number out; ONNX Runtime, no torch."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import find_network
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Rows, create_split
from emoscope.study.measuring.final import find_leaked, find_related
from emoscope.study.measuring.ledger import record_measurement
from emoscope.study.measuring.metrics import compute_intervals, compute_metrics
from emoscope.study.measuring.robustness import measure_robustness, read_changed

log = logging.getLogger(__name__)

USAGES = {"public": "PublicTest", "private": "PrivateTest"}
SPLITS = ("all", "train", "validation", "test", *USAGES)
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "train": ("Training",),
    "validation": ("PublicTest",),
    "test": ("Test", "PrivateTest"),
}
"""Usages of the parts of a dataset that the network was not trained on."""


def find_rows(dataset: Dataset, split: str, spec: ModelSpec) -> Rows:
    """Return the rows of a named part.

    Args:
        dataset: any dataset.
        split: `all`; `public` and `private` by the publisher's usage; `train`, `validation` and `test` by the model's
            own protocol on the data that it was trained on, else by the usages that the dataset marks.
        spec: of the model.

    Raises:
        InputError: the dataset has no such part.
    """
    if split in USAGES:
        rows = np.flatnonzero(dataset.usage == USAGES[split])
        if len(rows) == 0:
            raise InputError(
                f"the dataset marks no {USAGES[split]} images; choose --split validation or test, or import FER2013 "
                "in a form that tells them"
            )
        return rows
    if split not in SPLITS:
        raise InputError(f"there is no split {split!r}; choose one of {', '.join(SPLITS)}")
    if split == "all":
        return np.arange(len(dataset))
    usages = {str(usage) for usage in np.unique(dataset.usage)}
    is_own = dataset.sha256 == spec.data_sha256 or usages >= {"Training", *USAGES.values()}
    if is_own or spec.protocol in ("thesis", "random", "naive"):
        parts = create_split(dataset, spec)
        return np.asarray(getattr(parts, split), np.int64)
    rows = np.flatnonzero(np.isin(dataset.usage, PARTS[split]))
    if len(rows) == 0:
        raise InputError(
            f"the dataset marks no {split} images; choose --split all, or import a folder with train, validation and "
            "test in it"
        )
    return rows


def match_classes(dataset: Dataset, spec: ModelSpec) -> NDArray[np.int64]:
    """Return the labels (n,) as places in the network's list of classes, by name.

    Raises:
        InputError: there are images of classes that the network does not know.
    """
    place = {i: spec.labels.index(name) for i, name in enumerate(dataset.classes) if name in spec.labels}
    counts = np.bincount(dataset.emotion, minlength=len(dataset.classes))
    if unknown := [f"{name} ({counts[i]})" for i, name in enumerate(dataset.classes) if counts[i] and i not in place]:
        raise InputError(
            f"{spec.name} reads {', '.join(spec.labels)}, and the dataset has images of {', '.join(unknown)}; import "
            "it again and say what these are by --map, or leave them out by --skip"
        )
    return np.array([place.get(i, 0) for i in range(len(dataset.classes))])[dataset.emotion]


def compute_present(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], names: Sequence[str] = EMOTIONS
) -> dict[str, Any]:
    """Compute the figures of images that may lack a class: means and intervals are over those that there are.

    Returns:
        compute_metrics(), and `missing`, the classes of which there is no image.
    """
    figures: dict[str, Any] = {**compute_metrics(probabilities, labels, names), "missing": []}
    counts = np.bincount(labels, minlength=len(names))
    if not counts.all():
        present = counts > 0
        rows = [figures["per_class"][names[label]] for label in np.flatnonzero(present).tolist()]
        for key in ("precision", "recall", "f1"):
            figures[f"macro_{key}"] = float(np.mean([row[key] for row in rows]))
        figures["interval_95"] = compute_intervals(np.array(figures["confusion"]), present=present)
        figures["missing"] = [names[label] for label in np.flatnonzero(~present).tolist()]
    return figures


def _measure_kept(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], is_kept: NDArray[np.bool_], names: Sequence[str]
) -> dict[str, Any]:
    if not is_kept.any():
        return {"accuracy": None, "macro_f1": None, "n": 0}
    figures = compute_metrics(probabilities[is_kept], labels[is_kept], names)
    return {key: figures[key] for key in ("accuracy", "macro_f1", "n", "interval_95")}


def evaluate(
    dataset: Dataset,
    split: str,
    model: str | Path = "default",
    n_views: int = 1,
    balanced: bool = False,
    robustness: bool = False,
) -> dict[str, Any]:
    """Measure a model on a part of a dataset; on test images this is counted in the ledger.

    Args:
        dataset: any dataset.
        split: one of SPLITS.
        model: an embedded network's name or an ONNX file.
        n_views: 1, 2 or 10 views averaged.
        balanced: use the operating point with the higher macro F1.
        robustness: also measure it on the images made worse in known ways; not on test images.

    Returns:
        compute_present() of all images, with split, views, balanced, model, protocol, data_sha256; for `public` and
        `private` also without_leaked and without_near_copies: accuracy, macro_f1 and n without the images that also
        stand in Training, and without those that have a near-copy in another part; for test images times_measured,
        this time included; robustness: measure_robustness(), if asked for.

    Raises:
        InputError: no such part or model, or robustness on test images.
        ModelError: a damaged model.
    """
    if robustness and split in ("private", "test"):
        raise InputError("robustness is measured on validation images, expected --split validation or public")
    recognizer = Recognizer(model, n_views, balanced)
    spec = recognizer.spec
    if split not in (*USAGES, "all") and spec.protocol not in ("", "official") and dataset.sha256 != spec.data_sha256:
        log.warning(
            "%s was trained on another dataset (%s...): which of these images it has seen cannot be told",
            spec.name,
            spec.data_sha256[:12],
        )
    rows = find_rows(dataset, split, spec)
    probabilities, labels = recognizer.predict(dataset.pixels[rows]), match_classes(dataset, spec)[rows]
    figures: dict[str, Any] = {
        **compute_present(probabilities, labels, spec.labels),
        "split": split,
        "views": n_views,
        "balanced": balanced,
        "model": spec.name,
        "protocol": spec.protocol,
        "data_sha256": dataset.sha256,
    }
    if robustness:
        figures["robustness"] = measure_robustness(
            read_changed(recognizer, dataset.pixels[rows]), labels, recognizer.calibration.uncertain_below
        )
    if split in USAGES:
        others = np.flatnonzero(np.isin(dataset.usage, ("Training", *USAGES.values())))
        figures["without_leaked"] = _measure_kept(
            probabilities,
            labels,
            ~find_leaked(dataset, rows, np.flatnonzero(dataset.usage == "Training")),
            spec.labels,
        )
        figures["without_near_copies"] = _measure_kept(
            probabilities, labels, ~find_related(dataset, rows, np.setdiff1d(others, rows)), spec.labels
        )
    if split in ("private", "test") or (split == "all" and dataset.sha256 == spec.data_sha256):
        part = "PrivateTest" if split == "private" else split
        figures["times_measured"] = record_measurement(find_network(model), part, [n_views], dataset.sha256)
    return figures
