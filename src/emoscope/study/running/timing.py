"""What one training takes: a dataset and configs in, seconds and FLOPs out, from doing each of its parts once."""

import dataclasses
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from emoscope.core.emotions import EMOTIONS
from emoscope.faces.preprocess import VIEWS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.measuring.metrics import compute_metrics
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.checkpoint import save_tensors
from emoscope.study.training.run_folder import open_run
from emoscope.study.training.trainer import Trainer

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

    def __init__(self, dataset: Dataset, folder: Path, on_progress: Callable[[str], None]) -> None:
        self.dataset, self.folder, self.on_progress = dataset, folder, on_progress
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
            # Weights from elsewhere make nothing faster or slower: a plan needs no network.
            pretrained=False,
        )
        if kind not in self.known:
            self.on_progress(f"timing {kind.network}, {kind.size_px} px, {kind.batch_size} images per step")
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
        # A step costs the same; drawing the pool would take minutes.
        config = dataclasses.replace(config, views=0)
        teacher = None
        if config.distil_weight:
            teacher = np.full((len(split.train), len(EMOTIONS)), 1 / len(EMOTIONS), np.float32)
        if not self.known:
            # The very first also loads what all others find loaded.
            Trainer(self.dataset, split, config, open_run(self.folder / "first", config, split, self.dataset), teacher)
        start = time.perf_counter()
        run = open_run(self.folder, config, split, self.dataset)
        run.lease()
        trainer = Trainer(self.dataset, split, config, run, teacher)
        set_up_s = time.perf_counter() - start
        step_s, step_flops = {}, {}
        for size_px in dict.fromkeys(config.find_size_px(epoch) for epoch in range(config.epochs)):
            epoch = next(e for e in range(config.epochs) if config.find_size_px(e) == size_px)
            step_s[size_px], step_flops[size_px], compile_s = time_steps(trainer, epoch)
            set_up_s += compile_s
        few = dataclasses.replace(split, validation=split.validation[:VALIDATION_IMAGES])
        trainer.split = few
        network = trainer.state.ema
        times = [_time(lambda: trainer.predict_validation(network)) for _ in range(2)]
        with FlopCounterMode(display=False) as counter:
            trainer.predict_validation(network)
        n = len(few.validation)
        image_s = min(times) / n
        start = time.perf_counter()
        with trainer.tensorboard.open(trainer.state.epoch):
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
        trainer.tensorboard.write(dict.fromkeys(map(str, range(9)), 0.0), 1)
        trainer.state.save(trainer.run.checkpoint_path)


def time_steps(trainer: Trainer, epoch: int) -> tuple[float, float, float]:
    """Return the seconds and FLOPs of one step at the size of an epoch, and the seconds of compiling for it."""
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
    compile_s = 0.0
    if config.compile:
        # Compiled for one size of batch: by the first whole step, once in a training.
        compile_s, seconds = (_time(step, trainer.n_images) for _ in range(2))
    else:
        seconds = _time(step, few) * trainer.n_images / few
    if seconds < LONG_STEP_S:
        step(trainer.n_images)
        seconds = statistics.median(_time(step, trainer.n_images) for _ in range(5))
    return seconds, flops, compile_s


def _time(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start
