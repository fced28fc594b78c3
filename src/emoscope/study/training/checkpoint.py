"""What a training is between two epochs: written to and read from one checkpoint file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from emoscope.core.errors import DamagedError, OutputError
from emoscope.core.files import open_atomic
from emoscope.study.training.seal import NO_SHA256, SHA256, check_seal, seal


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all.

    Raises:
        OutputError: it cannot be written, for example because the disk is full; make room, and run the command again.
    """
    with open_atomic(path) as temporary:
        try:
            save_file(
                {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()},
                temporary,
                {**metadata, SHA256: NO_SHA256},
            )
        except SafetensorError as e:
            raise OutputError(f"cannot write {path} ({e}); make room or choose another place, and run it again") from e
        seal(temporary)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what save_tensors() wrote: tensors and metadata.

    Raises:
        DamagedError: it is missing, or not as it was written.
    """
    check_seal(path)
    with safe_open(path, framework="pt") as f:
        return {key: f.get_tensor(key) for key in f.keys()}, f.metadata() or {}  # noqa: SIM118  (not a dict)


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
    precision: str = ""
    """What the first epoch computed in; a resumed training must not choose anew."""

    SCALARS = ("epoch", "best_macro_f1", "best_epoch", "stale_f1", "stale_epochs", "history", "precision")

    def save(self, path: Path) -> None:
        """Write one safetensors file, numbers in its header."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        if self.ema is not self.network:
            tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
        for i, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": v for k, v in values.items() if isinstance(v, Tensor)}
        save_tensors(path, tensors, {"state": json.dumps({name: getattr(self, name) for name in self.SCALARS})})

    def load(self, path: Path) -> None:
        """Take everything over from a file that save() wrote.

        Raises:
            DamagedError: it is not as it was written, or of another training.
        """
        tensors, metadata = load_tensors(path)
        try:
            self._take_over(tensors, json.loads(metadata["state"]))
        # A network refuses tensors of other names and shapes by a RuntimeError.
        except (ValueError, KeyError, TypeError, RuntimeError) as e:
            raise DamagedError(path, e) from e

    def _take_over(self, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
        parts: dict[str, dict[str, Any]] = {"network": {}, "ema": {}, "optimizer": {}}
        for key, tensor in tensors.items():
            part, name = key.split(".", 1)
            parts[part][name] = tensor
        self.network.load_state_dict(parts["network"])
        if self.ema is not self.network:
            self.ema.load_state_dict(parts["ema"])
        optimizer_state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts["optimizer"].items():
            index, name = key.split(".", 1)
            optimizer_state.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": optimizer_state, "param_groups": groups})
        for name in self.SCALARS:
            setattr(self, name, scalars[name])

    def judge(self, macro_f1: float, min_delta: float) -> bool:
        """Count an epoch, its macro F1 NaN where it was not validated; return whether it is the best by now."""
        is_best = macro_f1 > self.best_macro_f1
        if is_best:
            self.best_macro_f1, self.best_epoch = macro_f1, self.epoch
        self.stale_epochs += 1
        if macro_f1 > self.stale_f1 + min_delta:
            self.stale_f1, self.stale_epochs = macro_f1, 0
        self.epoch += 1
        return is_best


def read_precision(checkpoint: Path) -> str:
    """Return the precision that a checkpoint was computed in.

    Raises:
        DamagedError: it is not as it was written.
    """
    check_seal(checkpoint)
    try:
        with safe_open(checkpoint, framework="pt") as f:
            return str(json.loads(f.metadata()["state"])["precision"])
    except (ValueError, KeyError, TypeError) as e:
        raise DamagedError(checkpoint, e) from e
