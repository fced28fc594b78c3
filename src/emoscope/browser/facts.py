"""What the page must know of the Python code: constants, the networks' files and specifications; facts.json."""

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from emoscope.core.errors import InputError
from emoscope.core.schema import create_columns
from emoscope.core.version import read_version
from emoscope.faces import crop, detect, own, preprocess, quality, upright
from emoscope.faces.detect import create_detector
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import DETECTOR, ROLL, YUNET, check_sha256
from emoscope.media import shots
from emoscope.pipeline.analyzer import PICTURE_SIDE_PX, VIDEO_SIDE_PX
from emoscope.tables import moments
from emoscope.tables.observations import SCHEMA_VERSION
from emoscope.tracking import looks, motion, smooth, track

MODULES: Final = (crop, detect, own, preprocess, quality, upright, looks, moments, motion, shots, smooth, track)
"""Their scripts take the constants from here: a number stands in one place."""


def collect_constants(module: ModuleType) -> dict[str, Any]:
    """Return a module's numbers, and its tuples and slices of numbers, by name."""
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        if not name.isupper():
            continue
        if isinstance(value, slice):
            value = (value.start, value.stop)
        is_number = isinstance(value, int | float)
        if is_number or (isinstance(value, tuple) and all(isinstance(v, int | float) for v in value)):
            found[name] = value
    return found


def collect_facts(model: str | Path = "default", detector: str = "auto") -> tuple[dict[str, Any], dict[str, Path]]:
    """Return what facts.json holds, and the networks' files by their name in the page's folder.

    Args:
        model: name of an embedded network, or an ONNX file that `emoscope export` made.
        detector: `auto`, `yunet` or `own`.

    Raises:
        InputError: no such model or detector, or a model that the page cannot feed.
        ModelError: a file is damaged or not to be had.
    """
    recognizer, choice = Recognizer(model), create_detector(detector)
    spec = recognizer.spec
    if spec.kernel != "auto" or spec.channels != 1:
        raise InputError(
            f"{spec.name} takes pictures that the page does not make (kernel {spec.kernel}, {spec.channels} channels); "
            "take a network with the kernel `auto` and one channel, such as --model default"
        )
    kind = YUNET if choice.detector.name == "yunet" else DETECTOR
    files = {
        "emotion.onnx": recognizer.path,
        "roll.onnx": check_sha256(ROLL),
        "faces.onnx": kind.path,
    }
    facts: dict[str, Any] = {
        "version": read_version(),
        "emotions": spec.labels,
        "columns": list(create_columns(spec.labels)),
        "schema_version": SCHEMA_VERSION,
        "model_facts": recognizer.describe(),
        "settings": {
            "detector": choice.detector.name,
            "detector_reason": choice.reason,
            "max_side_px": VIDEO_SIDE_PX,
            "model": spec.name,
            "views": 1,
            "balanced": False,
            "smoothing_s": 0.0,
            "baseline": "off",
        },
        "video_side_px": VIDEO_SIDE_PX,
        "picture_side_px": PICTURE_SIDE_PX,
        "detector": {"name": choice.detector.name, "file": "faces.onnx"},
        "roll": {"file": "roll.onnx"},
        "model": {
            **{name: getattr(spec, name) for name in ("name", "size_px", "mean", "std", "crop_margin", "limits")},
            "calibration": dataclasses.asdict(recognizer.calibration),
            "file": "emotion.onnx",
        },
        "constants": {module.__name__.rpartition(".")[2]: collect_constants(module) for module in MODULES},
    }
    return facts, files
