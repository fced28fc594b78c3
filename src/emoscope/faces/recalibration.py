"""A project's own calibration: a small JSON file, made from what people saw in its recordings, in and out."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from emoscope.core.emotions import EMOTIONS, list_class_problems
from emoscope.core.errors import InputError, OutputError
from emoscope.core.files import write_json
from emoscope.core.validation import validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION: Final = 1
KIND: Final = "emoscope calibration"
MAX_BYTES: Final = 100_000
MAX_TEMPERATURE: Final = 20.0
MAX_BIAS: Final = 10.0
"""Odds of one to 22,000: no codes say so much."""
SAYS_WHICH: Final = (
    *("name", "network", "run", "data_sha256", "precision", "size_px", "crop_margin", "temperature"),
    "uncertain_below",
)
"""Of a model's description, what tells one network and its calibration from another."""
EXPECTED: Final = "expected a file of `emoscope agree --write-calibration`"


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """What turns a network's probabilities into what people saw in a project's recordings.

    Temperature and bias on the logarithms of the probabilities that the network's own calibration gives
    (Guo et al., On calibration of modern neural networks, 2017, and Platt's offsets for each class).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid", "allow_inf_nan": False}

    temperature: float
    bias: tuple[float, ...]
    """Of each of `emotions`, added to the logarithms."""
    emotions: tuple[str, ...] = EMOTIONS
    model: str
    """Name of the network that it is for."""
    model_sha256: str
    """Of what identify_model() looks at."""
    views: int
    balanced: bool
    codes: int
    """Moments that it was fitted on."""
    participants: int
    coders: tuple[str, ...]
    log_loss: tuple[float, float]
    """Of participants that it was not fitted on, before and with it."""

    def __post_init__(self) -> None:
        """Check what is applied to every face.

        Raises:
            InputError: all that is wrong with it.
        """
        problems = []
        if not 1 / MAX_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE:
            problems.append(f"temperature is {self.temperature:g}, expected 0.05 to {MAX_TEMPERATURE:g}")
        problems += [f"emotions: {problem}" for problem in list_class_problems(self.emotions)]
        n = len(self.emotions)
        if len(self.bias) != n or not all(math.isfinite(b) and abs(b) <= MAX_BIAS for b in self.bias):
            problems.append(f"bias is not {n} numbers from -{MAX_BIAS:g} to {MAX_BIAS:g}")
        if problems:
            raise InputError(f"the calibration is wrong: {'; '.join(problems)}; {EXPECTED}")

    def apply(self, probabilities: "NDArray[np.floating]") -> "NDArray[np.float64]":
        """Return the calibrated probabilities (n, classes) of those that the network gives; rows sum to 1."""
        return recalibrate(probabilities, self.temperature, self.bias)

    def check_for(self, model: Mapping[str, object], views: int, balanced: bool) -> None:
        """Check that a network is the one whose readings were compared with what people saw.

        Args:
            model: as Recognizer.describe() gives it.
            views: averaged per face.
            balanced: whether the second operating point is used.

        Raises:
            InputError: it is another, or it is used otherwise.
        """
        problems = []
        if identify_model(model) != self.model_sha256:
            same = " as it was then" if model["name"] == self.model else ""
            problems.append(f"for the model {self.model}{same}, not for {model['name']}{' as it is' * bool(same)}")
        classes = tuple(map(str, labels)) if isinstance(labels := model.get("labels"), list | tuple) else EMOTIONS
        if classes != tuple(self.emotions):
            problems.append(f"for {', '.join(self.emotions)}, not for {', '.join(classes)}")
        if views != self.views:
            problems.append(f"for {self.views} views, not for {views}")
        if balanced != self.balanced:
            problems.append(f"for readings {'with' if self.balanced else 'without'} --balanced")
        if problems:
            raise InputError(
                f"the calibration was made {'; '.join(problems)}; analyse with the same options, or leave it out"
            )

    def describe(self) -> str:
        """Return what it is, in one line."""
        who = "1 person" if len(self.coders) == 1 else f"{len(self.coders)} people"
        text = json.dumps(asdict(self), sort_keys=True)
        return (
            f"for this project, by {self.codes} moments of {self.participants} participants that {who} coded "
            f"({hashlib.sha256(text.encode()).hexdigest()[:12]})"
        )

    def save(self, path: Path, overwrite: bool = False) -> None:
        """Write the file; one that is there is replaced only where it is whole and of the same network, or by wish.

        Args:
            path: the file.
            overwrite: whether a calibration for another network may be replaced too.

        Raises:
            OutputError: the place cannot be written, or something else is there.
        """
        if os.path.lexists(path):
            try:
                is_same = load_recalibration(path).model_sha256 == self.model_sha256
            except InputError:
                is_same, overwrite = False, False
            if path.is_symlink() or not (is_same or overwrite):
                raise OutputError(f"{path} is something else; name another file or move it away")
        write_json(path, {"kind": KIND, "version": VERSION, **asdict(self)})


def recalibrate(
    probabilities: "NDArray[np.floating]", temperature: float, bias: tuple[float, ...]
) -> "NDArray[np.float64]":
    """Return probabilities (n, classes) with another temperature and biases; rows sum to 1."""
    import numpy as np

    scaled = np.log(np.maximum(probabilities, 1e-30)) / temperature + np.asarray(bias)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def identify_model(model: Mapping[str, object]) -> str:
    """Return a fingerprint of a network and its calibration, of what Recognizer.describe() or a summary says of it."""
    facts = {key: model.get(key) for key in SAYS_WHICH}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def load_recalibration(path: Path) -> Recalibration:
    """Read a file of Recalibration.save().

    Raises:
        InputError: all that is wrong with it.
    """
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(MAX_BYTES))
        if not isinstance(values, dict) or values.pop("kind", None) != KIND:
            raise ValueError("it says nothing of a calibration")
        if (version := values.pop("version", None)) != VERSION:
            raise ValueError(f"its version is {str(version)[:20]}, not {VERSION}")
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(f"cannot read {path} ({getattr(e, 'strerror', None) or e}); {EXPECTED}") from e
    return validate(Recalibration, values, str(path))
