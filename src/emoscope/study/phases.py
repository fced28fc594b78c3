"""A comparison's phases: dataset and comparison in; search, cross-validation and final repeats of each family out.

`results.json` in the study's folder says which run belongs where, and every figure is in the run folders. It is
written after each training, so that status and report can be made at any time.
"""

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emoscope.errors import EmoscopeError, InputError, OutputError
from emoscope.files import write_json
from emoscope.study.architectures import WeightsError
from emoscope.study.comparison import Comparison, create_fold_config, create_repeat_config
from emoscope.study.config import TrainConfig
from emoscope.study.dataset import Dataset
from emoscope.study.folder import open_study
from emoscope.study.repeats import measure_run
from emoscope.study.runs import RECIPE_VERSION, Run
from emoscope.study.search import Trial, find_best, search
from emoscope.study.setup import build_network
from emoscope.study.splits import Split, create_split
from emoscope.study.status import estimate_left_s, find_status
from emoscope.study.train import train

log = logging.getLogger(__name__)

FINAL_VIEWS = (1,)
"""Views per picture in the last measurement, as in the reference study."""


def run_comparison(
    dataset: Dataset,
    comparison: Comparison,
    folder: Path,
    runs: Path,
    *,
    storage: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
    track: Callable[[Run], None] = lambda run: None,
) -> dict[str, Any]:
    """Do everything that a comparison asks for, or what an earlier call left undone.

    Args:
        dataset: labelled faces.
        comparison: families, spaces and sizes.
        folder: `results.json`, `splits/` and the search's `search.db` are kept there.
        runs: folder of the trainings.
        storage: Optuna's database URL; a SQLite file in `folder` by default.
        tell: told a line of text after every epoch and training.
        track: told every finished run.

    Returns:
        What results.json holds.

    Raises:
        InputError: the data do not fit the comparison, or a whole phase of a family failed.
        WeightsError: ImageNet weights cannot be had.
        OutputError: a folder cannot be written.
    """
    open_study(folder, runs, comparison.to_dict(), dataset)
    if comparison.images:
        dataset = dataset.sample(comparison.images, comparison.seed)
    return _Phases(dataset, comparison, folder, runs, tell, track).run(storage or f"sqlite:///{folder / 'search.db'}")


