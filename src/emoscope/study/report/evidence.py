"""A comparison's folder in; what its report stands on out: every training that results.json names, from its folder."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import DamagedError, InputError
from emoscope.faces.recognize import calibrate
from emoscope.faces.spec import Calibration
from emoscope.study.data.splits import Split
from emoscope.study.measuring.calibrate import fit_calibrations
from emoscope.study.measuring.records import Figures, TestFigures
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.status import PhaseStatus, find_status, load_study
from emoscope.study.running.study_folder import (
    Attempted,
    FamilyResults,
    create_family_results,
    list_runs,
    load_study_file,
)
from emoscope.study.training.run_folder import Facts, Result, Run, load_run

VIEWS = "1"
"""A comparison's test figures are of single views."""


@dataclass(frozen=True)
class Training:
    """A finished run's folder, read once."""

    run: Run
    facts: Facts
    """run.json: split and environment."""
    result: Result
    """result.json."""
    test: TestFigures | None
    """final.json's figures; None where it was not measured on test images."""

    @property
    def name(self) -> str:
        """Of the run's folder."""
        return self.run.folder.name

    @property
    def config(self) -> TrainConfig:
        """What was trained."""
        return self.run.config

    @property
    def validation(self) -> Figures:
        """Figures on the validation part."""
        return self.result["validation"]

    @cached_property
    def predictions(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Rows (n,), labels (n,) and logits (n, 1, 7) of the test images."""
        test = self.run.load_test()
        return test.rows, test.labels, test.logits[1]

    @cached_property
    def part_sizes(self) -> tuple[int, int, int]:
        """Numbers of images that trained, validated and tested."""
        split = Split.load(self.run.folder / "split.npz")
        return len(split.train), len(split.validation), len(split.test)

    def compute_probabilities(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the test images' probabilities (n, 7) as trained, and calibrated as when they were measured."""
        _, labels, by_views = self.run.load_validation((1,))
        fitted = fit_calibrations({1: by_views[1]}, labels)[1]
        return calibrate(self.predictions[2], Calibration()), calibrate(self.predictions[2], fitted)


@dataclass(frozen=True)
class Entry:
    """A training that results.json tells of."""

    config: TrainConfig
    training: Training | None
    """None where it failed."""
    problem: str


@dataclass(frozen=True)
class Candidate:
    """A training on every fold, as far as they are done."""

    config: TrainConfig
    folds: list[Training]
    problem: str


@dataclass(frozen=True)
class Family:
    """Everything known of one family by now."""

    name: str
    key: str
    """Like the name, of letters, digits and hyphens, for a page's anchors."""
    trials: list[Entry]
    candidates: list[Candidate]
    winner: int | None
    """Index of the candidate; None before the cross-validation ended."""
    final: list[Entry]
    phases: dict[str, PhaseStatus]

    @property
    def measured(self) -> list[Training]:
        """Final repeats with test figures."""
        return [e.training for e in self.final if e.training and e.training.test]

    @property
    def trainings(self) -> list[Training]:
        """All of its finished trainings."""
        folds = [training for candidate in self.candidates for training in candidate.folds]
        return [e.training for e in (*self.trials, *self.final) if e.training] + folds


@dataclass(frozen=True)
class Evidence:
    """A study's folder, read."""

    comparison: Comparison
    data_sha256: str
    """Of the dataset that the study was begun with; the whole one where it uses a part."""
    runs: Path
    families: dict[str, Family]
    phases: list[PhaseStatus]

    @property
    def trainings(self) -> list[Training]:
        """Every finished training once."""
        return list({t.name: t for family in self.families.values() for t in family.trainings}.values())

    @property
    def protocols(self) -> list[str]:
        """Of all families, without repetition."""
        configs = [s.create_config(dict.fromkeys(s.values, 0)) for s in self.comparison.families.values()]
        return sorted({config.protocol for config in configs})


def load_evidence(folder: Path) -> Evidence:
    """Read a comparison's folder, finished or not.

    Raises:
        InputError: no comparison, or a run that results.json names is not there; restore it or run the study again.
    """
    comparison, results, runs = load_study(folder)
    known: dict[str, Training] = {}

    def load(name: str) -> Training:
        if name not in known:
            known[name] = _load_training(runs, name)
        return known[name]

    # First the runs, each missing one named as such; counting them would fail with less to say.
    found = {name: results["families"].get(name, create_family_results()) for name in comparison.families}
    for name in [name for family in found.values() for name in list_runs(family)]:
        load(name)
    phases = find_status(comparison, results, runs)
    families = {
        name: _read_family(name, key, family, load, {p.phase: p for p in phases if p.family == name})
        for (name, family), key in zip(found.items(), _create_keys(list(found)), strict=True)
    }
    return Evidence(comparison, load_study_file(folder)[1], runs, families, phases)


def _create_keys(names: list[str]) -> list[str]:
    """Return a different key for each name."""
    keys = [re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in names]
    return [key if key and keys.count(key) == 1 else f"{key}-{i + 1}".strip("-") for i, key in enumerate(keys)]


def _read_family(
    name: str, key: str, found: FamilyResults, load: Callable[[str], Training], phases: dict[str, PhaseStatus]
) -> Family:
    def read(entries: list[Attempted]) -> list[Entry]:
        return [
            Entry(TrainConfig.from_dict(e["config"]), load(e["run"]) if e["run"] else None, e["problem"])
            for e in entries
        ]

    candidates = [
        Candidate(TrainConfig.from_dict(c["config"]), [load(name) for name in c["runs"]], c["problem"])
        for c in found["candidates"]
    ]
    return Family(name, key, read(found["trials"]), candidates, found.get("winner"), read(found["final"]), phases)


def _load_training(runs: Path, name: str) -> Training:
    folder = runs / name
    try:
        run = load_run(folder)
        final = folder / "final.json"
        test = run.load_final()["views"][VIEWS] if final.is_file() else None
        return Training(run, run.load_facts(), run.load_result(), test)
    except DamagedError:
        raise
    except InputError as e:
        raise InputError(
            f"results.json names the run {name}, but {runs} holds no finished one of that name ({e}); restore its "
            "folder, or go on with `emoscope study run`"
        ) from e
