"""A config in; what moves the weights out: optimiser, schedule, loss, sharpness-aware steps, precision."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray
from timm.optim import param_groups_weight_decay
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from emoscope.core.errors import InputError, shorten
from emoscope.study.recipes.training import TrainConfig


def choose_compile_mode(config: TrainConfig, device: torch.device, n_parts: int) -> str:
    """Return torch.compile's mode: `reduce-overhead`, which captures CUDA graphs, where a step is one pass.

    A graph's next run overwrites what the last one returned. Gradients that are used up before it are safe; those of
    parts, which add up, are not: torch refuses them, or, in earlier versions, added up wrong ones
    (https://github.com/pytorch/pytorch/issues/169545, /96693). Several processes copy them elsewhere, and a
    sharpness-aware step keeps the first ones.

    Args:
        config: of the training.
        device: where it is done.
        n_parts: of a batch.
    """
    is_single = n_parts == 1 and not config.sam_rho and config.devices == 1
    return "reduce-overhead" if device.type == "cuda" and is_single else "default"


class Schedule(Protocol):
    """Sets the learning rate as a function of the step number; keeps no state, so that resuming needs none."""

    def step_update(self, num_updates: int) -> None:
        """Set the optimiser's values for a step, counted from 0."""


def create_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Create the optimiser; norms and biases get no weight decay."""
    groups = param_groups_weight_decay(network, config.weight_decay)
    if config.optimizer == "sgd":
        momentum = config.momentum
        return torch.optim.SGD(groups, config.learning_rate, momentum, nesterov=momentum > 0, foreach=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, config.learning_rate, eps=config.epsilon, foreach=True)


def create_schedule(optimizer: torch.optim.Optimizer, config: TrainConfig, n_steps: int) -> Schedule:
    """Create the learning-rate schedule over n_steps."""
    warmup = round(config.warmup * n_steps)
    start = config.learning_rate / 25
    if config.schedule == "one-cycle":
        return OneCycle(optimizer, config, n_steps)
    if config.schedule == "cosine":
        with _quiet():
            schedule: Schedule = CosineLRScheduler(
                optimizer,
                t_initial=max(1, n_steps - warmup),
                lr_min=config.learning_rate * 1e-3,
                warmup_t=warmup,
                warmup_lr_init=start,
                warmup_prefix=True,
                t_in_epochs=False,
            )
        return schedule
    constant: Schedule = StepLRScheduler(
        optimizer, decay_t=n_steps + 1, decay_rate=1.0, warmup_t=warmup, warmup_lr_init=start, t_in_epochs=False
    )
    return constant


class OneCycle:
    """torch's one-cycle schedule, run through once beforehand: learning rate and momentum of every step in a table."""

    def __init__(self, optimizer: torch.optim.Optimizer, config: TrainConfig, n_steps: int) -> None:
        self.optimizer = optimizer
        dummy = torch.optim.SGD([torch.zeros(1, requires_grad=True)], config.learning_rate, momentum=0.9)
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            dummy, config.learning_rate, n_steps + 1, pct_start=max(config.warmup, 1 / n_steps)
        )
        self.table = []
        for _ in range(n_steps):
            self.table.append((dummy.param_groups[0]["lr"], dummy.param_groups[0]["momentum"]))
            dummy.step()
            cycle.step()

    def step_update(self, num_updates: int) -> None:
        """Set learning rate and momentum (Adam: its first beta) of a step, counted from 0."""
        for group in self.optimizer.param_groups:
            group["lr"], momentum = self.table[num_updates]
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum


def compute_class_weights(labels: NDArray[np.uint8], power: float, n_classes: int) -> Tensor:
    """Return (classes,) loss weights, share^-power, with mean 1 over the images; a class without images gets 0."""
    counts = np.bincount(labels, minlength=n_classes).astype(np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0)
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


