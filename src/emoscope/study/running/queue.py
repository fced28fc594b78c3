"""A study's list of trainings: configs in, futures of their runs out, whatever executor does the work."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emoscope.executors.executor import Executor, Resources
from emoscope.executors.local import HereExecutor
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.repeats import measure_run
from emoscope.study.running.study_folder import load_decided, write_decided
from emoscope.study.training.optimize import choose_precision, create_fabric
from emoscope.study.training.run_folder import Run
from emoscope.study.training.run_name import Bars, hash_teacher, name_run
from emoscope.study.training.threads import limit_threads
from emoscope.study.training.train import train

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Training:
    """One training as an executor is given it."""

    config: TrainConfig
    split: Split
    runs: Path
    """A folder that every worker reaches under this name."""
    keep: bool = True
    """Keep weights and predictions."""
    teacher: NDArray[np.float32] | None = None
    measured_views: tuple[int, ...] = ()
    """Measure it on its test images, with so many views per picture; none: do not."""
    n_threads: int = 1
    precision: str = ""
    """What the study decided, where the config leaves it open."""
    bars: Bars = ()
    """What it must reach to go on; see train()."""
    on_epoch: Callable[[dict[str, float]], None] | None = None
    """Told each epoch's figures, where the training happens in the caller's process."""

    def __str__(self) -> str:
        return f"the training of {self.config.network} with seed {self.config.seed}"

    def find_run(self, dataset: Dataset) -> Run:
        """Return its run, which need not be there yet."""
        name = name_run(self.config, self.split, dataset, hash_teacher(self.teacher), self.n_threads, self.bars)
        return Run(self.runs / name, self.config, dataset.sha256, dataset.classes)


def do_training(dataset: Dataset, training: Training) -> Run:
    """Do one training, or go on with it; return its run."""
    more = {} if training.on_epoch is None else {"on_epoch": training.on_epoch}
    with limit_threads(training.n_threads):
        run = train(
            dataset, training.config, training.runs, **more, teacher=training.teacher, split=training.split,
            keep=training.keep, precision=training.precision, bars=training.bars,
        )  # fmt: skip
        if training.measured_views:
            measure_run(run, dataset, training.measured_views, training.split)
    return run


def choose_study_precision(dataset: Dataset, _: None) -> str:
    """Return the precision of the device on which this is called; an executor calls it where trainings are done."""
    return choose_precision(create_fabric().device)[0]


class Trainings:
    """Where a study's trainings are done."""

    def __init__(
        self,
        dataset: Dataset,
        runs: Path,
        folder: Path,
        executor: Executor | None = None,
        resources: Resources | None = None,
    ) -> None:
        """Take an executor that shares the dataset; None works in this process.

        A training has as many threads as the resources have cores, here and elsewhere: another number would change its
        figures. `folder` is the study's, where it is written down what was decided.
        """
        self.dataset, self.runs, self.folder = dataset, runs.resolve(), folder
        self.executor: Executor = executor or HereExecutor(dataset)
        self.n_threads = (resources or Resources()).n_threads

    @cached_property
    def precision(self) -> str:
        """That of all trainings whose config leaves it open: decided once in a study."""
        decided = load_decided(self.folder)
        if not decided:
            decided = self.executor.submit(choose_study_precision, None).result()
            write_decided(self.folder, decided)
        return decided

    def prepare(
        self,
        config: TrainConfig,
        *,
        split: Split | None = None,
        keep: bool = True,
        teacher: NDArray[np.float32] | None = None,
        measured_views: tuple[int, ...] = (),
        bars: Bars = (),
        on_epoch: Callable[[dict[str, float]], None] | None = None,
    ) -> Training:
        """Describe a training; the split is the config's."""
        split = split or create_split(self.dataset, config)
        precision = self.precision if config.precision == "auto" else ""
        return Training(
            config, split, self.runs, keep, teacher, measured_views, self.n_threads, precision, bars, on_epoch
        )

    def is_finished(self, training: Training) -> bool:
        """Whether nothing is left to do."""
        run = training.find_run(self.dataset)
        is_measured = not training.measured_views or (run.folder / "final.json").is_file()
        return run.is_finished and (run.best_path.is_file() or not training.keep) and is_measured

    def submit(self, training: Training) -> "Future[Run]":
        """Have it done; what is finished is looked up here and sent nowhere."""
        if not self.executor.is_here:
            training = dataclasses.replace(training, on_epoch=None)
            if self.is_finished(training):
                return HereExecutor(self.dataset).submit(do_training, training)
        return self.executor.submit(do_training, training)

    def submit_ahead(self, wanted: Iterable[T], submit: Callable[[T], S]) -> Iterator[S]:
        """Return what submit() gives for each, in order: here submitted when its turn comes, elsewhere all at once."""
        submitted = map(submit, wanted)
        return submitted if self.executor.is_here else iter(list(submitted))
