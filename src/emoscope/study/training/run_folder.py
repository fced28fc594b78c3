"""A run is one training: a folder named by the hash of its config, split and data.

The folder holds `run.json` (config, split, data, environment), `split.npz`, `checkpoint.safetensors` (everything to
go on from the last epoch), `best.safetensors` (the selected weights), `metrics.csv` (one row per epoch) and, once
finished, `validation.npz` (logits) and `result.json`. Each file appears whole; `result.json` comes last.
"""

import csv
import hashlib
import json
import platform
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError, OutputError
from emoscope.core.files import open_atomic, write_json
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split
from emoscope.study.recipes.training import TrainConfig

if TYPE_CHECKING:
    # Its scikit-learn takes a second to load, and what only looks at folders does without.
    from emoscope.study.measuring.metrics import Figures

_PROCESS = uuid.uuid4().hex
"""Names this process; process ids of several machines are not unique."""

RECIPE_VERSION = 2
"""Raised whenever the training code or a default changes results, so that old runs are not taken for new ones."""


class Result(TypedDict):
    """What result.json holds."""

    epochs: int
    """That were trained."""
    best_epoch: int
    """The selected one."""
    precision: str
    parts_per_batch: int
    train_s: float
    validation: "Figures"


class Facts(TypedDict):
    """What run.json holds."""

    recipe: int
    config: dict[str, object]
    split: str
    """Fingerprint, as of the data."""
    data: str
    environment: dict[str, object]


class TakenOverError(OutputError):
    """A training that another process goes on with."""


@dataclass(frozen=True)
class Run:
    """Paths and facts of one run's folder."""

    folder: Path
    config: TrainConfig
    data_sha256: str

    @property
    def checkpoint_path(self) -> Path:
        """State after the last whole epoch."""
        return self.folder / "checkpoint.safetensors"

    @property
    def best_path(self) -> Path:
        """Weights of the selected epoch."""
        return self.folder / "best.safetensors"

    @property
    def validation_path(self) -> Path:
        """Rows, labels and logits of the validation images."""
        return self.folder / "validation.npz"

    @property
    def result_path(self) -> Path:
        """Written last: a run that has it is finished."""
        return self.folder / "result.json"

    def lease(self) -> None:
        """Take the run for this process: whoever had it before must write no more.

        A machine that Ray gives up as lost may still be at work, and its training go on elsewhere meanwhile.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open_atomic(self._owner_path) as temporary:
            temporary.write_text(_PROCESS, encoding="utf-8")

    def check_lease(self) -> None:
        """Check that the run is still this process's.

        Raises:
            TakenOverError: another one leased it; let that one finish, then run the command again.
        """
        try:
            owner = self._owner_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            owner = ""
        if owner != _PROCESS:
            raise TakenOverError(
                f"the training {self.folder} was taken over by another process; wait until that one has finished, then "
                "run the command again"
            )

    def release(self) -> None:
        """End a lease."""
        self._owner_path.unlink(missing_ok=True)

    @property
    def _owner_path(self) -> Path:
        return self.folder / ".owner"

    @property
    def is_finished(self) -> bool:
        """Whether the training ended."""
        return self.result_path.is_file()

    def load_result(self) -> Result:
        """Read the figures of a finished run."""
        result: Result = json.loads(self.result_path.read_text(encoding="utf-8"))
        return result

    def load_facts(self) -> Facts:
        """Read how and on what the run was made."""
        facts: Facts = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        return facts

    def load_history(self) -> list[dict[str, float]]:
        """Read metrics.csv, one row per epoch."""
        with (self.folder / "metrics.csv").open(newline="", encoding="utf-8") as f:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(f)]

    def write_history(self, history: list[dict[str, float]]) -> None:
        """Write metrics.csv, one row per epoch."""
        with open_atomic(self.folder / "metrics.csv") as temporary, temporary.open("w", newline="") as f:
            writer = csv.DictWriter(f, list(history[0]))
            writer.writeheader()
            writer.writerows(history)


def open_run(runs: Path, config: TrainConfig, split: Split, dataset: Dataset, teacher_sha256: str = "") -> Run:
    """Return the run of this config, split, data and teacher; make its folder if it is new.

    Raises:
        OutputError: the folder cannot be written; choose another.
    """
    identity = _identify(config, split, dataset, teacher_sha256)
    run = Run(runs / _hash(identity), config, dataset.sha256)
    if not (run.folder / "run.json").is_file():
        split.save(run.folder / "split.npz")
        facts = {**identity, "config": config.to_dict(), "environment": describe_environment()}
        write_json(run.folder / "run.json", facts)
    return run


def name_run(config: TrainConfig, split: Split, dataset: Dataset, teacher_sha256: str = "") -> str:
    """Return the name of the folder that open_run() makes."""
    return _hash(_identify(config, split, dataset, teacher_sha256))


def _identify(config: TrainConfig, split: Split, dataset: Dataset, teacher_sha256: str) -> dict[str, object]:
    identity: dict[str, object] = {
        "recipe": RECIPE_VERSION,
        "config": config.describe_changes(),
        "split": split.sha256,
        "data": dataset.sha256,
    }
    return {**identity, "teacher": teacher_sha256} if teacher_sha256 else identity


def _hash(identity: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def hash_teacher(teacher: NDArray[np.float32] | None) -> str:
    """Return the fingerprint of a teacher's probabilities; empty without one."""
    return "" if teacher is None else hashlib.sha256(teacher.astype("<f4").tobytes()).hexdigest()


def load_run(folder: Path) -> Run:
    """Open an existing run's folder.

    Raises:
        InputError: it is none; name a folder that `emoscope train` made.
    """
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return Run(folder, TrainConfig.from_dict(facts["config"]), facts["data"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(f"{folder} is no run ({e}); name a folder that `emoscope train` made") from e


def describe_environment() -> dict[str, object]:
    """Return what a figure depends on beside the config: versions and machine."""
    from importlib.metadata import version

    import torch

    packages = ("emoscope", "torch", "timm", "lightning-fabric", "numpy", "scikit-learn", "opencv-python-headless")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": describe_processor(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "packages": {name: version(name) for name in packages},
    }


def describe_processor() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
