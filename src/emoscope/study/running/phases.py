"""A comparison's phases: dataset and comparison in; search, cross-validation and final repeats of each family out.

`results.json` in the study's folder says which run belongs where, and every figure is in the run folders. It is
written after each training, so that status and report can be made at any time.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emoscope.core.errors import EmoscopeError, InputError, OutputError, shorten
from emoscope.core.files import write_json
from emoscope.core.numbers import describe_left
from emoscope.executors.executor import Executor, WorkerDiedError
from emoscope.study.data.dataset import Dataset
from emoscope.study.networks.timm_networks import WeightsError
from emoscope.study.recipes.families import Comparison, create_fold_config, create_repeat_config
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.queue import Trainings
from emoscope.study.running.search import Outcome, Trial, find_best, search
from emoscope.study.running.search_storage import check_database
from emoscope.study.running.split_folder import SplitFolder, draw_faces
from emoscope.study.running.status import estimate_left_s, find_status
from emoscope.study.running.study_folder import (
    Attempted,
    Candidate,
    Results,
    create_family_results,
    open_study,
)
from emoscope.study.running.together import run_together, wait_for
from emoscope.study.training.build import build_network
from emoscope.study.training.run_folder import Run, describe_figures
from emoscope.study.training.run_name import RECIPE_VERSION, Bars
from emoscope.study.training.threads import limit_threads

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
    on_progress: Callable[[str], None] = lambda line: None,
    track: Callable[[Run], None] = lambda run: None,
    executor: Executor | None = None,
) -> Results:
    """Do everything that a comparison asks for, or what an earlier call left undone.

    Args:
        dataset: labelled faces.
        comparison: families, spaces and sizes.
        folder: `results.json`, `splits/` and the search's `search.db` are kept there.
        runs: folder of the trainings.
        storage: Optuna's database URL; a SQLite file in `folder` by default.
        on_progress: called with a line of text after every epoch and training.
        track: told every finished run.
        executor: does the trainings; shares the dataset as draw_faces() gives it. None trains here, one after the
            other. Which trainings there are, and their figures, do not depend on it.

    Returns:
        What results.json holds.

    Raises:
        InputError: the folder is another study's, the data do not fit, or a whole phase of a family failed.
        WeightsError: ImageNet weights cannot be had.
        OutputError: a folder cannot be written.
    """
    open_study(folder, runs, comparison, dataset)
    if storage is None:
        check_database(folder / "search.db")
    trainings = Trainings(draw_faces(dataset, comparison), runs, folder, executor, comparison.resources)
    phases = _Phases(trainings, comparison, folder, on_progress, track)
    # The search's surrogate, too: another trial would be asked for.
    with limit_threads(1):
        return phases.run(storage or f"sqlite:///{folder / 'search.db'}")


@dataclass(frozen=True)
class _Attempt:
    """A training of a phase, submitted."""

    config: TrainConfig
    label: str
    future: "Future[Run]"
    is_new: bool
    """Whether it was not finished before."""
    bars: Bars = ()
    """What it must reach to go on."""


class _Phases:
    """One comparison under way."""

    def __init__(
        self,
        trainings: Trainings,
        comparison: Comparison,
        folder: Path,
        on_progress: Callable[[str], None],
        track: Callable[[Run], None],
    ) -> None:
        self.trainings, self.comparison, self.folder = trainings, comparison, folder
        self.dataset, self.runs = trainings.dataset, trainings.runs
        self.on_progress, self.track = on_progress, track
        self.splits = SplitFolder(folder / "splits", self.dataset)
        self.has_trained = False
        self.results: Results = {
            "name": comparison.name,
            "data_sha256": self.dataset.sha256,
            "recipe": RECIPE_VERSION,
            "families": {},
        }

    def run(self, storage: str) -> Results:
        """Do all phases of all families."""
        self.check_weights()
        for family in self.comparison.families:
            self.results["families"][family] = create_family_results()
        # One thread, one writer of results.json and of the search's database: families only wait for each other's
        # trainings, and their own phases follow each other.
        run_together(*(self.do_family(family, storage) for family in self.comparison.families))
        self.results["is_finished"] = True
        write_json(self.folder / "results.json", self.results)
        return self.results

    async def do_family(self, family: str, storage: str) -> None:
        """Do the three phases of one family."""
        candidates = await self.search(family, storage)
        winner = await self.cross_validate(family, [trial.config for trial in candidates])
        await self.repeat(family, winner)

    def check_weights(self) -> None:
        """Load the ImageNet weights of every network once: without them the study must not begin."""
        for space in self.comparison.families.values():
            first = space.create_config(dict.fromkeys(space.values, 0))
            for network in space.values.get("network", [first.network]):
                config = dataclasses.replace(first, network=network)
                if config.pretrained:
                    log.info("%s: loading its ImageNet weights", network)
                    build_network(config, self.dataset.classes)

    async def search(self, family: str, storage: str) -> list[Trial]:
        """Search a family's space; return the best different trials."""
        comparison, entries = self.comparison, self.results["families"][family]["trials"]
        n_trials, how = comparison.count_trials(family), comparison.search

        attempts: dict[Future[Run], _Attempt] = {}

        def submit(config: TrainConfig, bars: Bars) -> "Future[Run]":
            label = f"{family}, trial {len(entries) + len(attempts) + 1}/{n_trials}"
            attempt = self.submit(config, label, keep=False, bars=bars)
            attempts[attempt.future] = attempt
            return attempt.future

        def read(future: "Future[Run]") -> Outcome:
            attempt = attempts.pop(future)
            run, problem = self.conclude(attempt)
            if run is None:
                return Outcome(None, problem)
            result, epochs = run.load_result(), run.load_curve()
            is_stopped = len(epochs) <= len(attempt.bars) and max(epochs) < attempt.bars[len(epochs) - 1]
            return Outcome(result["validation"]["macro_f1"], "", run.folder.name, epochs, is_stopped)

        def record(trial: Trial) -> None:
            run = None
            if trial.macro_f1 is not None:
                label = f"{family}, trial {trial.number + 1}"
                run = self.conclude(self.submit(trial.config, label, keep=False, bars=trial.bars))[0]
            entries.append(describe_entry(trial.config, run, trial.problem))
            self.write()

        # Those of earlier versions hold indices in place of values; what was trained is found again all the same.
        name = f"{comparison.name}/{family}/{self.dataset.sha256[:12]}/{comparison.describe_search(family)}/values"
        trials = await search(
            comparison.families[family],
            submit,
            read,
            n_trials=n_trials,
            sampler=how.sampler,
            seed=how.seed,
            storage=storage,
            name=name,
            on_trial=record,
            in_flight=how.in_flight,
            pruner=how.pruner,
        )
        return find_best(trials, how.candidates)

    async def cross_validate(self, family: str, configs: list[TrainConfig]) -> TrainConfig:
        """Train each candidate on every fold; return the one with the highest mean macro F1."""
        means: list[float] = []
        attempts = [
            self.submit_folds(config, f"{family}, candidate {i}/{len(configs)}") for i, config in enumerate(configs, 1)
        ]
        for config, folds in zip(configs, attempts, strict=True):
            entry: Candidate = {"config": config.describe_changes(), "runs": [], "problem": ""}
            self.results["families"][family]["candidates"].append(entry)
            scores = []
            for fold, attempt in enumerate(folds):
                await wait_for(attempt.future)
                run, problem = self.conclude(attempt)
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

    def submit_folds(self, config: TrainConfig, label: str) -> Iterator[_Attempt]:
        """Submit a candidate's trainings."""
        n = self.comparison.folds
        return self.submit_ahead((create_fold_config(config, k, n), f"{label}, fold {k + 1}/{n}") for k in range(n))

    async def repeat(self, family: str, config: TrainConfig) -> None:
        """Train the winner anew several times; measure each network on the test images."""
        n = self.comparison.repeats
        wanted = ((create_repeat_config(config, i), f"{family}, final {i + 1}/{n}") for i in range(n))
        for attempt in self.submit_ahead(wanted, keep=True, measured_views=FINAL_VIEWS):
            await wait_for(attempt.future)
            run, problem = self.conclude(attempt)
            self.results["families"][family]["final"].append(describe_entry(attempt.config, run, problem))
            self.write()

    def submit_ahead(
        self, wanted: Iterable[tuple[TrainConfig, str]], keep: bool = False, measured_views: tuple[int, ...] = ()
    ) -> Iterator[_Attempt]:
        """Submit trainings with their labels, here each when its turn comes, elsewhere all at once."""
        return self.trainings.submit_ahead(wanted, lambda each: self.submit(*each, keep, measured_views))

    def submit(
        self, config: TrainConfig, label: str, keep: bool, measured_views: tuple[int, ...] = (), bars: Bars = ()
    ) -> _Attempt:
        """Have one training done, or find the finished run."""

        def describe_epoch(row: dict[str, float]) -> None:
            self.has_trained = True
            self.on_progress(
                f"{label}: {config.network}, epoch {row['epoch']}  {describe_figures(row)}  "
                f"{row['fit_s'] + row['validate_s']:.1f} s"
            )

        training = self.trainings.prepare(
            config,
            split=self.splits.find(config),
            keep=keep,
            measured_views=measured_views,
            bars=bars,
            on_epoch=describe_epoch,
        )
        is_new = not self.trainings.is_finished(training)
        return _Attempt(config, label, self.trainings.submit(training), is_new, bars)

    def conclude(self, attempt: _Attempt) -> tuple[Run | None, str]:
        """Take a training's end; one that failed is told and survived.

        Returns:
            The run, or None and why it failed.

        Raises:
            OutputError: the disk is full or not writable; no training would fare better.
            WeightsError: likewise for ImageNet weights.
            WorkerDiedError: likewise for workers that die.
        """
        self.has_trained |= attempt.is_new
        try:
            run = attempt.future.result()
        except (OutputError, WeightsError, WorkerDiedError):
            raise
        # RuntimeError is what torch raises for anything that a device cannot do.
        except (EmoscopeError, RuntimeError) as e:
            problem = shorten(e, 1000)
            self.on_progress(f"{attempt.label}: failed, {problem}")
            return None, problem
        # Also those of earlier calls: a process may have been killed before it could track them.
        self.track(run)
        if attempt.is_new:
            left_s = estimate_left_s(find_status(self.comparison, self.results, self.runs))
            self.on_progress(
                f"{attempt.label}: done, validation macro F1 {run.load_result()['validation']['macro_f1']:.4f}"
                + (f", {describe_left(left_s)}" if left_s is not None else "")
            )
        return run, ""

    def write(self) -> None:
        """Write results.json, unless an earlier call's still says more than is gathered again by now."""
        if self.has_trained:
            write_json(self.folder / "results.json", self.results)


def describe_entry(config: TrainConfig, run: Run | None, problem: str) -> Attempted:
    """Return how results.json tells of one training."""
    return {"run": run.folder.name if run else None, "config": config.describe_changes(), "problem": problem}
