"""Train a network of geometry from its recipe, or go on with one; at the end write it as ONNX.

usage: python -m emoscope.study.geometry RECIPE.yaml DATASET.npz FOLDER [BACKGROUNDS...]

For maintainers, in a checkout. The detector's scenes are made before BACKGROUNDS, files and folders of pictures that
show no face; without any, before drawn ones.
"""

import sys
from pathlib import Path

import torch
import typer

from emoscope.core.errors import EmoscopeError
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_official_split
from emoscope.study.geometry.detector import DetectorTask
from emoscope.study.geometry.fit import Recipe, Task, fit
from emoscope.study.geometry.roll import RollTask
from emoscope.study.geometry.scenes import load_backgrounds

MEASURE_EVERY = 224
"""Steps, about one look at every training face."""


def main(recipe_path: Path, data: Path, folder: Path, *backgrounds: Path) -> None:
    """Train on Training faces, measure on PublicTest faces; the rest is left alone."""
    recipe, dataset = Recipe.load(recipe_path), Dataset.load(data)
    split = create_official_split(dataset)
    torch.manual_seed(recipe.seed)
    faces = dataset.pixels[split.train], dataset.pixels[split.validation]
    is_roll = recipe.network == "roll"
    task: Task = RollTask(*faces) if is_roll else DetectorTask(*faces, load_backgrounds(backgrounds))
    network = fit(task, recipe, folder, typer.echo, MEASURE_EVERY)
    task.write(network, folder / f"{recipe.name}.onnx")


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except EmoscopeError as e:
        sys.exit(f"error: {e}")
