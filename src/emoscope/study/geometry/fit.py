"""Training of the networks of geometry: what draws batches and measures in, a checkpoint that can go on out."""

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from emoscope.core.validation import validate
from emoscope.study.recipes.file import load_yaml
from emoscope.study.training.checkpoint import State

CHECKPOINT_S = 60.0
CHECKPOINT = "checkpoint.safetensors"


class Recipe(BaseModel):
    """What decides a training, beside the data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    network: Literal["roll", "detector"]
    seed: int = Field(0, ge=0)
    steps: int = Field(ge=1)
    """More of them may be asked for later: what was trained until the learning rate began to fall stays as it is."""
    batch_size: int = Field(128, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warmup: int = Field(200, ge=1)
    """Steps in which the learning rate rises."""
    fall: float = Field(0.4, gt=0, le=1)
    """Share of the steps, the last ones, in which it falls to zero; in between it stays."""
    ema_decay: float = Field(0.998, ge=0, lt=1)

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a YAML file.

        Raises:
            InputError: no such file, or a wrong value.
        """
        return validate(cls, load_yaml(path), f"the recipe {path}")

    def find_learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        left = (self.steps - step) / (self.fall * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup, left)


class Task(Protocol):
    """What a network learns."""

    network: nn.Module

    def draw(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return a batch of n pictures and its targets, the same for the same seed."""
        ...

    def compute_loss(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return what is to become small."""
        ...

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Return figures on validation faces."""
        ...

    def write(self, network: nn.Module, path: Path) -> None:
        """Write the network as ONNX."""
        ...


def fit(task: Task, recipe: Recipe, folder: Path, on_progress: Callable[[str], None], measure_every: int) -> nn.Module:
    """Train, or go on where the folder's checkpoint was written.

    Args:
        task: what is learned; its network is changed.
        recipe: how.
        folder: keeps the checkpoint, and a line per measurement in log.jsonl.
        on_progress: called with each of these lines.
        measure_every: steps between two measurements.

    Returns:
        The moving average of the weights.
    """
    optimizer = torch.optim.AdamW(task.network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    state = State(task.network, copy.deepcopy(task.network), optimizer)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / CHECKPOINT).is_file():
        state.load(folder / CHECKPOINT)
    saved_s, losses = time.monotonic(), []
    while state.epoch < recipe.steps:
        losses.append(_step(task, recipe, state))
        state.epoch += 1
        is_last = state.epoch == recipe.steps
        if state.epoch % measure_every == 0 or is_last:
            row = {"step": state.epoch, "loss": sum(losses) / len(losses), **task.measure(state.ema.eval())}
            losses.clear()
            line = json.dumps(row)
            on_progress(line)
            with (folder / "log.jsonl").open("a", encoding="utf-8") as f:
                f.write(line + "\n")
        if is_last or time.monotonic() - saved_s >= CHECKPOINT_S:
            state.save(folder / CHECKPOINT)
            saved_s = time.monotonic()
    return state.ema.eval()


def _step(task: Task, recipe: Recipe, state: State) -> float:
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.find_learning_rate(state.epoch)
    task.network.train()
    # A seed per step: a training that goes on draws what it would have drawn.
    x, targets = task.draw(recipe.batch_size, recipe.seed * 1_000_003 + state.epoch)
    loss = task.compute_loss(task.network(x.to(memory_format=torch.channels_last)), targets)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(task.network.parameters(), 5.0)
    state.optimizer.step()
    # The average is of few steps at first: the first weights are worth nothing.
    decay = min(recipe.ema_decay, (state.epoch + 1) / (state.epoch + 10))
    with torch.no_grad():
        for kept, new in zip(state.ema.state_dict().values(), state.network.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)
    return float(loss.detach())
