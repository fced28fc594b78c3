"""What a training run is: a frozen config, from the command line or YAML in, JSON beside every artefact out."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from emoscope.core.validation import InvalidError, validate
from emoscope.study.recipes.file import find_unknown_networks, load_yaml

Protocol = Literal["official", "random", "thesis", "naive", "folders"]
Kernel = Literal["auto", "nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchell"]

Share = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1, le=16_384)]
Seed = Annotated[int, Field(ge=0, le=2**31)]
SizePx = Annotated[int, Field(ge=16, le=512)]

SWITCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "branches": ("branch_filters", "branch_layers", "branch_width"),
    "head_layers": ("head_width",),
    "mixup_alpha": ("mixup_off",),
    "distil_weight": ("distil_temperature", "views"),
    "patience": ("min_delta",),
    "augment": ("augmentation",),
}
"""Settings that have no effect where the first is 0."""


@dataclass(
    frozen=True, config=ConfigDict(strict=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)
)
class TrainConfig:
    """One training: everything that decides its result, beside the data."""

    network: str = "compact"
    """Such as `compact`, `vgg16` or `densenet121` (an unknown name is answered with all of them), or `timm:NAME`."""
    pretrained: bool = False
    """Begin with ImageNet weights; the classifier is new."""
    branches: Annotated[int, Field(ge=0, le=3)] = 0
    """VGG only: how many blocks before the last feed the head directly, counted from the last backwards."""
    branch_filters: Annotated[int, Field(ge=1, le=4096)] = 128
    """1 x 1 filters of a branch."""
    branch_layers: Annotated[int, Field(ge=1, le=8)] = 1
    """Dense layers of a branch."""
    branch_width: Width = 512
    """Width of a branch's dense layers."""
    head_layers: Annotated[int, Field(ge=0, le=8)] = 0
    """VGG only: dense layers before the outputs."""
    head_width: Width = 2048
    """Width of the head's dense layers."""
    head_pooling: Literal["own", "average", "flatten"] = "own"
    """The reference study's networks and timm's: how the last map of features becomes a vector; `own` flattens VGG's
    and averages all others'."""
    norm_momentum: Share = 0.0
    """Share of a new batch in the running statistics of batch norms, 1 - Keras's momentum; 0: the network's own."""
    norm_epsilon: Annotated[float, Field(ge=0, le=0.1)] = 0.0
    """Added to the variance in batch norms; 0: the network's own."""
    protocol: Protocol = "official"
    """`official`: the publisher's split; `random`: 20 % test, of the rest a fold validates, copies and the pictures of
    one person on one side (`thesis` is its other name, after the reference study); `naive`: the
    same with duplicates wherever they fall, to show what that is worth; `folders`: the parts that a dataset marks, as
    train, validation and test folders do; without a validation part a fold of the training part validates."""
    near_copies: bool = False
    """Let near-copies of test and validation images train (identical ones in the random protocol never do), as all
    networks before version 0.7 did."""
    split_seed: Seed = 0
    """Seed of the random protocol's test part."""
    fold: Annotated[int, Field(ge=0, le=1000)] = 0
    """Which fold of the 80 % validates; all others train."""
    n_folds: Annotated[int, Field(ge=2, le=1000)] = 8
    """Into how many folds the 80 % are drawn; 8 make 70 % / 10 % of the total."""
    fold_seed: Annotated[int, Field(ge=-1, le=2**31)] = -1
    """Seed of the folds; -1: split_seed. Another one redraws train and validation part, the test part stays."""
    seed: Seed = 0
    """Seed of weights, order and augmentation; every epoch draws from its own stream."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    """Passes over the training set."""
    batch_size: Annotated[int, Field(ge=2, le=65_536)] = 128
    """Images per step; a last incomplete batch is left out, another one every epoch."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """SGD is Nesterov's where it has a momentum."""
    momentum: Annotated[float, Field(ge=0, le=0.999)] = 0.9
    """Of SGD; the one-cycle schedule sets its own."""
    epsilon: Annotated[float, Field(ge=1e-12, le=1)] = 1e-8
    """Of Adam and AdamW; Keras's is 1e-7."""
    sam_rho: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Sharpness-aware minimisation around the optimiser, with this radius; 0 switches it off. Doubles the cost of a
    step (Foret et al., 2021)."""
    learning_rate: Annotated[float, Field(ge=1e-9, le=100)] = 0.1
    """The highest that is reached."""
    weight_decay: Share = 5e-4
    """Not applied to norms and biases."""
    schedule: Literal["cosine", "one-cycle", "constant"] = "cosine"
    """How the learning rate falls after the warm-up; `one-cycle` lets the momentum run against it (Smith, 2018)."""
    warmup: Annotated[float, Field(ge=0, le=0.9)] = 0.2
    """Share of all steps in which the learning rate rises linearly."""
    label_smoothing: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    """Szegedy et al., Rethinking the Inception architecture, 2016."""
    class_weight_power: Share = 0.25
    """The loss weighs a class by (its share)^-power: 0 not at all, 1 inverse frequency."""
    dropout: Annotated[float, Field(ge=0, le=0.95)] = 0.3
    """Before the classifier."""
    ema_decay: Annotated[float, Field(ge=0, le=0.99999)] = 0.998
    """Moving average of the weights per step; 0 switches it off."""
    augment: bool = True
    """Change training images anew in every epoch, each by its own draw."""
    augmentation: Literal["strong", "thesis"] = "strong"
    """`thesis`: mirror, rotation, zoom, shift, all mild, as the reference study; `strong`: brightness, contrast and
    erasing, too."""
    degrade: Share = 0.0
    """Share of the faces that are softened, and share of those that get noise: robustness to distance and poor light;
    0 leaves both out."""
    repeats: Annotated[int, Field(ge=1, le=1024)] = 1
    """How often each image stands in its batch, augmented anew each time (Hoffer et al., Augment your batch, 2020);
    `batch_size` counts images with their repeats."""
    mixup_alpha: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Two images blended by a share drawn from Beta(alpha, alpha) (Zhang et al., 2018); 0 switches it off."""
    mixup_off: Share = 0.15
    """Share of the epochs, the last ones, without mixup."""
    distil_weight: Share = 0.0
    """Share of the loss that teaches the teacher's probabilities instead of the labels (Hinton et al., 2015)."""
    distil_temperature: Annotated[float, Field(ge=0.1, le=100)] = 2.0
    """Softens teacher and student alike."""
    views: Annotated[int, Field(ge=0, le=1024)] = 0
    """A student's: augmented views of each training image, drawn once; its teachers read every one, and it learns their
    answer to the very view that it sees (Beyer et al., 2022). 0: one answer per image."""
    sizes_px: Annotated[tuple[SizePx, ...], Field(min_length=1)] = (32, 40, 48)
    """Input sizes one after the other; the last is the network's input."""
    size_shares: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.3, 0.3, 0.4)
    """Share of the epochs at each size."""
    kernel: Kernel = "auto"
    """How pictures are resampled to the input's size, see faces/resample.py; `auto` augments and resizes in one
    bilinear step."""
    validate_every: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Epochs from one validation to the next, where an epoch takes less time than validation; the last epoch is always
    validated. Only validated epochs can be selected, and only there a training ends early."""
    patience: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Stop when validation macro F1 has not risen by min_delta for so many epochs; 0 never stops early."""
    min_delta: Share = 0.001
    """What counts as a rise of macro F1 for early stopping."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` is bfloat16 where processor or accelerator have units for it; a study decides once, and writes it down."""
    compile: bool = False
    """Compile the network with torch.compile; needs a C++ compiler on the CPU. On CUDA its forward and backward pass
    become CUDA graphs, unless sam_rho, several devices or too little memory let several passes make one step."""
    devices: Annotated[int, Field(ge=1, le=1024)] = 1
    """Accelerators, or on the CPU processes, that share every batch; figures agree to rounding with those of one."""
    init: Annotated[str, Field(max_length=1000)] = ""
    """Begin with the weights of a network that exists: an embedded one by its name (such as `fast`), an ONNX file that
    emoscope exported, or a folder of a run; of an ensemble the member that `network` names. int8 is dequantised: nearly
    the same network, not exactly."""
    frozen: Share = 0.0
    """Share of the epochs, the first ones, in which only the classifier learns, for `init` and `pretrained`."""
    soft_labels: bool = False
    """Learn what each picture's raters voted, as shares, instead of its one label: of a dataset that was imported with
    `--votes` (Barsoum et al., 2016)."""

    @field_validator("size_shares", "fold_seed", "n_folds", "repeats", "devices")
    @classmethod
    def check_with_others(cls, value: Any, info: ValidationInfo) -> Any:
        """Check what only fits together; settings that are wrong by themselves are not among the others."""
        others = info.data
        if info.field_name == "size_shares":
            sizes = others.get("sizes_px")
            if sizes and (len(value) != len(sizes) or abs(sum(value) - 1) > 1e-6):
                raise ValueError(f"size_shares is {value}, expected one per size with sum 1")
        elif info.field_name == "n_folds":
            if others.get("fold", 0) >= value:
                raise ValueError(f"fold is {others['fold']}, expected less than n_folds ({value})")
        elif info.field_name == "fold_seed":
            if others.get("protocol") == "official" and (others.get("fold", 0) > 0 or value >= 0):
                raise ValueError("fold and fold_seed go with `protocol: random`; the official split has no folds")
        elif (n := others.get("batch_size", 0)) % value:
            raise ValueError(f"batch_size is {n}, expected a multiple of {info.field_name} ({value})")
        return value

    @field_validator("views")
    @classmethod
    def check_views(cls, value: int, info: ValidationInfo) -> int:
        """Check that who learns from views augments as they are drawn."""
        others = info.data
        if value and not (others.get("distil_weight", 1) and others.get("augment", True)):
            raise ValueError(f"views is {value}, expected 0: views belong to a student that augments")
        if value and others.get("augmentation", "strong") != "strong":
            raise ValueError(f"views is {value}, expected 0 with `augmentation: {others['augmentation']}`")
        return value

    @field_validator("init", "frozen")
    @classmethod
    def check_beginning(cls, value: Any, info: ValidationInfo) -> Any:
        """Check what a training begins with against what came before."""
        if info.field_name == "init" and value and info.data.get("pretrained"):
            raise ValueError(f"init is {value!r}, expected none with `pretrained: true`")
        if info.field_name == "frozen" and value and info.data.get("devices", 1) > 1:
            raise ValueError(f"frozen is {value}, expected 0 with several devices")
        return value

    @classmethod
    def find_problems(cls, values: Mapping[str, object]) -> list[str]:
        """Return everything that is wrong with a config's values, as a user would write them; the rest is default."""
        try:
            cls.from_dict(values)
        except InvalidError as e:
            return e.problems
        return []

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

    def is_validated(self, n_epochs: int) -> bool:
        """Return whether the last of the first n epochs is followed by validation."""
        return n_epochs % self.validate_every == 0 or n_epochs == self.epochs

    def find_size_px(self, epoch: int) -> int:
        """Return the input size of an epoch, counted from 0."""
        end = 0.0
        for size, share in zip(self.sizes_px, self.size_shares, strict=True):
            end += share * self.epochs
            if epoch < round(end):
                return size
        return self.size_px

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        return dataclasses.asdict(self)

    def describe_changes(self) -> dict[str, object]:
        """Return the values that differ from the defaults: what a run is named by.

        A setting that is added later with a default that changes nothing leaves the names of earlier runs as they are.
        """
        return {f.name: value for f in dataclasses.fields(self) if (value := getattr(self, f.name)) != f.default}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Make a config from JSON or YAML values.

        Raises:
            InvalidError: an unknown key or a wrong value.
        """
        return validate(cls, values, "the training config")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a config from a YAML file.

        Raises:
            InputError: no such file, not YAML, or a wrong value.
        """
        values = load_yaml(path)
        problems = cls.find_problems(values) + find_unknown_networks([values.get("network", "compact")])
        if problems:
            raise InvalidError("the training config", problems)
        return cls.from_dict(values)