class _Phases:
    """One comparison under way."""

    def __init__(
        self,
        dataset: Dataset,
        comparison: Comparison,
        folder: Path,
        runs: Path,
        tell: Callable[[str], None],
        track: Callable[[Run], None],
    ) -> None:
        self.dataset, self.comparison, self.folder, self.runs = dataset, comparison, folder, runs
        self.tell, self.track = tell, track
        self.splits: dict[str, Split] = {}
        self.has_trained = False
        self.results: dict[str, Any] = {
            "name": comparison.name,
            "data_sha256": dataset.sha256,
            "recipe": RECIPE_VERSION,
            "families": {},
        }

    def run(self, storage: str) -> dict[str, Any]:
        """Do all phases of all families."""
        self.check_weights()
        for family in self.comparison.families:
            self.results["families"][family] = {"trials": [], "candidates": [], "final": []}
        for family in self.comparison.families:
            candidates = self.search(family, storage)
            winner = self.cross_validate(family, [trial.config for trial in candidates])
            self.repeat(family, winner)
        self.results["is_finished"] = True
        write_json(self.folder / "results.json", self.results)
        return self.results

    def check_weights(self) -> None:
        """Load the ImageNet weights of every network once: without them the study must not begin."""
        for space in self.comparison.families.values():
            first = space.create_config(dict.fromkeys(space.values, 0))
            for network in space.values.get("network", [first.network]):
                config = dataclasses.replace(first, network=network)
                if config.pretrained:
                    log.info("%s: loading its ImageNet weights", network)
                    build_network(config)

    def search(self, family: str, storage: str) -> list[Trial]:
        """Search a family's space; return the best different trials."""
        comparison, entries = self.comparison, self.results["families"][family]["trials"]
        n_trials = comparison.count_trials(family)

        def evaluate(config: TrainConfig) -> tuple[float | None, str]:
            run, problem = self.attempt(config, f"{family}, trial {len(entries) + 1}/{n_trials}", keep=False)
            return (run.load_result()["validation"]["macro_f1"] if run else None), problem

        def record(trial: Trial) -> None:
            run = self.attempt(trial.config, "", keep=False)[0] if trial.macro_f1 is not None else None
            entries.append(describe_entry(trial.config, run, trial.problem))
            self.write()

        name = f"{comparison.name}/{family}/{self.dataset.sha256[:12]}/{comparison.describe_search(family)}"
        trials = search(
            comparison.families[family],
            evaluate,
            n_trials=n_trials,
            sampler=comparison.sampler,
            seed=comparison.seed,
            storage=storage,
            name=name,
            on_trial=record,
        )
        return find_best(trials, comparison.candidates)

    def cross_validate(self, family: str, configs: list[TrainConfig]) -> TrainConfig:
        """Train each candidate on every fold; return the one with the highest mean macro F1."""
        n_folds, means = self.comparison.folds, []
        for i, config in enumerate(configs):
            entry: dict[str, Any] = {"config": config.describe_changes(), "runs": [], "problem": ""}
            self.results["families"][family]["candidates"].append(entry)
            scores = []
            for fold in range(n_folds):
                label = f"{family}, candidate {i + 1}/{len(configs)}, fold {fold + 1}/{n_folds}"
                run, problem = self.attempt(create_fold_config(config, fold, n_folds), label, keep=False)
                if run is None:
                    entry["problem"] = f"fold {fold + 1}: {problem}"
                    break
                entry["runs"].append(run.folder.name)
                scores.append(run.load_result()["validation"]["macro_f1"])
                self.write()
            # A candidate that fails on some part of the data is no candidate.
            means.append(float(np.mean(scores)) if not entry["problem"] else -1.0)
        best = int(np.argmax(means))
        if means[best] < 0:
            problem = self.results["families"][family]["candidates"][0]["problem"]
            raise InputError(f"{family}: every candidate failed in cross-validation ({problem}); mend the study")
        self.results["families"][family]["winner"] = best
        self.write()
        return configs[best]

    def repeat(self, family: str, config: TrainConfig) -> None:
        """Train the winner anew several times; measure each network on the test images."""
        n = self.comparison.repeats
        for i in range(n):
            ours = create_repeat_config(config, i)
            run, problem = self.attempt(ours, f"{family}, final {i + 1}/{n}", keep=True)
            if run:
                measure_run(run, self.dataset, FINAL_VIEWS, self.find_split(ours))
            self.results["families"][family]["final"].append(describe_entry(ours, run, problem))
            self.write()

    def attempt(self, config: TrainConfig, label: str, keep: bool) -> tuple[Run | None, str]:
        """Train once, or find the finished run; a training that fails is told and survived.

        Returns:
            The run, or None and why it failed.

        Raises:
            OutputError: the disk is full or not writable; no training would fare better.
            WeightsError: likewise for ImageNet weights.
        """
        said = False

        def tell_epoch(row: dict[str, float]) -> None:
            nonlocal said
            said = self.has_trained = True
            self.tell(
                f"{label}: {config.network}, epoch {row['epoch']}  loss {row['train_loss']:.3f}  "
                f"validation macro F1 {row['validation_macro_f1']:.4f}  {row['fit_s'] + row['validate_s']:.1f} s"
            )

        try:
            run = train(self.dataset, config, self.runs, tell_epoch, split=self.find_split(config), keep=keep)
        except (OutputError, WeightsError):
            raise
        # RuntimeError is what torch raises for anything that a device cannot do.
        except (EmoscopeError, RuntimeError) as e:
            problem = " ".join(str(e).split())
            self.tell(f"{label}: failed, {problem}")
            return None, problem
        # Also those of earlier calls: a process may have been killed before it could track them.
        self.track(run)
        if said:
            left_s = estimate_left_s(find_status(self.comparison, self.results, self.runs))
            self.tell(
                f"{label}: done, validation macro F1 {run.load_result()['validation']['macro_f1']:.4f}"
                + (f", about {left_s / 60:.0f} min left" if left_s is not None else "")
            )
        return run, ""

    def find_split(self, config: TrainConfig) -> Split:
        """Return a training's split, kept in `splits/` with its hash.

        Raises:
            InputError: the file was changed; restore it or begin in another folder.
        """
        name = f"{config.protocol}-{config.split_seed}-{config.n_folds}-{config.fold_seed}-{config.fold}"
        if name in self.splits:
            return self.splits[name]
        path, index_path = self.folder / "splits" / f"{name}.npz", self.folder / "splits" / "splits.json"
        index: dict[str, Any] = json.loads(index_path.read_text(encoding="utf-8")) if index_path.is_file() else {}
        if name in index and path.is_file():
            split = Split.load(path)
            if split.sha256 != index[name]["sha256"]:
                raise InputError(f"{path} is not the split that the study began with; restore it or take a new folder")
        else:
            split = create_split(self.dataset, config)
            split.save(path)
            sizes = {part: len(getattr(split, part)) for part in ("train", "validation", "test")}
            write_json(index_path, {**index, name: {"sha256": split.sha256, **sizes}})
        self.splits[name] = split
        return split

    def write(self) -> None:
        """Write results.json, unless an earlier call's still says more than is gathered again by now."""
        if self.has_trained:
            write_json(self.folder / "results.json", self.results)


def describe_entry(config: TrainConfig, run: Run | None, problem: str) -> dict[str, Any]:
    """Return how results.json tells of one training."""
    return {"run": run.folder.name if run else None, "config": config.describe_changes(), "problem": problem}
