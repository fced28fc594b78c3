"""Where a study stands: its config, results.json and the run folders in; counts and time left out."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.validation import load_json
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.study import StudyConfig
from emoscope.study.running.study_folder import FamilyResults, Results, create_family_results, load_study_file
from emoscope.study.training.run_folder import Result, load_run
from emoscope.study.training.run_name import RECIPE_VERSION

PHASES = ("search", "crossval", "final")


@dataclass(frozen=True)
class PhaseStatus:
    """One phase of one family."""

    family: str
    phase: str
    n_done: int
    n_failed: int
    n_total: int
    seconds: tuple[float, ...]
    """How long each finished training took."""

    @property
    def n_left(self) -> int:
        """Trainings still to come."""
        return max(0, self.n_total - self.n_done - self.n_failed)


def find_status(comparison: Comparison, results: Results, runs: Path) -> list[PhaseStatus]:
    """Return the phases of all families in their order."""
    return [
        _find_phase(comparison, family, phase, results["families"].get(family, create_family_results()), runs)
        for family in comparison.families
        for phase in PHASES
    ]


def _find_phase(comparison: Comparison, family: str, phase: str, found: FamilyResults, runs: Path) -> PhaseStatus:
    if phase == "crossval":
        candidates = found["candidates"]
        names = [name for candidate in candidates for name in candidate["runs"]]
        # A candidate that failed on a fold has no further folds.
        n_failed = sum(comparison.folds - len(c["runs"]) for c in candidates if c["problem"])
    else:
        entries = found["trials"] if phase == "search" else found["final"]
        names = [entry["run"] for entry in entries if entry["run"]]
        n_failed = len(entries) - len(names)
    seconds = tuple(load_json(runs / name / "result.json", Result)["train_s"] for name in names)
    return PhaseStatus(family, phase, len(names), n_failed, comparison.count_runs(family)[phase], seconds)


def estimate_left_s(phases: list[PhaseStatus]) -> float | None:
    """Estimate the seconds that are left, from the mean of the family's trainings, or of all; None before the first."""
    everything = [s for phase in phases for s in phase.seconds]
    if not everything:
        return None
    left = 0.0
    for phase in phases:
        ours = [s for other in phases if other.family == phase.family for s in other.seconds]
        left += phase.n_left * float(np.mean(ours or everything))
    return left


@dataclass(frozen=True)
class TrainingStatus:
    """One training of a study without families."""

    network: str
    seed: int
    run: str | None
    """Its folder; None before it began."""
    epoch: int
    """Epochs done."""
    epochs: int
    """At most."""
    is_finished: bool
    left_s: float | None
    """None before any training has done an epoch."""


def find_trainings(config: StudyConfig, data_sha256: str, runs: Path) -> list[TrainingStatus]:
    """Return where each training of a study stands, in their order."""
    folders = {}
    for path in runs.glob("*/run.json"):
        # What is damaged is of no training until it is made again.
        with contextlib.suppress(InputError):
            known = load_run(path.parent)
            folders[known.config, known.data_sha256] = known
    found, pace = [], None
    for training in config.trainings:
        run = folders.get((training, data_sha256))
        history = run.load_history() if run and (run.folder / "metrics.csv").is_file() else []
        if history:
            last = history[-1]
            # Not every epoch is validated.
            pace = int(last["size_px"]), last["fit_s"] + sum(row["validate_s"] for row in history) / len(history)
        is_finished = run is not None and run.is_finished
        # Other networks cost otherwise; until they train, the pace of those before is the best guess.
        left_s = 0.0 if is_finished else training.estimate_left_s(len(history), *pace) if pace else None
        name = run.folder.name if run else None
        found.append(
            TrainingStatus(training.network, training.seed, name, len(history), training.epochs, is_finished, left_s)
        )
    return found


def load_recipe(folder: Path) -> tuple[StudyConfig, str, Path] | None:
    """Return config, data fingerprint and runs folder of a study without families; None for any other folder."""
    try:
        values, data_sha256, runs = load_study_file(folder)
        return None if "families" in values else (StudyConfig.from_dict(values, is_new=False), data_sha256, runs)
    except InputError:
        return None


def load_study(folder: Path) -> tuple[Comparison, Results, Path]:
    """Return a comparison's config, results and the folder of its runs.

    Raises:
        InputError: the folder holds none; name one that `emoscope study run` made from a file with `families`.
    """
    values, data_sha256, runs = load_study_file(folder)
    if "families" not in values:
        raise InputError(
            f"{folder} holds no comparison of networks; name the folder of a study with `families`, or write a "
            "card of its network with `emoscope study card`"
        )
    comparison = Comparison.from_dict(values, is_new=False)
    path = folder / "results.json"
    begun: Results = {"name": comparison.name, "data_sha256": data_sha256, "recipe": RECIPE_VERSION, "families": {}}
    return comparison, load_json(path, Results) if path.is_file() else begun, runs
