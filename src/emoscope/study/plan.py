"""The plan of a study: a study file and a dataset in; its trainings, FLOPs, time and cost out, before anything trains.

A few trainings of every kind are set up for real, in a temporary folder, and the parts that a training is made of are
timed: setting up, steps, validation, writing. Steps of large batches are measured with fewer images.
"""

import dataclasses
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from emoscope.emotions import EMOTIONS
from emoscope.preprocess import VIEWS
from emoscope.study.comparison import Comparison, Space, create_fold_config, create_repeat_config
from emoscope.study.config import TrainConfig
from emoscope.study.dataset import Dataset
from emoscope.study.metrics import compute_metrics
from emoscope.study.runs import open_run
from emoscope.study.search import search
from emoscope.study.splits import Split, create_split
from emoscope.study.state import save_tensors
from emoscope.study.studyfile import StudyConfig
from emoscope.study.trainer import Trainer

SAMPLES = 3
"""Configs of a family that are timed, at least; one per network if it has more."""
LONG_STEP_S = 1.0
"""A step that takes longer is timed with an eighth of its images."""
VALIDATION_IMAGES = 64


@dataclass(frozen=True)
class Cost:
    """What one training takes."""

    seconds: float
    """To the last of its epochs."""
    least_s: float
    """If early stopping ends it as soon as it can."""
    flops: float
    """Floating-point operations, to the last of its epochs; a multiplication and an addition are two."""


@dataclass(frozen=True)
class PhasePlan:
    """One phase of a family, or a whole study without families."""

    family: str
    phase: str
    n_runs: int
    seconds: float
    least_s: float
    flops: float
    n_at_once: int
    """How many of them can be done at the same time."""


