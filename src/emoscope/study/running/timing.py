"""What one training takes: a dataset and configs in; seconds, FLOPs, memory, disk out, from a few steps of each kind.

Nothing is fetched, compiled or written: a step costs a part that it always costs and a part for each image, so that two
small batches tell what any batch takes; networks of every size fit into a minute and a laptop's memory.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from emoscope.faces.preprocess import VIEWS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.predict import predict_logits
from emoscope.study.training.run_name import open_run
from emoscope.study.training.trainer import CHECKPOINT_EVERY_S, Trainer

FEW, MORE = 2, 8
"""Images of the two batches that are timed."""
SPLIT_IMAGES: Final = 2000
"""From so many the time of drawing a split is told."""
LONG_S: Final = 0.2
"""Of a step with few images, from which on the larger batch would tell nothing new."""
BEST: Final = (1, 9)
"""Where the best epoch of a training lies that early stopping ends, at least and on average: of thesis-small's first
trainings."""
WRITE_BYTES_S: Final = 5e8
"""Of a checkpoint with its fingerprint: a common solid-state disk's. It decides little: one a minute is written."""
COMPILE_S: Final = {"cpu": 30.0, "cuda": 45.0}
"""torch.compile of one network for one size of its input."""
EPOCH_FILES_S: Final = 0.02
"""Figures of an epoch, metrics.csv and TensorBoard."""
MEGABYTE: Final = 1e6

Range = tuple[float, float, float]
"""Low: early stopping ends it as soon as it can; expected; high: it never does."""


@dataclass(frozen=True)
class Cost:
    """What one training takes."""

    epochs: Range
    seconds: Range
    flops: float
    """Floating-point operations of the expected epochs; a multiplication and an addition are two."""
    memory_bytes: float
    """While a step is done, beside the libraries'."""
    kept_bytes: float
    """On disk, once it is finished."""
    scratch_bytes: float
    """On disk, while it trains."""


@dataclass(frozen=True)
class Parts:
    """What was measured of one kind of training: seconds, and sizes."""

    set_up_s: float
    step_s: dict[int, tuple[float, float]]
    """Of a step, by size: always, and for each image."""
    step_flops: dict[int, float]
    """For each image."""
    image_s: float
    """Of one validation image."""
    weights_bytes: float
    activation_bytes: float
    """For each image of a step at the largest size."""


