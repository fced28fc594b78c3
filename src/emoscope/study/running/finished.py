"""A finished comparison: its folder in; its results and their summary out, without loading what only training needs."""

from pathlib import Path
from typing import Any

import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.validation import load_json
from emoscope.study.running.study_folder import Results, list_runs, load_study_file
from emoscope.study.training.run_folder import load_run
from emoscope.study.training.run_name import RECIPE_VERSION

KEYS = ("accuracy", "macro_f1", "ece")


def find_finished(values: dict[str, object], data_sha256: str, folder: Path, runs: Path) -> Results | None:
    """Return what results.json holds if nothing is left to do, else None.

    Loading torch, timm and Optuna takes most of the time of a call that trains nothing.

    Args:
        values: the study file's.
        data_sha256: fingerprint of the dataset.
        folder: of the study.
        runs: folder of its trainings.
    """
    try:
        study, results = load_study_file(folder), load_json(folder / "results.json", Results)
        is_same = (
            study[:2] == (values, data_sha256)
            and study[2].resolve() == runs.resolve()
            and results["recipe"] == RECIPE_VERSION
        )
        return results if is_same and results.get("is_finished") and _is_whole(results, runs) else None
    except InputError:
        return None


def _is_whole(results: Results, runs: Path) -> bool:
    """Return whether every training that results.json names is whole; failed repeats and folds are tried again.

    Raises:
        InputError: one is not.
    """
    for found in results["families"].values():
        if any(entry["problem"] for entry in [*found["candidates"], *found["final"]]):
            return False
        final = [entry["run"] for entry in found["final"] if entry["run"]]
        for name in list_runs(found):
            run = load_run(runs / name)
            run.check(is_kept=name in final)
            if name in final:
                run.load_final()
    return True


def summarize_families(results: Results, runs: Path) -> dict[str, dict[str, Any]]:
    """Return mean and sample standard deviation on the test images by family, of those whose repeats were measured.

    Args:
        results: what a comparison's results.json holds.
        runs: folder of its trainings.
    """
    summary = {}
    for family, found in results["families"].items():
        folders = [runs / entry["run"] for entry in found["final"] if entry["run"]]
        figures = [load_run(folder).load_final()["views"]["1"] for folder in folders]
        if not figures:
            continue
        row: dict[str, Any] = {"network": load_run(folders[0]).config.network, "n": len(figures)}
        for key in KEYS:
            values = np.array([f[key] for f in figures])  # type: ignore[literal-required]
            row |= {key: float(values.mean()), f"{key}_sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0}
        summary[family] = row
    return summary
