"""One training: dataset and config in, a finished run folder out; resumes after any interruption."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from timm.optim import param_groups_weight_decay
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from timm.scheduler.scheduler import Scheduler
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from emoscope.emotions import EMOTIONS
from emoscope.errors import InputError
from emoscope.files import open_atomic, write_json
from emoscope.preprocess import preprocess
from emoscope.recognize import compute_probabilities
from emoscope.spec import ModelSpec
from emoscope.study.config import TrainConfig
from emoscope.study.dataset import Dataset
from emoscope.study.inputs import Augmentation, create_batch
from emoscope.study.metrics import compute_metrics
from emoscope.study.networks import create_network
from emoscope.study.runs import Run, open_run
from emoscope.study.splits import Split, create_split

log = logging.getLogger(__name__)

EVALUATION_BATCH = 512


@dataclass
class State:
    """Everything a training is, beside its data and config; checkpoint and resume go through it alone."""

    network: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    """Epochs done."""
    best_macro_f1: float = -1.0
    """The highest of all epochs: its weights are kept."""
    best_epoch: int = -1
    """Counted from 0."""
    stale_f1: float = -1.0
    """Early stopping's mark, raised only by more than min_delta."""
    stale_epochs: int = 0
    """Epochs since the mark rose."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row per epoch."""

    SCALARS = ("epoch", "best_macro_f1", "best_epoch", "stale_f1", "stale_epochs", "history")

    def save(self, path: Path) -> None:
        """Write one safetensors file, numbers in its header."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
        for i, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": v for k, v in values.items() if isinstance(v, Tensor)}
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        scalars = json.dumps({name: getattr(self, name) for name in self.SCALARS})
        with open_atomic(path) as temporary:
            save_file(tensors, temporary, metadata={"state": scalars})

    def load(self, path: Path) -> None:
        """Take everything over from a file that save() wrote."""
        parts: dict[str, dict[str, Any]] = {"network": {}, "ema": {}, "optimizer": {}}
        with safe_open(path, framework="pt") as f:
            for key in f.keys():  # noqa: SIM118  (not a dict)
                part, name = key.split(".", 1)
                parts[part][name] = f.get_tensor(key)
            scalars = json.loads(f.metadata()["state"])
        self.network.load_state_dict(parts["network"])
        self.ema.load_state_dict(parts["ema"])
        optimizer_state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts["optimizer"].items():
            index, name = key.split(".", 1)
            optimizer_state.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": optimizer_state, "param_groups": groups})
        for name in self.SCALARS:
            setattr(self, name, scalars[name])


def create_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Create the optimiser; norms and biases get no weight decay."""
    groups = param_groups_weight_decay(network, config.weight_decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, config.learning_rate, momentum=0.9, nesterov=True, foreach=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, config.learning_rate, foreach=True)


def create_scheduler(optimizer: torch.optim.Optimizer, config: TrainConfig, n_steps: int) -> Scheduler:
    """Create the learning-rate schedule over n_steps; it is a function of the step number and keeps no state."""
    warmup = round(config.warmup * n_steps)
    start = config.learning_rate / 25
    if config.schedule == "cosine":
        return CosineLRScheduler(
            optimizer,
            t_initial=max(1, n_steps - warmup),
            lr_min=config.learning_rate * 1e-3,
            warmup_t=warmup,
            warmup_lr_init=start,
            warmup_prefix=True,
            t_in_epochs=False,
        )
    return StepLRScheduler(
        optimizer, decay_t=n_steps + 1, decay_rate=1.0, warmup_t=warmup, warmup_lr_init=start, t_in_epochs=False
    )