class Timer:
    """Times trainings, each kind once."""

    def __init__(self, dataset: Dataset, folder: Path, on_progress: Callable[[str], None]) -> None:
        self.dataset, self.folder, self.on_progress = dataset, folder, on_progress
        self.known: dict[TrainConfig, Parts] = {}
        self.split_s = 0.0
        """Of drawing one split."""

    def find_cost(self, config: TrainConfig, keep: bool) -> Cost:
        """Return what a training takes; one that is kept is measured on its test images, too."""
        split = self.find_split(config)
        kind = find_kind(config)
        if kind not in self.known:
            self.on_progress(f"timing {kind.network}, {kind.size_px} px")
            self.known[kind] = self.measure(kind)
        parts = self.known[kind]
        n_images = config.batch_size // config.repeats
        n_steps = len(split.train) // n_images
        n_validation, n_test = len(split.validation), len(split.test)
        n_views = sum(VIEWS) if keep else 1
        end_s = parts.set_up_s + (n_validation * n_views + n_test * keep) * parts.image_s
        compile_s = COMPILE_S.get(find_device().type, 0.0) * len(set(config.sizes_px)) * config.compile

        def sum_epochs(n: int) -> float:
            steps = 0.0
            for epoch in range(n):
                always_s, image_s = parts.step_s[config.find_size_px(epoch)]
                steps += n_steps * (always_s + config.batch_size * image_s / config.devices)
            return steps + count_validations(config, n) * n_validation * parts.image_s + n * EPOCH_FILES_S

        def find_seconds(n: int) -> float:
            epochs_s = sum_epochs(n)
            n_written = 1 + min(n, epochs_s / CHECKPOINT_EVERY_S)
            write_s = n_written * (state_bytes + parts.weights_bytes) / WRITE_BYTES_S
            return parts.set_up_s + compile_s + epochs_s + write_s + end_s

        # Weights, their gradients, what the optimiser keeps, and their average.
        n_copies = 2 + (1 if config.optimizer == "sgd" else 2) + (config.ema_decay > 0)
        state_bytes = n_copies * parts.weights_bytes
        epochs = find_epochs(config)
        low, expected, high = (find_seconds(n) for n in epochs)
        n_steps_done = n_steps * config.batch_size
        flops = sum(n_steps_done * parts.step_flops[config.find_size_px(epoch)] for epoch in range(epochs[1]))
        # The backward pass has twice the operations of the forward one.
        image_flops = parts.step_flops[config.size_px] / 3
        flops += ((count_validations(config, epochs[1]) + n_views) * n_validation + n_test * keep) * image_flops
        pool_bytes = config.views * len(split.train) * max(self.dataset.pixels.shape[1:]) ** 2
        predictions = (n_validation * n_views + n_test * keep) * len(self.dataset.classes) * 4
        return Cost(
            epochs,
            (low, expected, high),
            flops,
            memory_bytes=state_bytes
            + parts.activation_bytes * config.batch_size / config.devices
            + self.dataset.pixels.nbytes,
            kept_bytes=parts.weights_bytes * keep + predictions,
            scratch_bytes=state_bytes + parts.weights_bytes + pool_bytes,
        )

    def find_split(self, config: TrainConfig) -> Split:
        """Return a split of the size of a training's: drawing a real one by groups takes half a minute."""
        if config.protocol not in ("thesis", "random", "naive"):
            return create_split(self.dataset, config)
        if not self.split_s:
            self.split_s = self.time_split(config)
        rows = np.arange(len(self.dataset))
        n_test = len(rows) // 5
        n_validation = (len(rows) - n_test) // config.n_folds
        return Split(rows[n_test + n_validation :], rows[n_test : n_test + n_validation], rows[:n_test])

    def time_split(self, config: TrainConfig) -> float:
        """Return the seconds of drawing a split, which grow with the number of images.

        Raises:
            InputError: the data do not fit the protocol.
        """
        n = min(len(self.dataset), SPLIT_IMAGES)
        faces = self.dataset if n == len(self.dataset) else self.dataset.sample(n, 0, stratified=True)
        return _time(create_split, faces, config) * len(self.dataset) / n

    def measure(self, config: TrainConfig) -> Parts:
        """Time the parts of a training by doing a few steps of it."""
        split = self.find_split(config)
        teacher = None
        if config.distil_weight:
            n_classes = len(self.dataset.classes)
            teacher = np.full((len(split.train), n_classes), 1 / n_classes, np.float32)
        if not self.known:
            # The very first also loads what all others find loaded.
            Trainer(self.dataset, split, config, open_run(self.folder / "first", config, split, self.dataset), teacher)
        start = read_clock()
        run = open_run(self.folder, config, split, self.dataset)
        trainer = Trainer(self.dataset, split, config, run, teacher)
        set_up_s = read_clock() - start
        step_s, step_flops = {}, {}
        for size_px in dict.fromkeys(config.find_size_px(epoch) for epoch in range(config.epochs)):
            epoch = next(e for e in range(config.epochs) if config.find_size_px(e) == size_px)
            step_s[size_px], step_flops[size_px] = time_steps(trainer, epoch)
        last = max(config.epochs - 1, 0)
        activation_bytes = count_activations(trainer, last)
        faces, network = self.dataset.pixels[split.validation[:MORE]], trainer.state.ema
        image_s = min(_time(predict_logits, network, faces, trainer.spec) for _ in range(2)) / len(faces)
        weights = sum(t.nbytes for t in trainer.state.network.state_dict().values())
        return Parts(set_up_s, step_s, step_flops, image_s, weights, activation_bytes)


