"""The plan of a study: a study file and a dataset in; its trainings, FLOPs, time and cost out, before anything trains.

A few trainings of every kind are set up for real, in a temporary folder, and the parts that a training is made of are
timed with few images, with the threads that the study gives a training.
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

import torch

from emoscope.executors.executor import Resources
from emoscope.study.data.dataset import Dataset
from emoscope.study.recipes.families import Comparison, Space, create_fold_config, create_repeat_config
from emoscope.study.recipes.study import StudyConfig
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.search import rehearse_search
from emoscope.study.running.split_folder import draw_faces
from emoscope.study.running.timing import Cost, Range, Timer, add_ranges, read_clock
from emoscope.study.training.threads import limit_threads

SAMPLES = 3
"""Configs of a family that are timed, at least; one per network if it has more."""


RANGE = ("low", "expected", "high")


@dataclass(frozen=True)
class PhasePlan:
    """One phase of a family, or a whole study without families."""

    family: str
    phase: str
    n_runs: int
    seconds: Range
    """Of all of them, one after the other."""
    flops: float
    n_at_once: int
    """How many of them can be done at the same time."""
    epochs: Range = (0.0, 0.0, 0.0)
    """Of one training."""
    memory_bytes: float = 0.0
    """That the largest needs."""
    disk_bytes: float = 0.0
    """That is left of them."""
    scratch_bytes: float = 0.0
    """That the largest needs while it trains."""


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
            "seconds": dict(zip(RANGE, self.find_wall_s(), strict=True)),
            "accelerator_hours": dict(zip(RANGE, self.find_accelerator_h(), strict=True)),
            "memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "overhead_s": self.overhead_s,
            "trainings_at_once": self.n_slots,
            "machines": self.n_machines,
            "device": self.device,
            "calibration_s": self.calibration_s,
        }

    @property
    def memory_bytes(self) -> float:
        """What the largest training needs, beside the libraries'."""
        return max(phase.memory_bytes for phase in self.phases)

    @property
    def disk_bytes(self) -> float:
        """Of all that is left, and of the trainings under way."""
        scratch = max(phase.scratch_bytes for phase in self.phases)
        return sum(phase.disk_bytes for phase in self.phases) + self.n_slots * scratch

    def find_wall_s(self) -> Range:
        """Return the time from beginning to end: no less than the longest chain of phases, nor than the shared work."""
        low, expected, high = (self._find_wall_s(i) for i in range(len(RANGE)))
        return low, expected, high

    def _find_wall_s(self, index: int) -> float:
        chains: dict[str, float] = {}
        total = 0.0
        for phase in self.phases:
            seconds = phase.seconds[index]
            total += seconds
            rounds = -(-phase.n_runs // min(self.n_slots, phase.n_at_once))
            chains[phase.family] = chains.get(phase.family, 0.0) + rounds * seconds / max(1, phase.n_runs)
        return max(total / self.n_slots, *chains.values()) + self.overhead_s

    def find_accelerator_h(self) -> Range:
        """Return the hours of all trainings one after the other; 0 where none was timed on an accelerator."""
        if self.device == "the CPU":
            return 0.0, 0.0, 0.0
        low, expected, high = (sum(phase.seconds[i] for phase in self.phases) / 3600 for i in range(len(RANGE)))
        return low, expected, high


def plan_study(
    config: StudyConfig | Comparison,
    dataset: Dataset,
    n_machines: int = 1,
    n_gpus: int = 0,
    start_s: float = 0.0,
    on_progress: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Estimate what a study takes on machines such as this one.

    Args:
        config: the study.
        dataset: the whole one.
        n_machines: how many.
        n_gpus: accelerators per machine, each with a training at a time; 0: one training at a time per machine.
        start_s: what loading libraries and data took.
        on_progress: called with a line for each thing that is timed.

    Raises:
        InputError: the data do not fit the study.
    """
    start = time.perf_counter()
    n_threads = (config.resources or Resources()).n_threads
    with tempfile.TemporaryDirectory() as folder, limit_threads(n_threads):
        timer = Timer(dataset, Path(folder), on_progress)
        if isinstance(config, Comparison):
            timer.dataset = draw_faces(dataset, config)
            phases, overhead_s = _plan_comparison(config, timer)
        else:
            phases, overhead_s = _plan_trainings(config, timer)
    n_slots = n_machines * max(1, n_gpus)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    return Plan(phases, start_s + overhead_s, n_slots, n_machines, time.perf_counter() - start, device)


def _plan_trainings(config: StudyConfig, timer: Timer) -> tuple[list[PhasePlan], float]:
    costs = [timer.find_cost(training, keep=True) for training in config.trainings]
    # A student waits for its members, of which none may be trained here.
    n_together = max(1, len(config.trainings) - (config.student is not None))
    return [_add_up("", "training", costs, len(costs), n_together)], timer.split_s


def _plan_comparison(config: Comparison, timer: Timer) -> tuple[list[PhasePlan], float]:
    phases, overhead_s = [], 0.0
    for family, space in config.families.items():
        samples = choose_samples(space, config.search.seed)
        for phase, n_runs in config.count_runs(family).items():
            adapt, keep = _adapt(phase, config)
            costs = [timer.find_cost(adapt(sample), keep) for sample in samples]
            n_at_once = config.search.in_flight if phase == "search" else n_runs
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
    if not costs:
        # Networks that exist are only put together.
        return PhasePlan(family, phase, 0, (0.0, 0.0, 0.0), 0.0, 1)

    def average(key: str) -> float:
        return statistics.fmean(getattr(cost, key) for cost in costs)

    return PhasePlan(
        family,
        phase,
        n_runs,
        add_ranges([cost.seconds for cost in costs], n_runs),
        n_runs * average("flops"),
        n_at_once,
        add_ranges([cost.epochs for cost in costs]),
        max(cost.memory_bytes for cost in costs),
        n_runs * average("kept_bytes"),
        max(cost.scratch_bytes for cost in costs),
    )


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
    how = config.search
    scores = random.Random(how.seed)
    start = read_clock()
    rehearse_search(space, lambda c: (scores.random(), ""), n_trials=n, sampler=how.sampler, seed=how.seed)
    return (read_clock() - start) * n_trials / n
