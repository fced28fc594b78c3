"""Sets of emotions: nine in ten hold the label whatever was done to the faces; what is unreadable may be anything."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest

import emoscope as product
from conftest import Command
from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError, ModelError
from emoscope.core.types import Image
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import find_network
from emoscope.faces.spec import Calibration, ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.export.quantize import write_model
from emoscope.study.measuring.conformal import (
    AS_THEY_ARE,
    Read,
    find_ratio,
    fit_set_ratio,
    measure_sets,
    read_degraded,
)
from emoscope.study.measuring.final import describe_test


def draw(rng: np.random.Generator, n: int, sharpness: float) -> tuple[Read, Any]:
    """Return calibrated probabilities of a network that knows more or less, and labels drawn by them."""
    probabilities = rng.dirichlet(np.full(7, sharpness), n)
    labels = (probabilities.cumsum(1) < rng.random((n, 1))).sum(1)
    return Read(probabilities, np.zeros(n, bool)), np.minimum(labels, 6)


def test_nine_in_ten_sets_hold_the_label_of_faces_as_they_are_and_made_worse() -> None:
    rng = np.random.default_rng(0)
    read, labels = draw(rng, 4000, 0.2)
    # Made worse: the same labels, of which the network knows little, and is as sure as before.
    worse = Read(
        np.where(rng.random((4000, 1)) < 0.4, rng.permuted(read.probabilities, axis=1), read.probabilities),
        read.unreadable,
    )
    half, other = slice(2000), slice(2000, None)
    both = {AS_THEY_ARE: read, ("dark", "0.1"): worse}
    alone = fit_set_ratio({AS_THEY_ARE: read.select(np.arange(2000))}, labels[half])
    ratio = fit_set_ratio({key: r.select(np.arange(2000)) for key, r in both.items()}, labels[half])
    later = np.arange(2000, 4000)
    as_they_are = measure_sets(read.select(later), labels[other], alone)
    assert as_they_are["coverage"] == pytest.approx(0.9, abs=0.02) and 1 < as_they_are["size"] < 3
    assert measure_sets(worse.select(later), labels[other], alone)["coverage"] < 0.85
    assert measure_sets(worse.select(later), labels[other], ratio)["coverage"] == pytest.approx(0.9, abs=0.02)
    assert 0 < ratio < alone
    # Nobody knows what an unreadable face shows: it hides nothing from the fit, and its set is everything.
    dark = Read(worse.probabilities, np.ones(4000, bool))
    assert fit_set_ratio({AS_THEY_ARE: read, ("dark", "0.01"): dark}, labels) == fit_set_ratio(
        {AS_THEY_ARE: read}, labels
    )
    assert measure_sets(dark, labels, ratio) == {"coverage": 1, "size": 7}


def test_the_ratio_is_the_rank_that_one_more_face_asks_for() -> None:
    scores = np.arange(1, 20) / 100
    assert find_ratio(scores) == 0.02  # of 19 + 1 labels 2 may be missed: all but the 2nd smallest reach it
    assert find_ratio(scores[:8]) == 0.0  # eight faces cannot tell what nine in ten would


def test_every_way_of_making_worse_is_read_as_analyses_read(faces_file: Path) -> None:
    class Known:
        spec = ModelSpec("known", limits={"size_px": 16})

        def predict(self, crops: list[Image]) -> Any:
            assert all(crop.ndim == 2 for crop in crops)
            return np.full((len(crops), 7), 1 / 7)

    found = read_degraded(Known(), Dataset.load(faces_file).pixels[:3])  # type: ignore[arg-type]
    assert len(found) == 31 and next(iter(found)) == AS_THEY_ARE
    assert found["small, px", "10"].unreadable.all() and not found["small, px", "16"].unreadable.any()


def test_test_images_tell_coverage_and_size_of_sets(faces_file: Path) -> None:
    dataset = Dataset.load(faces_file)
    rows, spec = np.arange(20), dataclasses.replace(Recognizer("fast").spec, set_ratio=1.0, protocol="thesis")
    logits = {1: np.eye(7, dtype=np.float32)[dataset.emotion[rows]][:, None] * 9}
    logits[1][:5, 0] = np.eye(7)[(dataset.emotion[:5] + 1) % 7] * 9
    spec = dataclasses.replace(spec, calibrations={1: Calibration(bias=(0.0,) * 7)})
    [figures] = describe_test(spec, dataset, rows, logits).values()
    assert figures["sets"] == {"coverage": 0.75, "size": 1}
    assert "sets" not in describe_test(dataclasses.replace(spec, set_ratio=0.0), dataset, rows, logits)["1"]


def test_the_table_has_sets_where_they_are_asked_for(
    portrait: Image, clip: Path, tmp_path: Path, emoscope: Command
) -> None:
    options = ("--set-90", "--smooth", "0.5", "--every", "0.2s", "--end", "1", "--no-report", "--formats", "jsonl")
    assert emoscope("analyze", clip, *options, "-o", tmp_path / "out")[0] == 0
    folder = tmp_path / "out"
    column = pq.read_table(folder / "observations.parquet")["set_90"]
    analysis = product.load_analysis(folder)
    table = analysis.observations
    ratio = Recognizer().spec.set_ratio
    p = table[[f"p_{name}" for name in EMOTIONS]].to_numpy()
    sets = [" ".join(e for e, is_in in zip(EMOTIONS, row >= ratio * row.max(), strict=True) if is_in) for row in p]
    # A frame without a face has none.
    expected = [text or None for text in sets]
    assert ratio > 0 and expected[0] and column.to_pylist() == expected
    assert table["set_90"].isna().tolist() == [text is None for text in expected]
    assert list(table.columns)[-8:] == [*(f"smooth_{name}" for name in EMOTIONS), "set_90"]
    assert analysis.summary.model["set_ratio"] == ratio
    rows = [json.loads(line) for line in (folder / "observations.jsonl").read_text("utf-8").splitlines()]
    assert [row["set_90"] for row in rows] == expected
    [face] = product.analyze_image(portrait, set_90=True)
    assert face.set_90 is not None and face.emotion in face.set_90
    assert [face.set_90 for face in product.analyze_image(portrait)] == [None]


def test_a_network_without_sets_says_what_has_them(portrait: Image, tmp_path: Path, emoscope: Command) -> None:
    path = tmp_path / "bare.onnx"
    shutil.copy(find_network("fast"), path)
    write_model(onnx.load(path), path, dataclasses.replace(Recognizer(path).spec, name="bare", set_ratio=0.0))
    with pytest.raises(
        InputError, match="bare has no sets of emotions fitted; leave out --set-90, or use --model default"
    ):
        product.analyze_image(portrait, model=path, set_90=True)
    assert len(product.analyze_image(portrait, model=path)) == len(product.analyze_image(portrait, set_90=True)) == 1
    with pytest.raises(InputError, match="leave out --balanced or --set-90"):
        product.analyze_image(portrait, balanced=True, set_90=True)
    with pytest.raises(ModelError, match="set_ratio is 2, expected 0 to 1"):
        ModelSpec("x", set_ratio=2.0)
