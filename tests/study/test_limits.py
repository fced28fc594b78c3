"""Limits: where a network stops reading rightly is found, and a face beyond is uncertain whatever the network says."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from emoscope.core.errors import InputError, ModelError
from emoscope.core.frame_result import FrameResult
from emoscope.core.schema import QUALITY
from emoscope.core.types import Faces
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import find_network
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.export.limits import set_limits
from emoscope.study.export.quantize import write_model
from emoscope.study.measuring.degrade import find_limit, fit_limits


def test_the_limit_is_where_every_second_face_is_read_wrongly() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, 20_000)
    right = rng.random(20_000) < values  # at 0.5 every second one
    assert find_limit(values, right) == pytest.approx(0.5, abs=0.05)
    assert find_limit(values, np.ones(20_000, bool)) is None


def test_a_network_that_is_blind_in_the_dark_gets_a_limit_of_light(faces_file: Path) -> None:
    faces = Dataset.load(faces_file)

    class Blind:
        def predict(self, crops: np.ndarray) -> Any:
            light = crops.mean(axis=(1, 2)) / 255
            sees = light > 0.04
            return np.eye(7)[np.where(sees, faces.emotion, (faces.emotion + 1) % 7)]

    limits = fit_limits(Blind(), faces.pixels, faces.emotion)  # type: ignore[arg-type]
    assert set(limits) == {"light"} and limits["light"] == pytest.approx(0.04, abs=0.01)


def test_limits_are_kept_in_the_file_and_make_a_reading_uncertain(faces_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    shutil.copy(find_network("compact-5-int8"), path)
    with pytest.raises(InputError, match="trained on other data"):
        set_limits(path, Dataset.load(faces_file))
    spec = dataclasses.replace(Recognizer(path).spec, limits={"light": 0.03})
    write_model(onnx.load(path), path, spec)
    assert Recognizer(path).spec.limits == {"light": 0.03}
    with pytest.raises(ModelError, match="limits of colour"):
        ModelSpec("x", limits={"colour": 1.0})

    surely, quality = np.eye(7)[:2], np.ones((2, len(QUALITY)))
    faces = Faces(np.zeros((2, 4), np.float32), np.ones(2, np.float32), probabilities=surely, quality=quality)
    result = FrameResult(0, 0.0, "", (9, 9), faces.replace(unreadable=np.array([False, True])), uncertain_below=0.5)
    assert result.uncertain.tolist() == [False, True] and [face.uncertain for face in result] == [False, True]
    assert result.to_frame()["light"].tolist() == [1, 1]
