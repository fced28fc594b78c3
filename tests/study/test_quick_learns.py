"""thesis-quick's networks learn: each kind tells drawn faces apart, and none does whose labels were shuffled."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from emoscope.study.data.dataset import Dataset
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.file import load_yaml
from emoscope.study.running.repeats import measure_run
from emoscope.study.running.split_folder import draw_faces
from emoscope.study.training.threads import limit_threads
from emoscope.study.training.train import train

FILE = Path(__file__).parents[2] / "studies" / "thesis-quick.yaml"
LEAST = 0.3
"""Of macro F1 on test images; chance gives 0.14."""
COMPARISON = Comparison.from_dict(load_yaml(FILE))


def measure_family(family: str, faces: Dataset, folder: Path) -> float:
    """Train with the middle learning rate of a family's space; return its macro F1 on the test images."""
    space = COMPARISON.families[family]
    point = {**dict.fromkeys(space.values, 0), "learning_rate": len(space.values["learning_rate"]) // 2}
    config = space.create_config(point)
    with limit_threads(1):
        return measure_run(train(faces, config, folder), faces, (1,))["views"]["1"]["macro_f1"]


@pytest.mark.parametrize(
    "family",
    [pytest.param(family, marks=[] if family == "resnet" else pytest.mark.slow) for family in COMPARISON.families],
)
def test_a_network_learns_and_with_shuffled_labels_does_not(family: str, tmp_path: Path) -> None:
    faces = draw_faces(create_synthetic(1400, seed=0), COMPARISON)
    assert measure_family(family, faces, tmp_path) >= LEAST
    shuffled = np.random.default_rng(0).permutation(faces.emotion)
    assert measure_family(family, dataclasses.replace(faces, emotion=shuffled), tmp_path) < LEAST
