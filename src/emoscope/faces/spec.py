"""The contract between study and runtime: ModelSpec, kept in an ONNX file's metadata."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from emoscope.core.emotions import EMOTIONS, list_class_problems
from emoscope.core.errors import EmoscopeError, ModelError
from emoscope.core.schema import QUALITY
from emoscope.core.validation import validate
from emoscope.faces.resample import KERNELS

METADATA_KEY = "emoscope"
SPEC_VERSION = 3
READABLE_VERSIONS = (2, 3)
"""Version 2 knew no affine map: what is missing there is empty."""
STRICT = {"extra": "forbid", "allow_inf_nan": False}
"""How pydantic takes a specification from a file."""
MAX_TEXT, MAX_MESSAGE = 1000, 500


@dataclass(frozen=True)
class Calibration:
    """What turns the mean probabilities of so many views into what is reported; fitted on validation images."""

    __pydantic_config__: ClassVar = STRICT

    temperature: float = 1.0
    """Divides the logarithms of the mean probabilities (Guo et al., On calibration of modern neural networks, 2017)."""
    uncertain_below: float = 0.0
    """A face whose largest probability is below this is `uncertain`."""
    bias: tuple[float, ...] = ()
    """Second operating point: added to the logarithms it raises macro F1, at the cost of accuracy; empty if none
    was fitted."""
    affine: tuple[tuple[float, ...], ...] = ()
    """A row per class: the weights of the logarithms, and an offset; taken instead of the temperature. Empty
    in networks that have a temperature alone."""

    def find_problems(self, n_views: int, n_classes: int) -> list[str]:
        """Return what is wrong with it, for so many views and classes."""
        where, problems = f"calibrations.{n_views}", []
        if n_views < 1:
            problems.append(f"{where}: expected at least one view")
        if not 1e-3 <= self.temperature <= 1e3:
            problems.append(f"{where}.temperature is {self.temperature:g}, expected 0.001 to 1000")
        if not 0 <= self.uncertain_below <= 1:
            problems.append(f"{where}.uncertain_below is {self.uncertain_below:g}, expected 0 to 1")
        n = n_classes
        if len(self.bias) not in (0, n) or not all(math.isfinite(x) and abs(x) < 1e3 for x in self.bias):
            problems.append(f"{where}.bias is not {n} numbers under 1000")
        if [len(row) for row in self.affine] not in ([], n * [n + 1]):
            problems.append(f"{where}.affine is not {n} rows of {n + 1} numbers")
        if not all(math.isfinite(x) and abs(x) < 1e3 for row in self.affine for x in row):
            problems.append(f"{where}.affine has values that are no numbers under 1000")
        return problems


@dataclass(frozen=True)
class ModelSpec:
    """Everything the runtime must know about a network beside its graph.

    The graph takes `input` (n, channels, size_px, size_px) float32 and gives `logits` (n, classes) float32.
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    """Short name, for example `compact-1`."""
    size_px: int = 48
    """Side of the square input."""
    channels: int = 1
    """1 for grey, 3 for grey repeated three times."""
    kernel: str = "auto"
    """How crops are resized: one of resample.KERNELS, or `auto`, OpenCV's area averaging or bilinear resize."""
    mean: float = 0.5
    """Subtracted from pixel values in 0..1."""
    std: float = 0.25
    """Divides what the subtraction left."""
    crop_margin: float = 0.0
    """Share of the face box's longer side that the square crop adds to it; negative crops tighter."""
    calibrations: Mapping[int, Calibration] = field(default_factory=dict)
    """By number of views."""
    precision: str = "float32"
    """What the weights are kept in: `float32`, `float16` or `int8`."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Smallest value of some of schema.QUALITY; a face below one is `uncertain`. Fitted on validation images that were
    made worse in known ways."""
    set_ratio: float = 0.0
    """An emotion is in a face's set if it is at least so probable, next to the likeliest; fitted on validation images
    as they are and made worse, so that nine in ten sets of each hold the label. 0: not fitted."""
    labels: tuple[str, ...] = EMOTIONS
    """Class names in the order of the logits: the dataset's."""
    network: str = ""
    """Name of the architecture in the study."""
    protocol: str = ""
    """`official`, `random`, `thesis`, `naive` or `folders`; with the next four it names the split,
    see the study's TrainConfig."""
    split_seed: int = 0
    """Seed of the thesis protocol's test part."""
    fold: int = 0
    """The fold that validated."""
    n_folds: int = 8
    """Of how many."""
    fold_seed: int = -1
    """Seed of the folds; -1: split_seed."""
    near_copies: bool = True
    """Whether near-copies of test images may have trained; networks that do not say so did not look."""
    data_sha256: str = ""
    """Fingerprint of the dataset that the network was trained on."""
    run: str = ""
    """Name of the training run's folder, the hash of its config, split and data."""
    origin: str = ""
    """Where the weights come from, one sentence."""
    licence: str = ""
    """What one may do with the weights, one sentence."""
    figures: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)
    """Measured on validation when exported, e.g. {"validation": {"accuracy": ...}}."""

    def __post_init__(self) -> None:
        """Check what the runtime relies on.

        Raises:
            ModelError: a value makes no sense; export the model again.
        """
        problems = []
        problems += [f"labels: {problem}" for problem in list_class_problems(self.labels)]
        if self.channels not in (1, 3):
            problems.append(f"channels is {self.channels}, expected 1 or 3")
        if not 8 <= self.size_px <= 1024:
            problems.append(f"size_px is {self.size_px}, expected 8 to 1024")
        if self.kernel not in ("auto", *KERNELS):
            problems.append(f"kernel is {self.kernel!r}, expected auto, {', '.join(KERNELS)}")
        # Bounds far beyond what any network has: behind them the input or the probabilities are no numbers any more.
        if not 1e-6 <= self.std <= 1e6 or not abs(self.mean) <= 1e6:
            problems.append(f"mean and std are {self.mean:g} and {self.std:g}, expected numbers, std more than 0")
        problems += [p for n_views, c in self.calibrations.items() for p in c.find_problems(n_views, len(self.labels))]
        if not -0.5 <= self.crop_margin <= 4:
            problems.append(f"crop_margin is {self.crop_margin}, expected -0.5 to 4")
        names = ("name", "precision", "network", "protocol", "data_sha256", "run", "origin", "licence")
        for key in names:
            text = getattr(self, key)
            if len(text) > MAX_TEXT or not text.isprintable():
                problems.append(f"{key} is {ascii(text)[:40]}..., expected printable text of up to {MAX_TEXT} letters")
        problems += self._find_wrong_limits()
        if problems:
            raise ModelError(f"the model's specification is wrong: {'; '.join(problems)}; export the model again")

    def _find_wrong_limits(self) -> list[str]:
        unknown = sorted(set(self.limits) - set(QUALITY))
        problems = [f"limits of {', '.join(unknown)}, expected some of {', '.join(QUALITY)}"] * bool(unknown)
        problems += [f"set_ratio is {self.set_ratio:g}, expected 0 to 1"] * (not 0 <= self.set_ratio <= 1)
        return problems + ["a limit is no number"] * any(not math.isfinite(least) for least in self.limits.values())

    def find_calibration(self, n_views: int) -> Calibration:
        """Return the calibration for so many views; none was fitted: probabilities stay as they are."""
        return self.calibrations.get(n_views, Calibration())

    @staticmethod
    def name_figures(n_views: int, balanced: bool = False) -> str:
        """Return the key under which `figures` holds the validation figures of so many views."""
        return "validation" + (f"_{n_views}_views" if n_views > 1 else "") + ("_balanced" if balanced else "")

    def to_metadata(self) -> dict[str, str]:
        """Return the ONNX metadata entries that hold this spec."""
        return {METADATA_KEY: json.dumps({"version": SPEC_VERSION, **dataclasses.asdict(self)}, sort_keys=True)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """Read a spec from ONNX metadata.

        Raises:
            ModelError: there is none, or it is of another version or damaged; use a file made by `emoscope export`.
        """
        if METADATA_KEY not in metadata:
            raise ModelError("the ONNX file holds no emoscope specification; use one made by `emoscope export`")
        try:
            values = json.loads(metadata[METADATA_KEY])
            version = values.pop("version")
            if version in READABLE_VERSIONS:
                return validate(cls, values, "the ONNX file's emoscope specification")
        except EmoscopeError as e:
            # What is wrong may be as long as whoever made the file liked.
            text = "".join(c if c.isprintable() else "?" for c in str(e))
            raise ModelError(text[:MAX_MESSAGE] + "..." * (len(text) > MAX_MESSAGE)) from e
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
            reason = type(e).__name__
            raise ModelError(
                f"the ONNX file's emoscope specification is damaged ({reason}); export the model again"
            ) from e
        raise ModelError(
            f"the ONNX file's specification has version {ascii(version)[:20]}, expected {SPEC_VERSION}; "
            "export the model again"
        )
