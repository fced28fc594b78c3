"""A study's folder: `study.json` says what it is and with which data it was begun."""

import json
import os
from pathlib import Path
from typing import NotRequired, TypedDict

from emoscope.core.errors import InputError
from emoscope.core.files import write_json
from emoscope.study.data.dataset import Dataset


class Attempted(TypedDict):
    """What results.json says of one training."""

    run: str | None
    """Its folder; None where it failed."""
    config: dict[str, object]
    problem: str


class Candidate(TypedDict):
    """What results.json says of one cross-validation."""

    config: dict[str, object]
    runs: list[str]
    """A folder per fold, as far as they are done."""
    problem: str


class FamilyResults(TypedDict):
    """What results.json says of one family."""

    trials: list[Attempted]
    candidates: list[Candidate]
    winner: NotRequired[int]
    """Index of the candidate; once the cross-validation has ended."""
    final: list[Attempted]


class Results(TypedDict):
    """What results.json holds."""

    name: str
    data_sha256: str
    recipe: int
    families: dict[str, FamilyResults]
    is_finished: NotRequired[bool]


def create_family_results() -> FamilyResults:
    """Return what is known of a family before its first training."""
    return {"trials": [], "candidates": [], "final": []}


def list_runs(found: FamilyResults) -> list[str]:
    """Return the run folders that results.json names for a family."""
    names = [entry["run"] for entry in [*found["trials"], *found["final"]] if entry["run"]]
    return names + [name for candidate in found["candidates"] for name in candidate["runs"]]


def load_study_file(folder: Path) -> tuple[dict[str, object], str, Path]:
    """Return the config, the dataset's fingerprint and the runs' folder of a study.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: the folder holds no study.
    """
    values = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    runs, data_sha256 = folder / values.pop("runs"), str(values.pop("data_sha256"))
    return values, data_sha256, runs


def open_study(folder: Path, runs: Path, config: dict[str, object], dataset: Dataset) -> None:
    """Check that a folder belongs to this dataset, and keep the config there.

    Args:
        folder: of the study.
        runs: folder of its trainings.
        config: JSON-ready values.
        dataset: the whole one.

    Raises:
        InputError: it was begun with other data; choose another folder.
        OutputError: the folder cannot be written.
    """
    path = folder / "study.json"
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["data_sha256"] != dataset.sha256:
            raise InputError(
                f"{folder} was begun with other data ({known['data_sha256'][:12]}..., these are "
                f"{dataset.sha256[:12]}...); name that dataset, or another folder with -o"
            )
    # Relative, so that the whole can be moved.
    where = os.path.relpath(runs, folder)
    write_json(path, {**config, "data_sha256": dataset.sha256, "runs": where})
