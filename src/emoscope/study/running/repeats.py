"""Repeats: finished runs on random splits in, their figures on their own test images out; each measured once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoscope.core.errors import DamagedError
from emoscope.core.files import open_atomic, set_aside, write_json
from emoscope.faces.preprocess import VIEWS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.export.export import create_spec, describe_validation, load_network
from emoscope.study.measuring.final import describe_test
from emoscope.study.running.finished import KEYS
from emoscope.study.training.predict import predict_logits
from emoscope.study.training.run_folder import Final, Run


def finish_repeats(dataset: Dataset, runs: list[Run], folder: Path, final: bool) -> dict[str, Any]:
    """Collect the figures of repeats: on validation, and each on its own test images if asked."""
    validation = {run.folder.name: run.load_result()["validation"] for run in runs}
    write_json(folder / "validation.json", validation)
    measured = None
    if final:
        entries = {run.folder.name: measure_run(run, dataset) for run in runs}
        measured = {"repeats": entries, "n": len(entries), **summarize_repeats(list(entries.values()))}
        write_json(folder / "final.json", measured)
    return {"validation": validation, "final": measured, "model": None}


def summarize_repeats(entries: Sequence[Final]) -> dict[str, Any]:
    """Return mean and sample standard deviation (None for a single one) of accuracy, macro F1 and ECE, by views."""
    summary: dict[str, Any] = {"mean": {}, "sd": {}}
    for n_views in map(str, VIEWS):
        table = np.array([[entry["views"][n_views][key] for key in KEYS] for entry in entries])  # type: ignore[literal-required]
        summary["mean"][n_views] = dict(zip(KEYS, table.mean(0).tolist(), strict=True))
        sd = table.std(0, ddof=1).tolist() if len(table) > 1 else [None] * len(KEYS)
        summary["sd"][n_views] = dict(zip(KEYS, sd, strict=True))
    return summary


def measure_run(run: Run, dataset: Dataset, views: Sequence[int] = VIEWS, split: Split | None = None) -> Final:
    """Measure a run's network on its test images; once, `final.json` and `test.npz` are kept in the run's folder.

    Args:
        run: finished, its weights kept.
        dataset: the one it was trained on.
        views: numbers of views.
        split: the run's, where it is at hand.
    """
    path = run.folder / "final.json"
    if path.is_file():
        try:
            return run.load_final(views)
        except DamagedError as e:
            set_aside(e)
    network = load_network(run)
    known = run.load_validation(views)
    calibrated = describe_validation(known.logits, known.labels, run.classes)
    spec = create_spec(run, calibrated, run.folder.name)
    rows = (split or create_split(dataset, spec)).test
    logits = {v: predict_logits(network, dataset.pixels[rows], spec, v) for v in views}
    with open_atomic(run.folder / "test.npz") as temporary:
        arrays = {f"logits_{v}": values for v, values in logits.items()}
        np.savez_compressed(
            temporary, allow_pickle=False, rows=rows, labels=dataset.emotion[rows].astype(np.int64), **arrays
        )
    result: Final = {
        "split_seed": spec.split_seed,
        "seed": run.config.seed,
        "views": describe_test(spec, dataset, rows, logits),
    }
    write_json(path, result)
    return result
