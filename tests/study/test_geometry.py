"""The networks of geometry: what they learn from is turned as said; a training that was cut off goes on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emoscope.core.errors import InputError
from emoscope.faces.devices import create_session
from emoscope.faces.upright import SIZE_PX, standardize
from emoscope.study.data.dataset import Dataset
from emoscope.study.geometry.fit import Recipe, fit
from emoscope.study.geometry.roll import RollTask, describe_errors, turn
from emoscope.study.geometry.roll import standardize as standardize_batch

RECIPES = Path(__file__).parents[2] / "studies" / "geometry"


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


def test_a_positive_angle_is_clockwise() -> None:
    face = torch.zeros(1, 1, SIZE_PX, SIZE_PX)
    face[0, 0, :8, 12:20] = 1  # a bright forehead
    one, none = torch.ones(1), torch.zeros(1, 2)
    turned = turn(face, torch.tensor([np.pi / 2]), one, none)[0, 0]
    assert turned[12:20, 24:].mean() > 0.9
    smaller = turn(face, torch.zeros(1), one / 2, none)[0, 0]
    assert smaller[9:11, 15:17].mean() > 0.9
    assert smaller[20:].mean() < 0.1


def test_runtime_and_training_standardise_alike(faces: Dataset) -> None:
    crops = [np.ascontiguousarray(face[8:40, 8:40]) for face in faces.pixels[:5]]
    ours = standardize_batch(torch.from_numpy(np.stack(crops))[:, None].float() / 255)
    np.testing.assert_allclose(standardize(crops), ours.numpy(), atol=1e-5)


def test_errors_go_round_the_circle() -> None:
    degrees = np.radians(np.array([179.0, 10, 0, 170]))
    outputs = np.radians(np.array([-179.0, 20, 180, 180]))
    parts = [np.stack([np.sin(a), np.cos(a)], axis=1).astype(np.float32) for a in (outputs, degrees)]
    assert describe_errors(*parts) == pytest.approx({"median_deg": 10.0, "p90_deg": 129.0, "wrong_way": 0.25}, abs=0.1)


def test_a_training_goes_on_where_it_was_cut_off_and_becomes_a_file(faces: Dataset, tmp_path: Path) -> None:
    def train(steps: int, folder: Path) -> tuple[RollTask, torch.nn.Module]:
        torch.manual_seed(0)
        task = RollTask(faces.pixels[:60], faces.pixels[60:80])
        # The learning rate falls only after the steps that are compared.
        recipe = Recipe(name="tiny", network="roll", steps=steps, batch_size=8, warmup=4, fall=1e-9)
        return task, fit(task, recipe, folder, lambda line: None, measure_every=3)

    _, whole = train(6, tmp_path / "whole")
    train(3, tmp_path / "parts")
    task, resumed = train(6, tmp_path / "parts")
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    assert len((tmp_path / "parts" / "log.jsonl").read_text().splitlines()) == 2

    task.write(resumed, tmp_path / "tiny.onnx")
    assert (tmp_path / "tiny.onnx").stat().st_size < 300_000
    found = create_session(tmp_path / "tiny.onnx").run(None, {"input": standardize(list(faces.pixels[:3]))})[0]
    assert found.shape == (3, 2)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_right(path: Path, tmp_path: Path) -> None:
    recipe = Recipe.load(path)
    rates = [recipe.find_learning_rate(step) for step in (0, recipe.steps // 2, recipe.steps - 1)]
    assert rates[0] < rates[1] == recipe.learning_rate > rates[2] > 0
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(path.read_text() + "stesp: 3\n")
    with pytest.raises(InputError, match="stesp"):
        Recipe.load(wrong)