def find_kind(config: TrainConfig) -> TrainConfig:
    """Return the config that stands for all trainings whose steps cost the same."""
    return dataclasses.replace(
        config,
        fold=0,
        n_folds=8,
        fold_seed=-1,
        seed=0,
        learning_rate=1e-6,
        # Of the time a step takes, these decide a few per cent.
        optimizer="adam",
        augment=True,
        schedule="constant",
        warmup=0.0,
        patience=0,
        validate_every=1,
        batch_size=MORE,
        repeats=1,
        devices=1,
        # A view costs what augmentation does, and drawing the pool would take minutes; so would compiling.
        views=0,
        compile=False,
        # Weights from elsewhere make nothing faster or slower: a plan needs no network.
        pretrained=False,
    )


def find_epochs(config: TrainConfig) -> tuple[int, int, int]:
    """Return how many epochs a training has: the least, what is expected, and the most."""
    if not config.patience:
        return config.epochs, config.epochs, config.epochs
    every = config.validate_every
    # It ends with a validation, and the best epoch is one that was validated.
    low, expected = (min(config.epochs, sum(-(-n // every) * every for n in (best, config.patience))) for best in BEST)
    return low, expected, config.epochs


def count_validations(config: TrainConfig, n_epochs: int) -> int:
    """Return how often a training of n epochs validates."""
    return -(-n_epochs // config.validate_every)


def time_steps(trainer: Trainer, epoch: int) -> tuple[tuple[float, float], float]:
    """Return the seconds of one step at the size of an epoch, always and for each image; and an image's FLOPs."""
    device = trainer.images.device
    generator, rng = torch.Generator(device).manual_seed(0), np.random.default_rng(0)

    def step(n_images: int) -> None:
        rows = torch.arange(n_images, device=device) % len(trainer.images)
        trainer.model.train()
        loss, _ = trainer.do_step(rows, epoch, 0, generator, rng)
        float(loss)  # waits for an accelerator

    # The counter's own work is no part of a step, and the first one loads and allocates.
    with FlopCounterMode(display=False) as counter:
        step(FEW)
    few_s = _time(step, FEW)
    if few_s > LONG_S:
        # What a step always costs is little beside such images.
        return (0.0, few_s / FEW), counter.get_total_flops() / FEW
    few_s = min(few_s, *(_time(step, FEW) for _ in range(2)))
    more_s = min(_time(step, MORE) for _ in range(3))
    image_s = max((more_s - few_s) / (MORE - FEW), 0.25 * more_s / MORE)
    return (max(0.0, more_s - MORE * image_s), image_s), counter.get_total_flops() / FEW


def count_activations(trainer: Trainer, epoch: int) -> float:
    """Return the bytes that the backward pass of a step needs for each image."""
    device = trainer.images.device
    generator, rng = torch.Generator(device).manual_seed(0), np.random.default_rng(0)
    x, _, _ = trainer.images.create_batch(torch.arange(FEW, device=device), epoch, generator, rng)
    own = {p.untyped_storage().data_ptr() for p in trainer.state.network.parameters()}
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        trainer.model(x)
    return sum(seen.values()) / FEW


def find_device() -> torch.device:
    """Return where trainings are timed."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read_clock() -> float:
    """Return seconds: with one thread those of the processor, since other processes take none of them."""
    is_alone = find_device().type == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if is_alone else time.perf_counter()


def _time(function: Callable[..., Any], *arguments: Any) -> float:
    start = read_clock()
    function(*arguments)
    return read_clock() - start


def add_ranges(ranges: Sequence[Range], factor: float = 1.0) -> Range:
    """Return the mean of ranges, times a factor."""
    low, expected, high = (factor * float(np.mean(values)) for values in zip(*ranges, strict=True))
    return low, expected, high
