"""Teachers: exported networks and a student's training images in, the probabilities that the student learns out."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import DamagedError, InputError
from emoscope.core.files import compute_sha256, open_atomic, set_aside
from emoscope.faces.recognize import Recognizer
from emoscope.study.data.arrays import read_arrays
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.pool import draw_view

TEACHER_VIEWS = 2
"""Views averaged for a student without a pool: a picture and its mirror image, as augmentation shows both."""


def load_teacher(
    dataset: Dataset, models: Sequence[Path], student: TrainConfig, path: Path, on_progress: Callable[[str], None]
) -> NDArray[np.float32]:
    """Return the networks' averaged probabilities for the student's training images, in their order.

    Args:
        dataset: labelled faces.
        models: ONNX files.
        student: says which images are its training images, and which views of them are read.
        path: keeps the probabilities: another processor's would differ in their last digits, and the student be new.
            It is written view by view, and a call that was cut off is taken up again.
        on_progress: called with a line for what takes time.

    Returns:
        (n, classes), or (n, views, classes) where the student has a pool of views.

    Raises:
        InputError: a network saw images that the student is validated or tested with.
    """
    split = create_split(dataset, student)
    of = {"model": " ".join(map(compute_sha256, models)), "split": split.sha256}
    if student.views:
        of["split"] += f" {student.seed}"
    known = _load_known(path, of)
    parts = [] if known is None else list(known.transpose(1, 0, 2) if student.views else known[None])
    n_parts = max(1, student.views)
    recognizers = _open_teachers(dataset, models, split, student) if len(parts) < n_parts else []
    for view in range(len(parts), n_parts):
        pixels = dataset.pixels[split.train]
        if student.views:
            pixels = draw_view(pixels, view, student.seed)
        total = np.zeros((len(pixels), len(dataset.classes)))
        for model, recognizer in zip(models, recognizers, strict=True):
            what = f"view {view + 1}/{n_parts} of " * bool(student.views)
            on_progress(f"{model.name}: reading {what}the training images")
            total += recognizer.predict(pixels)
        parts.append((total / len(models)).astype(np.float32))
        probabilities = np.stack(parts, axis=1) if student.views else parts[0]
        with open_atomic(path) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, probabilities=probabilities, **of)
    return np.stack(parts, axis=1) if student.views else parts[0]


def _load_known(path: Path, of: dict[str, str]) -> NDArray[np.float32] | None:
    """Return what an earlier call kept of these networks and images."""
    if not path.is_file():
        return None
    try:
        known = read_arrays(path, (*of, "probabilities"))
    except DamagedError as e:
        set_aside(e)
        return None
    is_same = all(str(known[key]) == value for key, value in of.items())
    return known["probabilities"].astype(np.float32) if is_same else None


def _open_teachers(dataset: Dataset, models: Sequence[Path], split: Split, student: TrainConfig) -> list[Recognizer]:
    recognizers = [Recognizer(model, 1 if student.views else TEACHER_VIEWS) for model in models]
    kept = np.concatenate([split.validation, split.test])
    for model, recognizer in zip(models, recognizers, strict=True):
        if recognizer.spec.labels != dataset.classes:
            raise InputError(
                f"{model.name} reads {', '.join(recognizer.spec.labels)}, and the data have "
                f"{', '.join(dataset.classes)}; a teacher has the student's classes"
            )
    for model, recognizer in zip(models, recognizers, strict=True):
        if np.isin(kept, create_split(dataset, recognizer.spec).train).any():
            raise InputError(
                f"{model.name} was trained on images that the student is validated or tested with; give the student "
                "the teachers' protocol and split_seed"
            )
    return recognizers