@dataclass(frozen=True)
class Plan:
    """What a study takes."""

    phases: list[PhasePlan]
    overhead_s: float
    """Loading libraries and data, choosing trials, preparing splits."""
    n_slots: int
    """Trainings at once."""
    n_machines: int
    calibration_s: float
    device: str

    @property
    def n_runs(self) -> int:
        """All trainings."""
        return sum(phase.n_runs for phase in self.phases)

    @property
    def flops(self) -> float:
        """Of all trainings."""
        return sum(phase.flops for phase in self.phases)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "phases": [dataclasses.asdict(phase) for phase in self.phases],
            "runs": self.n_runs,
            "flops": self.flops,
            "seconds": self.find_wall_s(),
            "least_s": self.find_wall_s(is_least=True),
            "overhead_s": self.overhead_s,
            "trainings_at_once": self.n_slots,
            "machines": self.n_machines,
            "device": self.device,
            "calibration_s": self.calibration_s,
        }

    def find_wall_s(self, is_least: bool = False) -> float:
        """Return the time from beginning to end: no less than the longest chain of phases, nor than the shared work."""
        chains: dict[str, float] = {}
        total = 0.0
        for phase in self.phases:
            seconds = phase.least_s if is_least else phase.seconds
            total += seconds
            rounds = -(-phase.n_runs // min(self.n_slots, phase.n_at_once))
            chains[phase.family] = chains.get(phase.family, 0.0) + rounds * seconds / max(1, phase.n_runs)
        return max(total / self.n_slots, *chains.values()) + self.overhead_s


def plan_study(
    config: StudyConfig | Comparison,
    dataset: Dataset,
    n_machines: int = 1,
    n_gpus: int = 0,
    start_s: float = 0.0,
    tell: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Estimate what a study takes on machines such as this one.

    Args:
        config: the study.
        dataset: the whole one.
        n_machines: how many.
        n_gpus: accelerators per machine, each with a training at a time; 0: one training at a time per machine.
        start_s: what loading libraries and data took.
        tell: told what is being timed.

    Raises:
        InputError: the data do not fit the study.
    """
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        timer = Timer(dataset, Path(folder), tell)
        if isinstance(config, Comparison):
            if config.images:
                timer.dataset = dataset.sample(config.images, config.seed)
            phases, overhead_s = _plan_comparison(config, timer)
        else:
            phases, overhead_s = _plan_trainings(config, timer)
    n_slots = n_machines * max(1, n_gpus)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    return Plan(phases, start_s + overhead_s, n_slots, n_machines, time.perf_counter() - start, device)


def _plan_trainings(config: StudyConfig, timer: "Timer") -> tuple[list[PhasePlan], float]:
    costs = [timer.find_cost(training, keep=True) for training in config.trainings]
    n_together = len(config.trainings) - (config.student is not None)
    return [_add_up("", "training", costs, len(costs), n_together)], timer.split_s


def _plan_comparison(config: Comparison, timer: "Timer") -> tuple[list[PhasePlan], float]:
    phases, overhead_s = [], 0.0
    for family, space in config.families.items():
        samples = choose_samples(space, config.seed)
        for phase, n_runs in config.count_runs(family).items():
            adapt, keep = _adapt(phase, config)
            costs = [timer.find_cost(adapt(sample), keep) for sample in samples]
            n_at_once = config.in_flight if phase == "search" else n_runs
            phases.append(_add_up(family, phase, costs, n_runs, n_at_once))
        overhead_s += time_search(space, config, config.count_trials(family))
    n_splits = 1 + config.folds + config.repeats
    return phases, overhead_s + n_splits * timer.split_s


def _adapt(phase: str, config: Comparison) -> tuple[Callable[[TrainConfig], TrainConfig], bool]:
    """Return what makes a phase's training of a trial, and whether it is kept and measured."""
    if phase == "search":
        return lambda c: c, False
    if phase == "crossval":
        return lambda c: create_fold_config(c, 0, config.folds), False
    return lambda c: create_repeat_config(c, 0), True


def _add_up(family: str, phase: str, costs: Sequence[Cost], n_runs: int, n_at_once: int) -> PhasePlan:
    def total(key: str) -> float:
        return n_runs * statistics.fmean(getattr(cost, key) for cost in costs)

    return PhasePlan(family, phase, n_runs, total("seconds"), total("least_s"), total("flops"), n_at_once)


def choose_samples(space: Space, seed: int) -> list[TrainConfig]:
    """Return configs that stand for a space: some at random, each of its networks among them."""
    rng = random.Random(seed)
    networks = range(len(space.values.get("network", ("",))))
    found: dict[TrainConfig, None] = {}
    for network in itertools.islice(itertools.cycle(networks), max(SAMPLES, len(networks))):
        point = {key: rng.randrange(len(values)) for key, values in space.values.items()}
        if "network" in point:
            point["network"] = network
        found[space.create_config(point)] = None
    return list(found)


def time_search(space: Space, config: Comparison, n_trials: int) -> float:
    """Return the seconds that choosing a family's trials takes, from a rehearsal of a few without training."""
    n = min(n_trials, 4)
    scores = random.Random(config.seed)
    start = time.perf_counter()
    search(space, lambda c: (scores.random(), ""), n_trials=n, sampler=config.sampler, seed=config.seed)
    return (time.perf_counter() - start) * n_trials / n


@dataclass(frozen=True)
class Parts:
    """What was measured of one kind of training, in seconds."""

    set_up_s: float
    step_s: dict[int, float]
    """Of one step, by size."""
    step_flops: dict[int, float]
    image_s: float
    """Of one validation image."""
    image_flops: float
    write_s: float
    """Of all files that an epoch writes."""
    finish_s: float
    """Of the network that is built again for the end, and the files of a finished run."""


class Timer:
    """Times trainings, each kind once."""

    def __init__(self, dataset: Dataset, folder: Path, tell: Callable[[str], None]) -> None:
        self.dataset, self.folder, self.tell = dataset, folder, tell
        self.known: dict[TrainConfig, Parts] = {}
        self.splits: dict[tuple[Any, ...], Split] = {}
        self.split_s = 0.0
        """Of drawing one split."""

    def find_cost(self, config: TrainConfig, keep: bool) -> Cost:
        """Return what a training takes; one that is kept is measured on its test images, too."""
        split = self.find_split(config)
        # What decides no cost is no other kind.
        kind = dataclasses.replace(
            config,
            fold=0,
            n_folds=8,
            fold_seed=-1,
            seed=0,
            learning_rate=1e-6,
            schedule="constant",
            warmup=0.0,
            devices=1,
        )
        if kind not in self.known:
            self.tell(f"timing {kind.network}, {kind.size_px} px, {kind.batch_size} images per step")
            self.known[kind] = self.measure(kind)
        parts = self.known[kind]
        n_steps = len(split.train) // (config.batch_size // config.repeats)
        n_validation, n_test = len(split.validation), len(split.test)

        def sum_epochs(n: int) -> float:
            steps = sum(n_steps * parts.step_s[config.find_size_px(epoch)] for epoch in range(n))
            return steps / config.devices + n * (n_validation * parts.image_s + parts.write_s)

        n_views = sum(VIEWS) if keep else 1
        end_s = (
            parts.finish_s + n_validation * n_views * parts.image_s + (n_test * parts.image_s + parts.finish_s) * keep
        )
        least = min(config.epochs, config.patience + 1) if config.patience else config.epochs
        flops = sum(n_steps * parts.step_flops[config.find_size_px(epoch)] for epoch in range(config.epochs))
        flops += (config.epochs * n_validation + n_validation * n_views + n_test * keep) * parts.image_flops
        fixed_s = parts.set_up_s + end_s
        return Cost(fixed_s + sum_epochs(config.epochs), fixed_s + sum_epochs(least), flops)

    def find_split(self, config: TrainConfig) -> Split:
        """Return a training's split, drawn once."""
        key = (config.protocol, config.split_seed, config.fold, config.n_folds, config.fold_seed)
        if key not in self.splits:
            start = time.perf_counter()
            self.splits[key] = create_split(self.dataset, config)
            # The first also loads what draws it, which happens once.
            self.split_s = time.perf_counter() - start
        return self.splits[key]

    def measure(self, config: TrainConfig) -> Parts:
        """Time the parts of a training by doing each."""
        split = self.find_split(config)
        teacher = None
        if config.distil_weight:
            teacher = np.full((len(split.train), len(EMOTIONS)), 1 / len(EMOTIONS), np.float32)
        if not self.known:
            # The very first also loads what all others find loaded.
            Trainer(self.dataset, split, config, open_run(self.folder / "first", config, split, self.dataset), teacher)
        start = time.perf_counter()
        run = open_run(self.folder, config, split, self.dataset)
        run.claim()
        trainer = Trainer(self.dataset, split, config, run, teacher)
        set_up_s = time.perf_counter() - start
        step_s, step_flops = {}, {}
        for size_px in dict.fromkeys(config.find_size_px(epoch) for epoch in range(config.epochs)):
            epoch = next(e for e in range(config.epochs) if config.find_size_px(e) == size_px)
            step_s[size_px], step_flops[size_px] = time_steps(trainer, epoch)
        few = dataclasses.replace(split, validation=split.validation[:VALIDATION_IMAGES])
        trainer.split = few
        network = trainer.state.ema
        times = [_time(lambda: trainer.predict_validation(network)) for _ in range(2)]
        with FlopCounterMode(display=False) as counter:
            trainer.predict_validation(network)
        n = len(few.validation)
        image_s = min(times) / n
        start = time.perf_counter()
        with trainer.open_board():
            set_up_s += time.perf_counter() - start
            write_s = _time(lambda: self.write(trainer))
        finish_s = _time(trainer.finish, (1,)) - n * image_s
        for path in (run.best_path, run.checkpoint_path):
            path.unlink(missing_ok=True)
        return Parts(
            set_up_s, step_s, step_flops, image_s, counter.get_total_flops() / n, write_s, max(0.0, finish_s)
        )  # fmt: skip

    @staticmethod
    def write(trainer: Trainer) -> None:
        """Write what an epoch writes."""
        n = len(trainer.split.validation)
        compute_metrics(
            np.full((n, len(EMOTIONS)), 1 / len(EMOTIONS)), trainer.dataset.emotion[trainer.split.validation]
        )
        trainer.state.history = [{"epoch": 1, "fit_s": 0.0, "validate_s": 0.0}]
        save_tensors(trainer.run.best_path, trainer.state.ema.state_dict(), {"epoch": "1"})
        trainer.run.write_history(trainer.state.history)
        trainer.write_board(dict.fromkeys(map(str, range(9)), 0.0))
        trainer.state.save(trainer.run.checkpoint_path)


def time_steps(trainer: Trainer, epoch: int) -> tuple[float, float]:
    """Return the seconds and FLOPs of one step at the size of an epoch."""
    config, device = trainer.config, trainer.faces.device
    generator = torch.Generator(device).manual_seed(0)

    def step(n_images: int) -> None:
        rows = torch.arange(n_images, device=device).repeat_interleave(config.repeats)
        trainer.model.train()
        loss, _ = trainer.step(*trainer.create_batch(rows, epoch, generator))
        if trainer.averager:
            trainer.averager.update(trainer.state.network, step=0)
        float(loss)  # waits for an accelerator

    few = max(2, trainer.n_images // 8)
    with FlopCounterMode(display=False) as counter:
        step(few)
    flops = counter.get_total_flops() * trainer.n_images / few
    seconds = _time(step, few) * trainer.n_images / few
    if seconds < LONG_STEP_S:
        step(trainer.n_images)
        seconds = statistics.median(_time(step, trainer.n_images) for _ in range(5))
    return seconds, flops


def _time(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start
