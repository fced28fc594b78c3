"""Give an exported network its limits, below which its readings are uncertain, and its ratio for sets of emotions.

usage: python -m emoscope.study.export.limits FILE.onnx DATASET.npz   (for maintainers, in a checkout)
"""

import dataclasses
import sys
from pathlib import Path

import onnx

from emoscope.core.errors import EmoscopeError, InputError
from emoscope.faces.recognize import Recognizer
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.export.quantize import write_model
from emoscope.study.measuring.conformal import fit_set_ratio, read_degraded
from emoscope.study.measuring.degrade import fit_limits


def set_limits(path: Path, dataset: Dataset) -> ModelSpec:
    """Fit a network's limits and its ratio for sets on its validation images and write them into its file.

    Args:
        path: the ONNX file.
        dataset: the one it was trained on.

    Returns:
        The spec that the file holds now.

    Raises:
        InputError: it was trained on other data.
    """
    recognizer = Recognizer(path)
    if recognizer.spec.data_sha256 != dataset.sha256:
        raise InputError(f"{recognizer.spec.name} was trained on other data; name that dataset")
    rows = create_split(dataset, recognizer.spec).validation
    pixels, labels, spec = dataset.pixels[rows], dataset.emotion[rows], recognizer.spec
    # What is beyond the limits has all emotions in its set: the limits come first.
    recognizer.spec = dataclasses.replace(spec, limits=fit_limits(recognizer, pixels, labels))
    ratio = fit_set_ratio(read_degraded(recognizer, pixels), labels)
    spec = dataclasses.replace(recognizer.spec, set_ratio=ratio)
    write_model(onnx.load(path), path, spec)
    return spec


if __name__ == "__main__":
    try:
        set_limits(Path(sys.argv[1]), Dataset.load(Path(sys.argv[2])))
    except EmoscopeError as e:
        sys.exit(f"error: {e}")
