"""Pictures of faces for a page: a dataset in; samples of each class, augmented faces and the eight kernels out."""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.faces.resample import KERNELS, resample
from emoscope.study.data.cartoon import draw_face
from emoscope.study.data.dataset import SIDE_PX, Dataset
from emoscope.study.drawings.figures import choose_samples
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.report.blocks import Picture, Pictures
from emoscope.study.training.batches import STRENGTHS, create_batch
from emoscope.study.training.build import describe_input, find_size_px

GAP_PX = 3
"""Between faces in a row, transparent."""

N_AUGMENTED = 8
"""Draws of the augmentation shown of each face."""

AUGMENTED = ("happy", "surprise", "angry", "neutral")
"""Classes that lend a face each."""

MAX_AUGMENTED_PX = 96
"""Augmented faces are shown no larger than this."""

MIN_SHOWN_PX = 128
"""Faces of the kernels are shown at least this wide, each pixel as a square."""


def encode(picture: NDArray[np.uint8]) -> str:
    """Return a picture as PNG in a data URI."""
    data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _join(faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Set faces of one size in a row, (h, w, 4), with transparent gaps."""
    side = faces[0].shape[0]
    gap = GAP_PX * side // SIDE_PX
    row = np.zeros((side, len(faces) * (side + gap) - gap, 4), np.uint8)
    for i, face in enumerate(faces):
        left = i * (side + gap)
        row[:, left : left + side, :3] = face[..., None]
        row[:, left : left + side, 3] = 255
    return row


def _create_row(title: str, faces: Sequence[NDArray[np.uint8]], alt: str) -> Picture:
    picture = _join(faces)
    return Picture(title, encode(picture), alt, picture.shape[1])


def show_samples(dataset: Dataset) -> Pictures:
    """Show faces of each class, drawn by a fixed seed."""
    pictures = []
    for label, name in enumerate(dataset.classes):
        rows = choose_samples(dataset, label)
        if len(rows):
            alt = f"{len(rows)} faces labelled {name}"
            pictures.append(_create_row(name, list(dataset.pixels[rows]), alt))
    caption = "Samples of each class, drawn at random by a fixed seed, no two of them identical."
    return Pictures("samples", caption, pictures, "rows")


def show_augmented(dataset: Dataset, config: TrainConfig) -> Pictures:
    """Show a few faces as they are and as a training with augmentation sees them."""
    size_px = min(find_size_px(config, config.size_px), MAX_AUGMENTED_PX)
    spec = describe_input(config, dataset.classes)
    generator = torch.Generator().manual_seed(0)
    pictures = []
    shown = [name for name in AUGMENTED if name in dataset.classes] or dataset.classes[: len(AUGMENTED)]
    for name in shown:
        rows = choose_samples(dataset, dataset.classes.index(name))[:1]
        if not len(rows):
            continue
        faces = torch.from_numpy(dataset.pixels[np.repeat(rows, N_AUGMENTED)])
        plain = create_batch(faces[:1], size_px, spec, None, generator)
        batch = torch.cat([plain, create_batch(faces, size_px, spec, STRENGTHS[config.augmentation], generator)])
        grey = ((batch[:, 0] * spec.std + spec.mean) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        alt = f"One face labelled {name} as it is, then {N_AUGMENTED} times augmented"
        pictures.append(_create_row(name, list(grey), alt))
    light = ", brightness, contrast and erasing" if config.augmentation == "strong" else ""
    caption = (
        f"Augmentation: left a face as it is, then {N_AUGMENTED} draws of mirror, rotation, zoom, shift{light}, at "
        f"{size_px} px."
    )
    return Pictures("augmentation", caption, pictures, "rows")


def show_kernels(dataset: Dataset | None, size_px: int) -> Pictures:
    """Show one face enlarged by each kernel; without a dataset a drawn one."""
    # Of the seven a happy one: an open mouth has edges.
    happy = (dataset.classes.index("happy") if "happy" in dataset.classes else 0) if dataset else 0
    faces = dataset.pixels[choose_samples(dataset, happy)] if dataset else np.empty((0, SIDE_PX, SIDE_PX), np.uint8)
    # One that is neither too dark nor too light to see what becomes of its edges.
    middling: NDArray[np.int64] | list[int] = np.argsort(np.abs(faces.mean(axis=(1, 2)) - 128)) if len(faces) else []
    face = faces[middling[0]] if len(faces) else draw_face(EMOTIONS.index("happy"), np.random.default_rng(0))
    factor = -(-MIN_SHOWN_PX // size_px)
    pictures = []
    for kernel in KERNELS:
        # Kernels with negative lobes overshoot; what goes into a network is clipped likewise.
        large = np.clip(np.rint(resample(face, size_px, kernel)), 0, 255).astype(np.uint8)
        shown = np.ascontiguousarray(large.repeat(factor, axis=0).repeat(factor, axis=1))
        alt = f"A face of {face.shape[0]} px at {size_px} px by the kernel {kernel}"
        pictures.append(Picture(kernel, encode(shown), alt, shown.shape[1]))
    whose = "a face of the dataset" if len(faces) else "a drawn face"
    return Pictures("kernels", f"The eight kernels: {whose}, {face.shape[0]} px, at {size_px} px.", pictures, "grid")
