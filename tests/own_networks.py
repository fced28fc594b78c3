"""Networks with classes of their own for tests: pictures drawn of each class in, a tiny trained network out."""

from pathlib import Path

import cv2
import numpy as np

from emoscope.core.emotions import EMOTIONS
from emoscope.study.data.cartoon import draw_face
from emoscope.study.data.importers import import_dataset
from emoscope.study.data.labels import Labels
from emoscope.study.export.export import export_run
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.train import train

THREE = ("bored", "happy", "interested")
ELEVEN = (*EMOTIONS, "contempt", "bored", "interested", "confused")
N = 12
"""Pictures of a class."""


def draw_set(folder: Path, classes: tuple[str, ...]) -> Path:
    """Draw pictures of each class; those beyond the seven are theirs turned over, so that they can be told apart."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(N):
            face = draw_face(label % len(EMOTIONS), np.random.default_rng([label, i]))
            face = face if label < len(EMOTIONS) else face[::-1]
            cv2.imwrite(str(folder / name / f"{i}.png"), face)
    return folder


def export_network(folder: Path, classes: tuple[str, ...]) -> Path:
    """Train on drawn pictures and export, without the command line; the dataset lies beside the file as own.npz."""
    config = TrainConfig(
        "compact-tiny", protocol="thesis", near_copies=True, epochs=2, batch_size=16, sizes_px=(24,), size_shares=(1.0,)
    )
    dataset = import_dataset(draw_set(folder / "pictures", classes), labels=Labels(classes=classes))
    dataset.save(folder / "own.npz")
    export_run(train(dataset, config, folder / "runs").folder, folder / "own.onnx")
    return folder / "own.onnx"
