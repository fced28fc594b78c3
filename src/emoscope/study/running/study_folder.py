"""A study's folder: `study.json` says whose it is: of which study, begun with which data."""

import glob
import os
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, NotRequired

from typing_extensions import TypedDict

from emoscope.core.errors import DamagedError, InputError, OutputError
from emoscope.core.files import set_aside, write_json
from emoscope.core.validation import load_json
from emoscope.study.data.dataset import Dataset
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.study import StudyConfig


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


STUDY: Final = "study.json"
KINDS: Final[dict[str, Any]] = {"results.json": Results}
"""Files of a study that are written again and again, and what they hold."""


def create_family_results() -> FamilyResults:
    """Return what is known of a family before its first training."""
    return {"trials": [], "candidates": [], "final": []}


def list_runs(found: FamilyResults) -> list[str]:
    """Return the run folders that results.json names for a family."""
    names = [entry["run"] for entry in [*found["trials"], *found["final"]] if entry["run"]]
    return names + [name for candidate in found["candidates"] for name in candidate["runs"]]


class _Begun(TypedDict):
    """What study.json holds beside the config."""

    data_sha256: str
    runs: str
    decided_precision: NotRequired[str]
    """What all trainings compute in whose config leaves it open."""


def load_study_file(folder: Path) -> tuple[dict[str, object], str, Path]:
    """Return the config, the dataset's fingerprint and the runs' folder of a study.

    Raises:
        InputError: the folder holds no study.
        DamagedError: study.json is not as it was written.
    """
    path = folder / STUDY
    if not path.is_file():
        raise InputError(f"{folder} holds no study (it has no {STUDY}); name a folder that `emoscope study run` made")
    begun = load_json(path, _Begun)
    values: dict[str, object] = {key: value for key, value in begun.items() if key not in _Begun.__annotations__}
    return values, begun["data_sha256"], folder / begun["runs"]


def open_study(folder: Path, runs: Path, config: StudyConfig | Comparison, dataset: Dataset) -> None:
    """Check that a folder belongs to this study and dataset, and keep the config there.

    Args:
        folder: of the study.
        runs: folder of its trainings.
        config: of the study.
        dataset: the whole one.

    Raises:
        InputError: it was begun with another config or other data.
        OutputError: it cannot be written, or holds files that no study wrote.
    """
    path = folder / STUDY
    if path.is_file():
        try:
            _check_same(folder, config, dataset)
        except DamagedError as e:
            set_aside(e)
    elif foreign := _list_foreign(folder, config.name):
        raise OutputError(
            f"{folder} holds {foreign[0]} but no {STUDY}, so no study wrote it; choose an empty or a new folder with -o"
        )
    for name, kind in KINDS.items():
        if (folder / name).is_file():
            try:
                load_json(folder / name, kind)
            except DamagedError as e:
                set_aside(e)
    # Relative, so that the whole can be moved.
    where = os.path.relpath(runs, folder)
    decided = load_decided(folder)
    write_json(path, {**config.to_dict(), "data_sha256": dataset.sha256, "runs": where})
    if decided:
        write_decided(folder, decided)


def load_decided(folder: Path) -> str:
    """Return the precision that a study decided on; empty before."""
    path = folder / STUDY
    return load_json(path, _Begun).get("decided_precision", "") if path.is_file() else ""


def write_decided(folder: Path, precision: str) -> None:
    """Write down the precision of all trainings of a study that has begun."""
    write_json(folder / STUDY, {**load_json(folder / STUDY, _Begun), "decided_precision": precision})


def _check_same(folder: Path, config: StudyConfig | Comparison, dataset: Dataset) -> None:
    """Check that a folder was begun with this config and dataset."""
    values, data_sha256, runs = load_study_file(folder)
    if data_sha256 != dataset.sha256:
        raise InputError(
            f"{folder} was begun with other data ({data_sha256[:12]}..., these are "
            f"{dataset.sha256[:12]}...); name that dataset, or another folder with -o"
        )
    try:
        # An earlier version knew fewer settings; what it did is what their defaults say.
        known = type(config).from_dict(values, is_new=False).to_dict()
    except InputError:
        known = values
    wanted = config.to_dict()
    changed = [key for key in sorted({*known, *wanted} - {"resources"}) if known.get(key) != wanted.get(key)]
    # What else a training occupies changes no figure.
    changed += ["cores per training"] * (count_cores(known) != count_cores(wanted))
    if changed:
        raise InputError(
            f"{folder} holds another study (its {', '.join(changed)} differ); name another folder with -o, and with "
            f"--runs {runs} share what is trained already"
        )


def count_cores(values: Mapping[str, object]) -> object:
    """Return the cores of a training in a study's values: its threads."""
    resources = values.get("resources") or {}
    return resources.get("cpus", 1) if isinstance(resources, Mapping) else 1


def _list_foreign(folder: Path, name: str) -> list[str]:
    """Return what stands where a study of this name writes; its trainings have names of their own."""
    written = ("results.json", "search.db", "splits", "validation.json", "final.json", "final.npz", f"{name}.onnx")
    found = {path.name for path in folder.glob("*")}
    return sorted(file for file in found if file in written or fnmatch(file, f"{glob.escape(name)}-*.*"))