class Loss:
    """Cross-entropy with label smoothing and class weights; a share of it can teach a teacher's probabilities."""

    def __init__(self, config: TrainConfig, class_weights: Tensor) -> None:
        self.config = config
        self.cross_entropy = nn.CrossEntropyLoss(class_weights, label_smoothing=config.label_smoothing)

    def weigh(self, labels: Tensor) -> Tensor:
        """Return what the cross-entropy of these labels is divided by: their weights' sum, or for shares their number.

        Args:
            labels: (n,) class index, or (n, classes) shares.
        """
        weights = self.cross_entropy.weight
        assert weights is not None
        return weights[labels].sum() if labels.ndim == 1 else weights.new_full((), len(labels))

    def __call__(self, logits: Tensor, labels: Tensor, teacher: Tensor | None, share: Tensor | None = None) -> Tensor:
        """Return the mean loss.

        Args:
            logits: (n, classes).
            labels: (n,) class index, or (n, classes) shares.
            teacher: (n, classes) probabilities, or None.
            share: what these images weigh among those of all processes, 1 on average; None: there is one process.
        """
        loss: Tensor = self.cross_entropy(logits, labels)
        if share is not None:
            loss = loss * share
        if teacher is None:
            return loss
        temperature, weight = self.config.distil_temperature, self.config.distil_weight
        softened = (teacher.clamp_min(1e-8).log() / temperature).softmax(1)
        gap = F.kl_div((logits / temperature).log_softmax(1), softened, reduction="batchmean")
        # Hinton et al., 2015: temperature^2 keeps the gradients of both parts on one scale.
        return (1 - weight) * loss + weight * temperature**2 * gap


def mix(x: Tensor, targets: list[Tensor], share: float, generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """Blend every picture with another of its batch, and their targets (n, classes) likewise (mixup).

    Args:
        x: (n, c, h, w).
        targets: each (n, classes).
        share: of each picture itself, the batch's.
        generator: on the device of the pictures; draws who is blended with whom.
    """
    other = torch.randperm(len(x), device=generator.device, generator=generator)
    return x.lerp(x[other], 1 - share), [t.lerp(t[other], 1 - share) for t in targets]


@contextlib.contextmanager
def climb(network: nn.Module, rho: float) -> Iterator[None]:
    """Move the weights by rho up their gradient for the block, then back: the first half of a SAM step.

    Foret et al., Sharpness-aware minimization, 2021.
    """
    pairs = [(p, p.grad) for p in network.parameters() if p.grad is not None]
    weights, gradients = [p for p, _ in pairs], [g for _, g in pairs]
    norm = nn.utils.get_total_norm(gradients)
    kept = [p.detach().clone() for p in weights]
    with torch.no_grad():
        for p, gradient in pairs:
            p.add_(gradient * (rho / (norm + 1e-12)))
    try:
        yield
    finally:
        with torch.no_grad():
            for p, value in zip(weights, kept, strict=True):
                p.copy_(value)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep lines of libraries that tell nothing new off the terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning_fabric", "timm.scheduler")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def create_fabric(precision: str = "float32", devices: int = 1) -> Fabric:
    """Create what sets up device and precision, `float32` or `bfloat16`; with several devices to be launched.

    Raises:
        InputError: there are not so many accelerators.
    """
    # Spawned: Fabric's own way, to start the script anew, is none for a library.
    strategy = "ddp_spawn" if devices > 1 else "auto"
    try:
        with _quiet():
            kind: Any = PRECISIONS[precision]
            return Fabric(accelerator="auto", strategy=strategy, devices=devices, precision=kind)
    except (MisconfigurationException, ValueError) as e:
        raise InputError(f"{devices} devices cannot be used ({shorten(e, 120)}); lower --devices") from e


PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}
"""Our names to Fabric's."""


def choose_precision(device: torch.device) -> tuple[str, str]:
    """Return `float32` or `bfloat16` and why: bfloat16 is faster where there are units for it, else much slower.

    By what the device is, not by a stop-watch: the same device always chooses the same.
    """
    if device.type == "cuda":
        has_units = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        found = torch.cpu.get_capabilities() if device.type == "cpu" else {}
        has_units = bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("arm_bf16"))
    if has_units:
        return "bfloat16", f"the {device.type} has units for it"
    return "float32", f"the {device.type} has no units for bfloat16"
