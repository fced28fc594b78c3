"""Near-copies: planted ones are found, strangers are not taken for them, and no split has them on two sides."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import Command
from emoscope.core.errors import InputError
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.relatives import find_pairs, find_relatives
from emoscope.study.data.splits import create_split, keep_apart
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.recipes.training import TrainConfig

N = 300
Image = NDArray[np.uint8]


def draw_scenes(n: int, seed: int = 0) -> Image:
    """Draw pictures (n, 48, 48) that are nothing like each other: smooth noise with the spectrum of photographs."""
    noise = np.random.default_rng(seed).normal(size=(n, 48, 48)).astype(np.float32)
    layers = [s**0.5 * np.stack([cv2.GaussianBlur(image, (0, 0), s) * s for image in noise]) for s in (1, 2, 4, 8)]
    scenes = np.sum(layers, axis=0)
    return np.clip(128 + 50 * scenes / scenes.std(axis=(1, 2), keepdims=True), 0, 255).astype(np.uint8)


def copy(image: Image, rng: np.random.Generator) -> Image:
    """Cut up to 3 px off each side, perhaps mirror it, change the light, write it as JPEG."""
    top, bottom, left, right = rng.integers(0, 4, 4)
    cut = cv2.resize(image[top : 48 - bottom, left : 48 - right], (48, 48), interpolation=cv2.INTER_CUBIC)
    cut = cut[:, :: rng.choice([-1, 1])]
    lit = np.clip(cut * rng.uniform(0.7, 1.2) + rng.uniform(-20, 20), 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", lit, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


@pytest.mark.parametrize("kind", ["scenes", "faces"])
def test_planted_copies_are_found(kind: str) -> None:
    rng = np.random.default_rng(1)
    originals = draw_scenes(N) if kind == "scenes" else create_synthetic(N, seed=2).pixels
    copies = np.stack([copy(image, rng) for image in originals])
    pairs = find_pairs(np.concatenate([originals, copies]))
    found = {int(min(i, j)) for i, j in pairs if abs(i - j) == N}
    assert len(found) >= 0.95 * N
    if kind == "scenes":
        assert (np.abs(pairs[:, 0] - pairs[:, 1]) == N).all(), "strangers are no relatives"


def test_relatives_of_relatives_and_pictures_without_content() -> None:
    scenes = draw_scenes(4)
    blank = np.stack([np.full((48, 48), shade, np.uint8) for shade in (0, 90, 255)])
    pixels = np.concatenate([scenes[:2], blank, scenes[:2, :, ::-1], scenes[:1], scenes[2:]])
    dataset = Dataset.create(pixels, np.zeros(10, np.uint8), np.full(10, ""))
    assert dataset.group.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 7, 8]
    assert dataset.relative.tolist() == [0, 1, 2, 3, 4, 0, 1, 0, 5, 6]
    assert find_relatives(pixels[:1], np.zeros(1, np.int32)).tolist() == [0]


def test_pictures_that_are_all_alike_take_no_square_of_memory() -> None:
    scene = draw_scenes(1)[0].astype(int)
    pixels = np.clip(scene + np.random.default_rng(0).integers(-2, 3, (600, 48, 48)), 0, 255).astype(np.uint8)
    assert len(find_pairs(pixels)) < 50 * len(pixels)
    assert not find_relatives(pixels, np.arange(600, dtype=np.int32)).any()


@given(st.lists(st.integers(0, 3), min_size=90, max_size=140), st.integers(0, 9), st.integers(0, 7))
@settings(max_examples=25, deadline=None)
def test_no_relative_stands_on_two_sides_of_any_split(n_relatives: list[int], seed: int, fold: int) -> None:
    rng = np.random.default_rng(seed)
    relative = rng.permutation(np.repeat(np.arange(len(n_relatives)), [1 + n for n in n_relatives])).astype(np.int32)
    n = len(relative)
    pixels = np.zeros((n, 48, 48), np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1] = np.arange(n) % 256, np.arange(n) // 256
    usage = rng.choice(["Training", "PublicTest", "PrivateTest"], n, p=[0.8, 0.1, 0.1])
    dataset = Dataset.create(pixels, relative % 7, usage, relative)
    for settings_ in ({"protocol": "official"}, {"protocol": "thesis", "fold": fold, "split_seed": seed}):
        beside = create_split(dataset, TrainConfig.from_dict({**settings_, "near_copies": True}))
        apart = create_split(dataset, TrainConfig.from_dict(settings_))
        np.testing.assert_array_equal(apart.test, beside.test)
        sides = [set(relative[part].tolist()) for part in (apart.train, apart.validation, apart.test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        # Nobody leaves who has no relative on another side.
        left_out = np.setdiff1d(np.arange(n), np.concatenate([apart.train, apart.validation, apart.test]))
        held = apart.test if settings_["protocol"] == "thesis" else np.concatenate([apart.test, apart.validation])
        assert np.isin(relative[left_out], relative[held]).all()


def test_nothing_left_to_train_is_said() -> None:
    faces = create_synthetic(140)
    alike = Dataset.create(faces.pixels, faces.emotion, faces.usage, np.zeros(140, np.int32))
    with pytest.raises(InputError, match="all images that train or validate are near-copies of test images"):
        keep_apart(create_split(alike, TrainConfig(near_copies=True)), alike)


def test_files_keep_relatives(tmp_path: Path, emoscope: Command) -> None:
    rng = np.random.default_rng(0)
    scenes = draw_scenes(14)
    pixels = np.concatenate([scenes, np.stack([copy(scene, rng) for scene in scenes[:3]])])
    dataset = Dataset.create(pixels, np.arange(17) % 7, np.array([*["Training"] * 14, *["PrivateTest"] * 3]))
    path = dataset.save(tmp_path / "faces.npz")
    assert np.load(path)["relative"].tolist() == [*range(14), 0, 1, 2]
    # A file of an earlier version does not tell; imported again it does, and splits are the same.
    arrays = dict(np.load(path))
    np.savez(tmp_path / "earlier.npz", **{name: arrays[name] for name in ("pixels", "emotion", "usage", "group")})
    np.testing.assert_array_equal(Dataset.load(tmp_path / "earlier.npz").relative, dataset.relative)
    assert emoscope("data", "import", tmp_path / "earlier.npz", "-o", tmp_path / "earlier.npz")[0] == 0
    assert "relative" in np.load(tmp_path / "earlier.npz")
    code, out, _ = emoscope("data", "show", path, "--json")
    facts = json.loads(out)
    assert code == 0 and Path(facts["picture_of_near_copies"]).is_file()
    assert facts["near_copies"] == {
        "groups": 3,
        "rows": 6,
        "surplus_copies": 3,
        "largest_group": 2,
        "groups_with_conflicting_labels": 0,
        "groups_in_several_usages": 3,
        "private_test_images_with_one_elsewhere": 3,
        "public_test_images_with_one_elsewhere": 0,
    }
    np.savez(tmp_path / "odd.npz", **{**arrays, "group": arrays["group"], "relative": np.zeros(3, np.int32)})
    with pytest.raises(InputError, match="relative is int32"):
        Dataset.load(tmp_path / "odd.npz")
