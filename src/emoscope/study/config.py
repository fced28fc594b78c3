"""What a training run is: a frozen config, from the command line or YAML in, JSON beside every artefact out."""

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from emoscope.errors import InputError

Protocol = Literal["official", "thesis"]


@dataclass(frozen=True)
class TrainConfig:
    """One training: everything that decides its result, beside the data."""

    network: str = "compact"
    """A name that networks.NETWORKS knows."""
    protocol: Protocol = "official"
    """`official`: the publisher's split; `thesis`: 20 % test, 70/10 hold-out, duplicates on one side."""
    split_seed: int = 0
    """Seed of the thesis protocol's split."""
    seed: int = 0
    """Seed of weights, order and augmentation; every epoch draws from its own stream."""
    epochs: int = 40
    """Passes over the training set."""
    batch_size: int = 128
    """Images per step; a last incomplete batch is left out, another one every epoch."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """SGD is Nesterov's, momentum 0.9."""
    learning_rate: float = 0.1
    """The highest that is reached."""
    weight_decay: float = 5e-4
    """Not applied to norms and biases."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate falls after the warm-up."""
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
    sizes_px: tuple[int, ...] = (32, 40, 48)
    """Input sizes one after the other; the last is the network's input."""
    size_shares: tuple[float, ...] = (0.3, 0.3, 0.4)
    """Share of the epochs at each size."""
    patience: int = 0
    """Stop when validation macro F1 has not risen by min_delta for so many epochs; 0 never stops early."""
    min_delta: float = 0.001
    """What counts as a rise of macro F1 for early stopping."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` times both on the first batch and keeps the faster."""
    compile: bool = False
    """Compile the network with torch.compile; needs a C++ compiler on the CPU."""

    def __post_init__(self) -> None:
        """Check every value, all problems in one error.

        Raises:
            InputError: names each value that is wrong and what was expected.
        """
        problems = []
        for field in dataclasses.fields(self):
            choices = typing.get_args(field.type)
            if typing.get_origin(field.type) is Literal and getattr(self, field.name) not in choices:
                problems.append(f"{field.name} is {getattr(self, field.name)!r}, expected one of {', '.join(choices)}")
        for name, low, high in (
            ("epochs", 1, 100_000),
            ("batch_size", 2, 65_536),
            ("patience", 0, 100_000),
            ("seed", 0, 2**31),
            ("split_seed", 0, 2**31),
            ("learning_rate", 1e-9, 100.0),
            ("weight_decay", 0.0, 1.0),
            ("warmup", 0.0, 0.9),
            ("label_smoothing", 0.0, 0.9),
            ("class_weight_power", 0.0, 1.0),
            ("dropout", 0.0, 0.95),
            ("ema_decay", 0.0, 0.99999),
            ("min_delta", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                problems.append(f"{name} is {value}, expected {low} to {high}")
        if not self.sizes_px or any(not 16 <= s <= 512 for s in self.sizes_px):
            problems.append(f"sizes_px is {self.sizes_px}, expected sizes of 16 to 512")
        if len(self.size_shares) != len(self.sizes_px) or abs(sum(self.size_shares) - 1) > 1e-6:
            problems.append(f"size_shares is {self.size_shares}, expected one per size with sum 1")
        if problems:
            raise InputError(f"the training config is wrong: {'; '.join(problems)}; mend these values")

    @property
    def size_px(self) -> int:
        """Side of the network's final input."""
        return self.sizes_px[-1]

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

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a config from JSON or YAML values.

        Raises:
            InputError: an unknown key or a wrong value.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(
                f"the training config has unknown keys {', '.join(unknown)}; "
                f"expected some of {', '.join(sorted(known))}"
            )
        try:
            arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return cls(**arguments)
        except TypeError as e:
            raise InputError(f"the training config has a value of the wrong type ({e}); mend it") from e

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a config from a YAML file.

        Raises:
            InputError: no such file, not YAML, or a wrong value.
        """
        import yaml

        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as e:
            raise InputError(f"cannot read the config {path} ({e.strerror}); name an existing YAML file") from e
        except (yaml.YAMLError, UnicodeDecodeError) as e:
            raise InputError(f"{path} is not YAML ({' '.join(str(e).split())}); mend it") from e
        if not isinstance(values, dict):
            raise InputError(f"{path} holds no keys and values; write lines such as `epochs: 40`")
        return cls.from_dict(values)
