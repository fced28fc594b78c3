"""A student: what it learns from, what it refuses, what its card tells."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from conftest import Command
from emoscope.core.errors import InputError
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import find_network
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.measuring.final import measure_finally
from emoscope.study.recipes.study import StudyConfig
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.runner import run_study
from emoscope.study.running.teachers import load_teacher
from emoscope.study.training.optimize import Loss
from emoscope.study.training.pool import draw_view
from emoscope.study.training.run_name import open_run
from emoscope.study.training.trainer import Trainer

TINY = """
name: pupil
members: [compact-2-int8, {teacher}]
settings: {{network: compact-tiny, epochs: 1, batch_size: 32, sizes_px: [24], size_shares: [1.0], precision: float32}}
student: {{distil_weight: 0.7}}
"""


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


@pytest.fixture(scope="module")
def study(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a measured study of a student."""
    folder = tmp_path_factory.mktemp("study")
    config = StudyConfig.from_dict(yaml.safe_load(TINY.format(teacher="compact-3-int8")))
    run_study(faces, config, folder, final=True)
    return folder


def test_a_student_learns_the_mean_of_its_teachers(study: Path, faces: Dataset) -> None:
    """In the order of its training images."""
    pixels = faces.pixels[create_split(faces, TrainConfig()).train]
    mean = np.mean([Recognizer(name, 2).predict(pixels) for name in ("compact-2-int8", "compact-3-int8")], axis=0)
    with np.load(study / "pupil-teacher.npz") as z:
        np.testing.assert_allclose(z["probabilities"], mean, atol=1e-5)
    assert [file.name for file in study.glob("*.onnx")] == ["pupil.onnx"], "its teachers are not trained"


def test_its_card_names_its_teachers(
    study: Path, faces: Dataset, faces_file: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tmp_path / "card.md"
    code, _, stderr = emoscope("study", "card", study, "--data", faces_file, "-o", card)
    assert code == 0, stderr
    assert "compact-2-int8 and compact-3-int8" in card.read_text() and "history.png" in card.read_text()
    # Embedded, it has figures of its own and no run; the study's folder tells of it.
    model = shutil.copyfile(study / "pupil.onnx", tmp_path / "pupil.onnx")
    measure_finally(model, faces, tmp_path / "measured")
    monkeypatch.setattr("emoscope.study.export.card.load_embedded", lambda: ("pupil", {"pupil": None}))
    monkeypatch.setattr("emoscope.study.export.card.find_network", lambda name: model)
    options = ["study", "card", tmp_path / "measured", "--data", faces_file, "-o", card, "--recipe"]
    code, _, stderr = emoscope(*options, study)
    assert code == 0, stderr
    assert "compact-2-int8 and compact-3-int8" in card.read_text() and "history.png" in card.read_text()
    recipe = tmp_path / "pupil.yaml"
    recipe.write_text(TINY.format(teacher="compact-3-int8"))
    code, _, stderr = emoscope(*options, recipe)
    assert code == 2 and "name the study's folder instead" in stderr and stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("members: [compact-2-int8]", "there is nothing to do, compact-2-int8 exists"),
        ("members: [nobody]\nstudent: {distil_weight: 0.5}", "members: there is no model 'nobody'"),
        ("members: [3]\nstudent: {distil_weight: 0.5}", "members\\[0\\] is 3, expected keys and values or text"),
        ("members: [compact-2-int8]\nrepeats: 2", "repeats go with one member that is trained"),
    ],
)
def test_a_study_checks_its_members(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        StudyConfig.from_dict(yaml.safe_load(f"name: x\n{text}"))


def test_a_teacher_must_not_have_seen_the_test_images(faces: Dataset, tmp_path: Path) -> None:
    values = yaml.safe_load(TINY.format(teacher="compact-3-int8"))
    values["settings"]["protocol"] = "thesis"
    with pytest.raises(InputError, match="was trained on images that the student is validated or tested with"):
        run_study(faces, StudyConfig.from_dict(values), tmp_path)


def test_a_student_loses_least_where_it_agrees_with_its_teacher() -> None:
    loss = Loss(TrainConfig(distil_weight=0.999, label_smoothing=0.0), torch.ones(7))
    teacher = torch.tensor([[0.5, 0.3, 0.1, 0.04, 0.03, 0.02, 0.01]])
    logits = torch.zeros(1, 7, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        loss(logits, torch.tensor([0]), teacher).backward()
        optimizer.step()
    torch.testing.assert_close(logits.softmax(1), teacher, atol=0.02, rtol=0)


POOL = TINY.replace("{{distil_weight: 0.7}}", "{{distil_weight: 0.7, views: 3}}").replace("[24]", "[48]")


def test_a_student_learns_its_teachers_answer_to_the_view_that_it_sees(faces: Dataset, tmp_path: Path) -> None:
    config = StudyConfig.from_dict(yaml.safe_load(POOL.format(teacher="compact-3-int8")))
    assert config.student is not None
    models, lines = [find_network("compact-2-int8"), find_network("compact-3-int8")], list[str]()
    teacher = load_teacher(faces, models, config.student, tmp_path / "teacher.npz", lines.append)
    split = create_split(faces, config.student)
    pixels = faces.pixels[split.train]
    assert teacher.shape == (len(pixels), 3, 7) and len(lines) == 6
    for view in range(3):
        drawn = draw_view(pixels, view, config.student.seed)
        mean = np.mean([Recognizer(model).predict(drawn) for model in models], axis=0)
        np.testing.assert_allclose(teacher[:, view], mean, atol=1e-5)
    run = open_run(tmp_path / "runs", config.student, split, faces)
    trainer = Trainer(faces, split, dataclasses.replace(config.student, degrade=0.0), run, teacher)
    rows = torch.arange(len(pixels))
    x, labels, taught = trainer.images.create_batch(rows, 0, torch.Generator().manual_seed(0), np.random.default_rng(0))
    assert taught is not None and torch.equal(labels, trainer.images.labels)
    views = [(taught == torch.from_numpy(teacher[:, view])).all(1) for view in range(3)]
    assert torch.stack(views).any(0).all() and all(view.any() for view in views)
    seen = (x.squeeze(1) * trainer.spec.std + trainer.spec.mean) * 255
    for view in range(3):
        # Half of them are erased in a part.
        away = (seen - torch.from_numpy(draw_view(pixels, view, config.student.seed))).abs().flatten(1).median(1).values
        assert (away[views[view]] < 0.1).all() and (away[~views[view]] > 0.5).float().mean() > 0.95


def test_a_pool_is_read_on_after_a_cut_and_gone_after_the_training(faces: Dataset, tmp_path: Path) -> None:
    config = StudyConfig.from_dict(yaml.safe_load(POOL.format(teacher="compact-3-int8")))

    def stop(line: str) -> None:
        if "view 3/3" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(faces, config, tmp_path / "cut", on_progress=stop)
    lines = list[str]()
    cut, whole = run_study(faces, config, tmp_path / "cut", on_progress=lines.append), tmp_path / "whole"
    assert sum("reading view" in line for line in lines) == 2 and cut["validation"]
    assert run_study(faces, config, whole)["validation"] == cut["validation"]
    assert not list(whole.rglob("pool.npy"))


def test_views_belong_to_a_student(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="views is 3, expected 0: views belong to a student"):
        StudyConfig.from_dict({"name": "x", "members": [{"views": 3}]})
