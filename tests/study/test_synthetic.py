"""Synthetic faces, and what describe and figures make of a dataset."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError, OutputError
from emoscope.study.data.cartoon import draw_face
from emoscope.study.data.dataset import SIDE_PX, Dataset
from emoscope.study.data.describe import describe_dataset
from emoscope.study.data.splits import create_official_split, create_thesis_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.figures import plot_dataset


def test_synthetic_is_deterministic_and_complete() -> None:
    dataset = create_synthetic(300, seed=1)
    again = create_synthetic(300, seed=1)
    assert again.sha256 == dataset.sha256
    np.testing.assert_array_equal(again.group, dataset.group)
    assert create_synthetic(300, seed=2).sha256 != dataset.sha256
    counts = describe_dataset(dataset)
    assert min(counts["classes"].values()) >= 8
    assert max(counts["classes"], key=counts["classes"].get) == "happy"
    assert all(min(part.values()) >= 1 for part in counts["classes_by_usage"].values())
    assert counts["duplicates"]["surplus_copies"] == round(0.015 * 300)
    create_official_split(dataset)
    create_thesis_split(dataset, seed=0)


@pytest.mark.parametrize("n", [1, 7, 56, 99, 100, 101])
def test_synthetic_sizes(n: int) -> None:
    dataset = create_synthetic(n)
    counts = np.bincount(dataset.emotion, minlength=7)
    assert counts.sum() == n
    assert counts.max() - counts.min() <= 1 if n < 100 else counts.min() >= 8
    if n >= 99:
        create_thesis_split(dataset, seed=0)


def test_samples_are_balanced_or_keep_the_classes_shares() -> None:
    dataset = create_synthetic(1000)
    balanced, stratified = dataset.sample(70, seed=1), dataset.sample(200, seed=1, stratified=True)
    assert np.bincount(balanced.emotion).tolist() == [10] * 7
    different = dataset.emotion[np.unique(dataset.group, return_index=True)[1]]
    wanted = 200 * np.bincount(different) / len(different)
    assert (np.abs(np.bincount(stratified.emotion) - wanted) < 1).all()
    assert stratified.sha256 != dataset.sample(200, seed=2, stratified=True).sha256


def test_synthetic_refuses() -> None:
    with pytest.raises(InputError, match="at least 1"):
        create_synthetic(0)


def test_drawing_looks_the_same_at_any_size() -> None:
    small = draw_face(3, np.random.default_rng(5))
    large = draw_face(3, np.random.default_rng(5), 192)
    assert large.shape == (192, 192)
    reduced = cv2.resize(large, (48, 48), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(reduced - small).mean() < 10


def tiny(*rows: tuple[int, int, str]) -> Dataset:
    """Make a dataset of (grey value, emotion, usage)."""
    pixels = np.stack([np.full((SIDE_PX, SIDE_PX), grey, np.uint8) for grey, _, _ in rows])
    return Dataset.create(pixels, np.array([e for _, e, _ in rows], np.uint8), np.array([u for _, _, u in rows]))


def test_describe_counts() -> None:
    dataset = tiny(
        (1, 3, "Training"), (1, 3, "Training"), (1, 4, "PrivateTest"),
        (2, 0, "Training"), (2, 0, "PublicTest"), (2, 0, "PublicTest"),
        (3, 6, "PublicTest"), (3, 6, "PrivateTest"), (4, 6, "PrivateTest"),
    )  # fmt: skip
    found = describe_dataset(dataset)
    assert found["n"] == 9
    assert found["sha256"] == dataset.sha256
    assert found["classes"] == dict(zip(EMOTIONS, [3, 0, 0, 2, 1, 0, 3], strict=True))
    assert found["usages"] == {"Training": 3, "PublicTest": 3, "PrivateTest": 3}
    assert found["classes_by_usage"]["PublicTest"]["angry"] == 2
    assert found["duplicates"] == {
        "groups": 3,
        "rows": 8,
        "surplus_copies": 5,
        "groups_with_conflicting_labels": 1,
        "groups_in_several_usages": 3,
        "private_test_images_in_training": 1,
        "public_test_images_in_training": 2,
    }


def test_figure_is_drawn(tmp_path: Path) -> None:
    faces = create_synthetic(100)
    plot_dataset(faces, tmp_path / "new" / "data.png")
    plot_dataset(tiny((1, 3, "")), tmp_path / "one.png")
    image = cv2.imread(str(tmp_path / "new" / "data.png"))
    assert image is not None
    assert image.shape[1] > 1000
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 200
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        plot_dataset(faces, tmp_path / "file" / "data.png")
    plot_dataset(faces, tmp_path / "one.png")
    (tmp_path / "mine.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    before = (tmp_path / "mine.png").read_bytes()
    with pytest.raises(OutputError, match="no picture that emoscope drew"):
        plot_dataset(faces, tmp_path / "mine.png")
    assert (tmp_path / "mine.png").read_bytes() == before
