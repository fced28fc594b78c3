"""Networks from anywhere: what they say of themselves, and what they do."""

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from emoscope import Recognizer
from emoscope.core.errors import ModelError
from emoscope.faces import trial
from emoscope.faces.spec import Calibration, ModelSpec

onnx = pytest.importorskip("onnx")
N_PIXELS = 48 * 48


def write_network(
    path: Path, weight: float = 0.0, n_classes: int = 7, output: str = "logits", big: int = 0, by_others: bool = False
) -> Path:
    """Write a network of one product; optionally it makes so many numbers on its way, or reads pictures by others."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("ConstantOfShape", ["shape"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("ReduceMean", ["product"], ["mean"], axes=[0]),
        helper.make_node("Sub" if by_others else "Max", ["product", "mean" if by_others else "product"], ["answer"]),
        helper.make_node("Add", ["answer", "sum"], [output]),
    ]
    weights = np.full((N_PIXELS, n_classes), weight, np.float32)
    values = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([big], np.int64), "shape")]
    one = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 1, 48, 48])
    other = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", n_classes])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [one], [other], values), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    helper.set_model_props(model, ModelSpec("foreign").to_metadata())
    path.write_bytes(model.SerializeToString())
    return path


def test_a_network_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_network(tmp_path / "a.onnx", 0.001)
    assert Recognizer(path).predict(np.zeros((48, 48), np.uint8)).shape == (1, 7)
    [passed] = (Path(os.environ["EMOSCOPE_CACHE"]) / "tried").iterdir()
    monkeypatch.setattr(trial, "_known", set())
    monkeypatch.setattr(trial, "_run", lambda path: "tried again")
    Recognizer(path)
    Recognizer()
    passed.unlink()
    with pytest.raises(ModelError, match="tried again"):
        Recognizer(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight": np.nan}, "no numbers"),
        ({"weight": 1e38}, "no numbers"),
        ({"n_classes": 5}, r"\(1, 5\)"),
        ({"output": "scores"}, "inputs or outputs"),
        ({"weight": 0.1, "by_others": True}, "when others are beside it"),
        ({"big": 40_000_000_000}, "cannot read 1 pictures|ends the process"),
    ],
)
def test_networks_that_are_refused(tmp_path: Path, options: dict[str, float], said: str) -> None:
    path = write_network(tmp_path / "a.onnx", **options)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=said):
        Recognizer(path)


def test_what_is_no_number_only_later_is_refused_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_run", lambda path: None)
    recognizer = Recognizer(write_network(tmp_path / "a.onnx", np.nan))
    with pytest.raises(ModelError, match="no numbers"):
        recognizer.predict(np.zeros((48, 48), np.uint8))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a\r\n\x1b[31m"},
        {"name": 5},
        {"std": 1e-320},
        {"std": float("inf")},
        {"mean": float("nan")},
        {"size_px": 48.5},
        {"size_px": True},
        {"figures": {"validation": {"accuracy": "<script>"}}},
        {"calibrations": {"1": {"temperature": 1e-300}}},
        {"calibrations": {"1": {"uncertain_below": "x"}}},
        {"calibrations": {"1": {"bias": [float("nan")] * 7}}},
        {"labels": ["happy"] * 100_000},
        {"x" * 100_000: 1},
    ],
)
def test_specifications_that_are_refused(change: dict[str, object]) -> None:
    values = json.loads(ModelSpec("x").to_metadata()["emoscope"]) | change
    with pytest.raises(ModelError) as caught:
        ModelSpec.from_metadata({"emoscope": json.dumps(values)})
    assert "\n" not in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 1000


@pytest.mark.parametrize("n", [50, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
def test_mutated_specifications_are_read_or_refused_in_a_line(n: int) -> None:
    spec = ModelSpec("x", calibrations={1: Calibration(0.9, 0.4, (0.1,) * 7)}, figures={"validation": {"n": 7}})
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec
    good = spec.to_metadata()["emoscope"]
    pieces = ["NaN", "-1", "1e999", "null", "[]", "{}", '"\\u001b"', "true", "9" * 5000, "[" * 3000, "0.5", '"', ","]
    chance = random.Random(0)
    n_refused = 0
    for _ in range(n):
        text = good
        for _ in range(chance.randint(1, 3)):
            begin = chance.randrange(len(text))
            end = min(len(text), begin + chance.choice([0, 1, 1, 5, 30]))
            text = text[:begin] + chance.choice([*pieces, chr(chance.randrange(256))]) + text[end:]
        try:
            ModelSpec.from_metadata({"emoscope": text})
        except ModelError as e:
            n_refused += 1
            assert len(str(e)) < 1000 and str(e).isprintable()
    assert n_refused > n / 2
