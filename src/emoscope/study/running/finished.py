"""A finished comparison: its folder in; its results and their summary out, without loading what only training needs."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from emoscope.study.running.study_folder import Results, list_runs
from emoscope.study.training.run_folder import RECIPE_VERSION, load_run

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
        study, results = (json.loads((folder / n).read_text(encoding="utf-8")) for n in ("study.json", "results.json"))
        is_same = (
            {**values, "data_sha256": data_sha256} == {k: v for k, v in study.items() if k != "runs"}
            and (folder / study["runs"]).resolve() == runs.resolve()
            and results.get("recipe") == RECIPE_VERSION
        )
        return results if is_same and results.get("is_finished") and _is_whole(results, runs) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_whole(results: Results, runs: Path) -> bool:
    """Return whether every training that results.json names is there; failed repeats and folds are tried again."""
    for found in results["families"].values():
        if any(entry["problem"] for entry in [*found["candidates"], *found["final"]]):
            return False
        files = [runs / name / "result.json" for name in list_runs(found)]
        final = [entry["run"] for entry in found["final"] if entry["run"]]
        files += [runs / run / name for run in final for name in ("final.json", "best.safetensors")]
        if not all(file.is_file() for file in files):
            return False
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
        figures = [json.loads((f / "final.json").read_text(encoding="utf-8"))["views"]["1"] for f in folders]
        if not figures:
            continue
        row: dict[str, Any] = {"network": load_run(folders[0]).config.network, "n": len(figures)}
        for key in KEYS:
            values = np.array([f[key] for f in figures])
            row |= {key: float(values.mean()), f"{key}_sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0}
        summary[family] = row
    return summary