def compute_class_weights(labels: NDArray[np.uint8], power: float) -> Tensor:
    """Return (7,) loss weights, share^-power, with mean 1 over the images; a class without images gets 0."""
    counts = np.bincount(labels, minlength=len(EMOTIONS)).astype(np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0)
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def choose_precision(config: TrainConfig, device: torch.device) -> tuple[str, str]:
    """Return Fabric's name of the precision and why it was chosen.

    `auto` times forward and backward passes of both, because bfloat16 is faster on some processors and three times
    slower on others.
    """
    names = {"float32": "32-true", "bfloat16": "bf16-mixed"}
    if config.precision != "auto":
        return names[config.precision], "as configured"
    network = create_network(config.network).to(device).to(memory_format=torch.channels_last)
    x = torch.randn(config.batch_size, 1, config.size_px, config.size_px, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    seconds = {}
    for name in names:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=name == "bfloat16"):
                loss = network(x).float().square().mean()
            loss.backward()
            loss.item()
            times.append(time.perf_counter() - start)
        seconds[name] = min(times)
    best = min(seconds, key=lambda name: seconds[name])
    reason = ", ".join(f"{name} {1000 * s:.0f} ms" for name, s in seconds.items())
    return names[best], f"fastest per step: {reason}"


def predict_logits(network: nn.Module, pixels: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.float32]:
    """Return logits (n, 7) of faces (n, h, w) in evaluation mode, inputs made by the runtime's preprocess()."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    out = []
    with torch.inference_mode():
        for i in range(0, len(pixels), EVALUATION_BATCH):
            x = torch.from_numpy(preprocess(pixels[i : i + EVALUATION_BATCH], spec))
            x = x.to(device).contiguous(memory_format=torch.channels_last)
            out.append(network(x).float().cpu().numpy())
    network.train(was_training)
    return np.concatenate(out)


def compute_seed(seed: int, epoch: int) -> int:
    """Return an epoch's own seed, so that a resumed run draws what the unbroken one would have drawn."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


