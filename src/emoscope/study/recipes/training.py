"""What a training run is: a frozen config, from the command line or YAML in, JSON beside every artefact out."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from emoscope.core.errors import InputError
from emoscope.study.recipes.check import check_value, find_unknown_keys, find_unknown_networks, load_yaml

Protocol = Literal["official", "thesis", "naive"]
Kernel = Literal["auto", "nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchell"]

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "branches": (0, 3),
    "branch_filters": (1, 4096),
    "branch_layers": (1, 8),
    "branch_width": (1, 16_384),
    "head_layers": (0, 8),
    "head_width": (1, 16_384),
    "fold": (0, 1000),
    "n_folds": (2, 1000),
    "fold_seed": (-1, 2**31),
    "epochs": (1, 100_000),
    "batch_size": (2, 65_536),
    "patience": (0, 100_000),
    "seed": (0, 2**31),
    "split_seed": (0, 2**31),
    "learning_rate": (1e-9, 100),
    "sam_rho": (0, 10),
    "weight_decay": (0, 1),
    "warmup": (0, 0.9),
    "label_smoothing": (0, 0.9),
    "class_weight_power": (0, 1),
    "dropout": (0, 0.95),
    "ema_decay": (0, 0.99999),
    "repeats": (1, 1024),
    "mixup_alpha": (0, 10),
    "mixup_off": (0, 1),
    "distil_weight": (0, 1),
    "distil_temperature": (0.1, 100),
    "sizes_px": (16, 512),
    "size_shares": (0, 1),
    "min_delta": (0, 1),
    "degrade": (0, 1),
    "devices": (1, 1024),
}
"""Smallest and largest value of each number."""

SWITCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "branches": ("branch_filters", "branch_layers", "branch_width"),
    "head_layers": ("head_width",),
    "mixup_alpha": ("mixup_off",),
    "distil_weight": ("distil_temperature",),
    "patience": ("min_delta",),
}
"""Settings that have no effect where the first is 0."""


@dataclass(frozen=True)
class TrainConfig:
    """One training: everything that decides its result, beside the data."""

    network: str = "compact"
    """A name that networks.NETWORKS knows, or `timm:NAME`."""
    pretrained: bool = False
    """Begin with ImageNet weights; the classifier is new."""
    branches: int = 0
    """VGG only: how many blocks before the last feed the head directly, counted from the last backwards."""
    branch_filters: int = 128
    """1 x 1 filters of a branch."""
    branch_layers: int = 1
    """Dense layers of a branch."""
    branch_width: int = 512
    """Width of a branch's dense layers."""
    head_layers: int = 0
    """VGG only: dense layers before the outputs."""
    head_width: int = 2048
    """Width of the head's dense layers."""
    protocol: Protocol = "official"
    """`official`: the publisher's split; `thesis`: 20 % test, 70/10 hold-out, duplicates on one side; `naive`: the
    same with duplicates wherever they fall, to show what that is worth."""
    split_seed: int = 0
    """Seed of the thesis protocol's test part."""
    fold: int = 0
    """Which fold of the 80 % validates; all others train."""
    n_folds: int = 8
    """Into how many folds the 80 % are drawn; 8 make 70 % / 10 % of the total."""
    fold_seed: int = -1
    """Seed of the folds; -1: split_seed. Another one redraws train and validation part, the test part stays."""
    seed: int = 0
    """Seed of weights, order and augmentation; every epoch draws from its own stream."""
    epochs: int = 40
    """Passes over the training set."""
    batch_size: int = 128
    """Images per step; a last incomplete batch is left out, another one every epoch."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """SGD is Nesterov's, momentum 0.9."""
    sam_rho: float = 0.0
    """Sharpness-aware minimisation around the optimiser, with this radius; 0 switches it off. Doubles the cost of a
    step (Foret et al., 2021)."""
    learning_rate: float = 0.1
    """The highest that is reached."""
    weight_decay: float = 5e-4
    """Not applied to norms and biases."""
    schedule: Literal["cosine", "one-cycle", "constant"] = "cosine"
    """How the learning rate falls after the warm-up; `one-cycle` lets the momentum run against it (Smith, 2018)."""
    warmup: float = 0.2
    """Share of all steps in which the learning rate rises linearly."""
    label_smoothing: float = 0.1
    """Szegedy et al., Rethinking the Inception architecture, 2016."""
    class_weight_power: float = 0.25
    """The loss weighs a class by (its share)^-power: 0 not at all, 1 inverse frequency."""
    dropout: float = 0.3
    """Before the classifier."""
    ema_decay: float = 0.998
    """Moving average of the weights per step; 0 switches it off."""
    augment: bool = True
    """One affine warp, brightness, contrast, erasing; see inputs.py."""
    degrade: float = 0.0
    """Share of the faces that are softened, and share of those that get noise: robustness to distance and poor light;
    0 leaves both out."""
    repeats: int = 1
    """How often each image stands in its batch, augmented anew each time (Hoffer et al., Augment your batch, 2020);
    `batch_size` counts images with their repeats."""
    mixup_alpha: float = 0.0
    """Two images blended by a share drawn from Beta(alpha, alpha) (Zhang et al., 2018); 0 switches it off."""
    mixup_off: float = 0.15
    """Share of the epochs, the last ones, without mixup."""
    distil_weight: float = 0.0
    """Share of the loss that teaches the teacher's probabilities instead of the labels (Hinton et al., 2015)."""
    distil_temperature: float = 2.0
    """Softens teacher and student alike."""
    sizes_px: tuple[int, ...] = (32, 40, 48)
    """Input sizes one after the other; the last is the network's input."""
    size_shares: tuple[float, ...] = (0.3, 0.3, 0.4)
    """Share of the epochs at each size."""
    kernel: Kernel = "auto"
    """How pictures are resampled to the input's size, see resample.py; `auto` augments and resizes in one bilinear
    step."""
    patience: int = 0
    """Stop when validation macro F1 has not risen by min_delta for so many epochs; 0 never stops early."""
    min_delta: float = 0.001
    """What counts as a rise of macro F1 for early stopping."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` times both on the first batch and keeps the faster."""
    compile: bool = False
    """Compile the network with torch.compile; needs a C++ compiler on the CPU."""
    devices: int = 1
    """Accelerators, or on the CPU processes, that share every batch; figures agree to rounding with those of one."""

    def __post_init__(self) -> None:
        """Check every value, all problems in one error.

        Raises:
            InputError: names each value that is wrong and what was expected.
        """
        if problems := self.find_problems({f.name: getattr(self, f.name) for f in dataclasses.fields(self)}):
            raise InputError(f"the training config is wrong: {'; '.join(problems)}; mend these values")

    @classmethod
    def find_problems(cls, values: Mapping[str, Any]) -> list[str]:
        """Return everything that is wrong with a config's values, as a user would write them; the rest is default."""
        fields = {f.name: f for f in dataclasses.fields(cls)}
        problems = find_unknown_keys(values, fields)
        right: dict[str, Any] = {}
        for name, field in fields.items():
            value = values.get(name, field.default)
            if problem := check_value(value, field.type, RANGES.get(name)):
                problems.append(f"{name} is {value!r}, expected {problem}")
            else:
                right[name] = value
        if {"sizes_px", "size_shares"} <= set(right) and (
            len(right["size_shares"]) != len(right["sizes_px"]) or abs(sum(right["size_shares"]) - 1) > 1e-6
        ):
            problems.append(f"size_shares is {right['size_shares']}, expected one per size with sum 1")
        if {"batch_size", "repeats"} <= set(right) and right["batch_size"] % right["repeats"]:
            problems.append(f"batch_size is {right['batch_size']}, expected a multiple of repeats ({right['repeats']})")
        if {"batch_size", "devices"} <= set(right) and right["batch_size"] % right["devices"]:
            problems.append(f"batch_size is {right['batch_size']}, expected a multiple of devices ({right['devices']})")
        if {"fold", "n_folds"} <= set(right) and right["fold"] >= right["n_folds"]:
            problems.append(f"fold is {right['fold']}, expected less than n_folds ({right['n_folds']})")
        if right.get("protocol") == "official" and (right.get("fold", 0) > 0 or right.get("fold_seed", -1) >= 0):
            problems.append("fold and fold_seed go with `protocol: thesis`; the official split has no folds")
        return problems

    @property
    def size_px(self) -> int:
        """Side of the network's final input."""
        return self.sizes_px[-1]

    def drop_idle(self) -> Self:
        """Return the same training with settings that have no effect at their defaults.

        A search's conditional parameters: a branch's width says nothing where there is no branch, and two such
        configs are one.
        """
        idle = {name for switch, names in SWITCHES.items() if not getattr(self, switch) for name in names}
        defaults: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(self) if f.name in idle}
        return dataclasses.replace(self, **defaults)

    def estimate_left_s(self, epoch: int, size_px: int, seconds: float) -> float:
        """Estimate how long the epochs from `epoch` on take, if one at size_px takes so many seconds."""
        return seconds * sum(self.find_size_px(e) ** 2 for e in range(epoch, self.epochs)) / size_px**2

    def find_size_px(self, epoch: int) -> int:
        """Return the input size of an epoch, counted from 0."""
        end = 0.0
        for size, share in zip(self.sizes_px, self.size_shares, strict=True):
            end += share * self.epochs
            if epoch < round(end):
                return size
        return self.size_px

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return dataclasses.asdict(self)

    def describe_changes(self) -> dict[str, Any]:
        """Return the values that differ from the defaults: what a run is named by.

        A setting that is added later with a default that changes nothing leaves the names of earlier runs as they are.
        """
        return {f.name: value for f in dataclasses.fields(self) if (value := getattr(self, f.name)) != f.default}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a config from JSON or YAML values.

        Raises:
            InputError: an unknown key or a wrong value.
        """
        if problems := cls.find_problems(values):
            raise InputError(f"the training config is wrong: {'; '.join(problems)}; mend these values")
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**arguments)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a config from a YAML file.

        Raises:
            InputError: no such file, not YAML, or a wrong value.
        """
        values = load_yaml(path)
        problems = cls.find_problems(values) + find_unknown_networks([values.get("network", "compact")])
        if problems:
            raise InputError(f"the training config is wrong: {'; '.join(problems)}; mend these values")
        return cls.from_dict(values)
