"""The last measurement: a finished network and its test images in, every figure out, once, and written down."""

from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from emoscope.core.errors import DamagedError
from emoscope.core.files import compute_sha256, open_atomic, set_aside, write_json
from emoscope.core.validation import load_json
from emoscope.faces.preprocess import VIEWS
from emoscope.faces.recognize import Recognizer, calibrate
from emoscope.faces.registry import find_network
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.arrays import load_predictions
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Rows, create_split
from emoscope.study.measuring.conformal import Read, measure_sets
from emoscope.study.measuring.ledger import record_measurement
from emoscope.study.measuring.metrics import compute_metrics
from emoscope.study.measuring.records import TestFigures


class Final(TypedDict):
    """What final.json holds."""

    model: str
    sha256: str
    protocol: str
    part: str
    data_sha256: str
    times_measured: int
    views: dict[str, TestFigures]


def find_leaked(dataset: Dataset, rows: Rows, train: Rows) -> NDArray[np.bool_]:
    """Return for each row whether an identical image stands among the training images."""
    return np.isin(dataset.group[rows], dataset.group[train])


def find_related(dataset: Dataset, rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Return for each row whether a near-copy of it stands among others."""
    return np.isin(dataset.relative[rows], dataset.relative[others])


def describe_test(
    spec: ModelSpec, dataset: Dataset, rows: Rows, logits: dict[int, NDArray[np.float32]]
) -> dict[str, TestFigures]:
    """Compute all figures of a network on test images.

    Args:
        spec: its calibrations are used.
        dataset: the labels' source.
        rows: of the test images.
        logits: (n, views, classes) by number of views.

    Returns:
        By number of views: compute_metrics(), with balanced (the second operating point), uncalibrated, and unless
        the protocol keeps copies on one side without_leaked, and unless the split keeps near-copies there
        without_near_copies; sets, where a ratio for sets of emotions was fitted.
    """
    labels = dataset.emotion[rows]
    without: dict[Literal["without_leaked", "without_near_copies"], NDArray[np.bool_]] = {}
    if spec.near_copies or spec.protocol == "naive":
        split = create_split(dataset, spec)
        if spec.protocol not in ("thesis", "random"):
            without["without_leaked"] = ~find_leaked(dataset, rows, split.train)
        others = np.concatenate([split.train, split.validation])
        without["without_near_copies"] = ~find_related(dataset, rows, others)
    figures: dict[str, TestFigures] = {}
    for n_views, values in logits.items():
        calibration = spec.find_calibration(n_views)
        probabilities = calibrate(values, calibration)
        plain = compute_metrics(calibrate(values, type(calibration)()), labels, spec.labels)
        entry = cast(TestFigures, compute_metrics(probabilities, labels, spec.labels))
        entry["balanced"] = compute_metrics(calibrate(values, calibration, balanced=True), labels, spec.labels)
        entry["uncalibrated"] = {
            "ece": plain["ece"],
            "classwise_ece": plain["classwise_ece"],
            "nll": plain["nll"],
            "brier": plain["brier"],
        }
        if spec.set_ratio:
            read = Read(probabilities, np.zeros(len(labels), np.bool_))
            entry["sets"] = measure_sets(read, labels, spec.set_ratio)
        for key, kept in without.items():
            if kept.any():
                entry[key] = compute_metrics(probabilities[kept], labels[kept], spec.labels)
        figures[str(n_views)] = entry
    return figures


def measure_finally(model: str | Path, dataset: Dataset, folder: Path) -> Final:
    """Measure a finished network on its protocol's test images with 1, 2 and 10 views; never twice.

    Args:
        model: an embedded network's name or an ONNX file.
        dataset: the one it was trained on.
        folder: `final.json` (figures) and `final.npz` (rows, labels, logits by views) are kept there; if they hold this
            network's figures already, these are returned and nothing is measured; what is damaged is set aside.

    Raises:
        OutputError: the folder cannot be written.
    """
    path = find_network(model)
    sha256 = compute_sha256(path)
    result_path = folder / "final.json"
    if result_path.is_file():
        try:
            known = load_json(result_path, Final)
            if known["sha256"] == sha256 and known["data_sha256"] == dataset.sha256:
                load_predictions(folder / "final.npz", VIEWS)
                return known
        except DamagedError as e:
            set_aside(e)
    recognizers = {n_views: Recognizer(path, n_views) for n_views in VIEWS}
    spec = recognizers[1].spec
    rows = create_split(dataset, spec).test
    logits = {n_views: r.compute_logits(dataset.pixels[rows]) for n_views, r in recognizers.items()}
    part = "PrivateTest" if spec.protocol == "official" else "test"
    times = record_measurement(path, part, list(VIEWS), dataset.sha256)
    with open_atomic(folder / "final.npz") as temporary:
        arrays: dict[str, NDArray[np.generic]] = {f"logits_{n_views}": values for n_views, values in logits.items()}
        arrays |= {"rows": rows, "labels": dataset.emotion[rows]}
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    result: Final = {
        "model": spec.name,
        "sha256": sha256,
        "protocol": spec.protocol,
        "part": part,
        "data_sha256": dataset.sha256,
        "times_measured": times,
        "views": describe_test(spec, dataset, rows, logits),
    }
    write_json(result_path, result)
    return result