class Trainer:
    """The parts of one training, set up once."""

    def __init__(self, dataset: Dataset, split: Split, config: TrainConfig, run: Run) -> None:
        self.config, self.run, self.dataset, self.split = config, run, dataset, split
        self.spec = ModelSpec(name=config.network, size_px=config.size_px)
        self.n_batches = len(split.train) // config.batch_size
        if self.n_batches == 0:
            raise InputError(
                f"{len(split.train)} training images do not fill one batch of {config.batch_size}; "
                "lower --batch-size or add images"
            )
        device = Fabric(accelerator="auto", devices=1).device
        precision, reason = choose_precision(config, device)
        log.info("device %s, precision %s (%s)", device, precision, reason)
        self.fabric = Fabric(accelerator="auto", devices=1, precision=precision)  # type: ignore[arg-type]
        network = create_network(config.network, config.dropout, config.seed)
        network = network.to(self.fabric.device).to(memory_format=torch.channels_last)
        optimizer = create_optimizer(network, config)
        self.averager = (
            ModelEmaV3(network, decay=config.ema_decay, use_warmup=True, foreach=True) if config.ema_decay else None
        )
        self.state = State(network, self.averager.module if self.averager else network, optimizer)
        if config.compile:
            # Sizes are few and fixed: one kernel each is faster than one for all.
            network.compile(dynamic=False)
        self.model, self.optimizer = self.fabric.setup(network, optimizer)
        self.scheduler = create_scheduler(optimizer, config, config.epochs * self.n_batches)
        weights = compute_class_weights(dataset.emotion[split.train], config.class_weight_power)
        self.loss = nn.CrossEntropyLoss(weights.to(device), label_smoothing=config.label_smoothing)
        self.faces = torch.from_numpy(dataset.pixels[split.train]).to(device)
        self.labels = torch.from_numpy(dataset.emotion[split.train].astype(np.int64)).to(device)

    def fit_epoch(self, epoch: int) -> float:
        """Train one epoch; return the mean loss."""
        config = self.config
        seed = compute_seed(config.seed, epoch)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.faces), generator=generator).to(self.faces.device)
        size_px = config.find_size_px(epoch)
        how = Augmentation() if config.augment else None
        total = torch.zeros((), device=self.faces.device)
        self.model.train()
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # dropout
            for i in range(self.n_batches):
                step = epoch * self.n_batches + i
                self.scheduler.step_update(step)
                rows = order[i * config.batch_size : (i + 1) * config.batch_size]
                x = create_batch(self.faces[rows], size_px, self.spec, how, generator)
                loss = self.loss(self.model(x), self.labels[rows])
                self.fabric.backward(loss)
                self.optimizer.step()
                self.optimizer.zero_grad()
                if self.averager:
                    self.averager.update(self.state.network, step=step)
                total += loss.detach()
        mean = float(total) / self.n_batches
        if not np.isfinite(mean):
            raise InputError(
                f"the training diverged in epoch {epoch + 1} (loss {mean}); lower --learning-rate and train again"
            )
        return mean

    def predict_validation(self, network: nn.Module) -> NDArray[np.float32]:
        """Return the validation images' logits (n, 7)."""
        return predict_logits(network, self.dataset.pixels[self.split.validation], self.spec)

    def run_epoch(self) -> dict[str, float]:
        """Train, validate, select and checkpoint one epoch; return its row of the history."""
        state, start = self.state, time.perf_counter()
        loss = self.fit_epoch(state.epoch)
        fitted = time.perf_counter()
        figures = compute_metrics(
            compute_probabilities(self.predict_validation(state.ema)), self.dataset.emotion[self.split.validation]
        )
        row = {
            "epoch": state.epoch + 1,
            "size_px": self.config.find_size_px(state.epoch),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": loss,
            "validation_nll": figures["nll"],
            "validation_accuracy": figures["accuracy"],
            "validation_macro_f1": figures["macro_f1"],
            "fit_s": fitted - start,
            "validate_s": time.perf_counter() - fitted,
        }
        state.history.append(row)
        if figures["macro_f1"] > state.best_macro_f1:
            state.best_macro_f1, state.best_epoch = figures["macro_f1"], state.epoch
            with open_atomic(self.run.best_path) as temporary:
                weights = {k: v.cpu().contiguous() for k, v in state.ema.state_dict().items()}
                save_file(weights, temporary, metadata={"epoch": str(state.epoch + 1)})
        state.stale_epochs += 1
        if figures["macro_f1"] > state.stale_f1 + self.config.min_delta:
            state.stale_f1, state.stale_epochs = figures["macro_f1"], 0
        state.epoch += 1
        self.run.write_history(state.history)
        state.save(self.run.checkpoint_path)
        return row

    def finish(self) -> None:
        """Keep the validation logits of the selected weights and write the result."""
        network = create_network(self.config.network)
        load_weights(network, self.run.best_path)
        network.to(self.fabric.device).to(memory_format=torch.channels_last)
        logits, labels = self.predict_validation(network), self.dataset.emotion[self.split.validation]
        with open_atomic(self.run.validation_path) as temporary:
            np.savez_compressed(temporary, rows=self.split.validation, labels=labels, logits=logits)
        write_json(
            self.run.result_path,
            {
                "epochs": self.state.epoch,
                "best_epoch": self.state.best_epoch + 1,
                "train_s": sum(row["fit_s"] + row["validate_s"] for row in self.state.history),
                "validation": compute_metrics(compute_probabilities(logits), labels),
            },
        )

    @property
    def is_done(self) -> bool:
        """Whether all epochs are trained or early stopping ended it."""
        config = self.config
        return self.state.epoch >= config.epochs or 0 < config.patience <= self.state.stale_epochs


def load_weights(network: nn.Module, path: Path) -> None:
    """Load weights that a run kept as best."""
    with safe_open(path, framework="pt") as f:
        network.load_state_dict({key: f.get_tensor(key) for key in f.keys()})  # noqa: SIM118


def train(
    dataset: Dataset,
    config: TrainConfig,
    runs: Path,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> Run:
    """Train one network, or go on where an earlier call was cut off, or return at once if it was finished.

    Args:
        dataset: labelled faces; the whole set stays on the device as uint8.
        config: everything that decides the result.
        runs: folder of all runs.
        on_epoch: told each epoch's row of figures as it is done.

    Returns:
        The finished run.

    Raises:
        InputError: the data do not fit the config, or the training diverged.
        OutputError: the runs folder cannot be written.
    """
    split = create_split(dataset, config.protocol, config.split_seed)
    run = open_run(runs, config, split, dataset)
    if run.is_finished:
        log.info("run %s is finished already", run.folder)
        return run
    trainer = Trainer(dataset, split, config, run)
    if run.checkpoint_path.is_file():
        trainer.state.load(run.checkpoint_path)
        log.info("run %s goes on after epoch %d", run.folder, trainer.state.epoch)
    while not trainer.is_done:
        on_epoch(trainer.run_epoch())
    trainer.finish()
    return run
