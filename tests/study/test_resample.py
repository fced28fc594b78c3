"""The eight kernels, each against another implementation, and the same ones on the device."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from emoscope.core.errors import InputError, ModelError
from emoscope.faces.preprocess import preprocess
from emoscope.faces.resample import KERNELS, compute_weights, resample
from emoscope.faces.spec import ModelSpec
from emoscope.study.training.batches import Augmentation, create_batch

Picture = NDArray[np.float32]
SIZES_PX = (32, 100, 125, 150, 175)
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}


@pytest.fixture(scope="module")
def faces() -> NDArray[np.uint8]:
    """Smooth shapes, hard edges and noise: 12 pictures of 48 px."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, 48, 48)).astype(np.uint8)
    pictures[4:8] = [cv2.GaussianBlur(p, (0, 0), 3) for p in pictures[4:8]]
    pictures[8:, 10:30, 5:40] = 255
    pictures[9:, 20:, 20:] = 0
    return pictures


@pytest.fixture(scope="module")
def picture(faces: NDArray[np.uint8]) -> Picture:
    return faces[9].astype(np.float32) / 255


def find_decided(n_in: int, n_out: int) -> NDArray[np.bool_]:
    """Where a centre lies between two pixels equally near, rounding errors decide which one libraries take."""
    return (2 * np.arange(n_out) + 1) * n_in % (2 * n_out) != 0


@pytest.mark.parametrize("size_px", SIZES_PX)
@pytest.mark.parametrize("kernel", FILTERS)
def test_kernels_are_pillows(kernel: str, size_px: int, picture: Picture) -> None:
    for image in (picture, picture[:, :37]):
        theirs = np.asarray(Image.fromarray(image).resize((size_px, size_px), FILTERS[kernel]))
        ours = resample(image, size_px, kernel)
        if kernel == "nearest":
            rows, columns = (find_decided(n, size_px) for n in image.shape)
            assert rows.mean() > 0.8 and columns.mean() > 0.8
            ours, theirs = ours[rows][:, columns], theirs[rows][:, columns]
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_nearest_takes_the_right_one_of_two_pixels_equally_near() -> None:
    assert compute_weights("nearest", 4, 2).argmax(axis=1).tolist() == [1, 3]
    for size_px in SIZES_PX:
        theirs = torch.nn.functional.interpolate(torch.arange(48.0)[None, None], size=size_px, mode="nearest-exact")
        assert compute_weights("nearest", 48, size_px).argmax(axis=1).tolist() == theirs.flatten().tolist()


def test_kernels_are_opencvs_where_it_has_the_same(picture: Picture) -> None:
    for kernel, flag, sizes_px in (
        ("bilinear", cv2.INTER_LINEAR, SIZES_PX[1:]),
        ("area", cv2.INTER_AREA, (32, 24, 17)),
    ):
        for size_px in sizes_px:
            theirs = cv2.resize(picture, (size_px, size_px), interpolation=flag)
            np.testing.assert_allclose(resample(picture, size_px, kernel), theirs, atol=1e-3)


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_area_is_repeating_and_averaging(size_px: int, picture: Picture) -> None:
    """Each pixel becomes so many equal ones that a whole number of them makes one of the result."""
    expected = picture.astype(np.float64)
    common = math.lcm(48, size_px)
    for _ in range(2):
        fine = np.kron(expected, np.ones((common // 48, 1)))
        expected = fine.reshape(size_px, common // size_px, -1).mean(axis=1).T
    np.testing.assert_allclose(resample(picture, size_px, "area"), expected, atol=1e-5)


def weigh(kernel: str, x: float) -> float:
    """The formulas as TensorFlow's sampling_kernels.h has them."""
    x = abs(x)
    if kernel == "gaussian":
        return math.exp(-x * x / (2 * 0.5 * 0.5)) if x < 1.5 else 0
    if kernel == "lanczos5":
        if x <= 1e-3:
            return 1
        return 5 * math.sin(math.pi * x) * math.sin(math.pi * x / 5) / (math.pi * x) ** 2 if x < 5 else 0
    if x >= 2:
        return 0
    if x >= 1:
        return (((-7 / 18) * x + 2) * x - 10 / 3) * x + 16 / 9
    return (((7 / 6) * x - 2) * x) * x + 8 / 9


def resample_rows(image: NDArray[np.float64], n_out: int, kernel: str) -> NDArray[np.float64]:
    n_in = len(image)
    scale = n_in / n_out
    stretch = max(scale, 1.0)
    rows = []
    for i in range(n_out):
        total, row = 0.0, np.zeros(image.shape[1])
        for j in range(n_in):
            weight = weigh(kernel, (j + 0.5 - (i + 0.5) * scale) / stretch)
            total += weight
            row += weight * image[j]
        rows.append(row / total)
    return np.array(rows)


@pytest.mark.parametrize("size_px", SIZES_PX)
@pytest.mark.parametrize("kernel", ["lanczos5", "gaussian", "mitchell"])
def test_kernels_are_the_formula(kernel: str, size_px: int, picture: Picture) -> None:
    expected = resample_rows(resample_rows(picture.astype(np.float64), size_px, kernel).T, size_px, kernel).T
    np.testing.assert_allclose(resample(picture, size_px, kernel), expected, atol=1e-3)


@given(st.sampled_from(KERNELS), st.integers(1, 90), st.integers(1, 90))
def test_weights_keep_a_plain_picture_and_have_no_side(kernel: str, n_in: int, n_out: int) -> None:
    weights = compute_weights(kernel, n_in, n_out)
    assert weights.shape == (n_out, n_in) and weights.dtype == np.float32 and np.isfinite(weights).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    if kernel != "nearest":  # which takes the right one of two pixels equally near
        np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-6)


def test_weights_are_computed_once_and_cannot_be_changed() -> None:
    weights = compute_weights("bicubic", 48, 100)
    assert compute_weights("bicubic", 48, 100) is weights
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1
    for kernel, n_in, n_out in (("auto", 48, 100), ("area", 0, 100), ("area", 48, 0)):
        with pytest.raises(InputError, match="expected one of nearest, bilinear"):
            compute_weights(kernel, n_in, n_out)


def test_a_picture_of_the_size_stays(picture: Picture) -> None:
    for kernel in KERNELS:
        same = resample(picture, 48, kernel)
        assert np.array_equal(same, picture) and same is not picture
    assert resample(np.stack([picture, picture]), 20, "area").shape == (2, 20, 20)


def test_the_kernels_differ(picture: Picture) -> None:
    for size_px in (32, 100):
        results = [resample(picture, size_px, kernel) for kernel in KERNELS]
        for i, one in enumerate(results):
            assert all(np.abs(one - other).max() > 0.01 for other in results[:i])


@pytest.mark.parametrize("kernel", KERNELS)
def test_training_and_recognition_resample_alike(kernel: str, faces: NDArray[np.uint8]) -> None:
    for size_px in (32, 48, 75, 100, 175):
        spec = ModelSpec("x", size_px=size_px, channels=3, kernel=kernel)
        runtime = preprocess(faces, spec)
        batch = create_batch(torch.from_numpy(faces), size_px, spec, None, torch.Generator())
        assert runtime.shape == batch.shape == (12, 3, size_px, size_px)
        np.testing.assert_allclose(batch.numpy(), runtime, atol=1e-5)
        pixels = runtime * spec.std + spec.mean
        assert pixels.min() >= -1e-6 and pixels.max() <= 1 + 1e-6, "overshoot is clipped"


def test_crops_of_any_shape_are_resampled_as_if_alone(faces: NDArray[np.uint8]) -> None:
    spec = ModelSpec("x", size_px=40, kernel="lanczos3")
    colour = np.repeat(faces[0][:, :, None], 3, axis=2)
    crops = [faces[0], faces[1][:30], faces[2], colour, faces[3][:, :1], faces[4][:40, :40]]
    alone = np.concatenate([preprocess([crop], spec) for crop in crops])
    np.testing.assert_allclose(preprocess(crops, spec), alone, atol=1e-5)
    np.testing.assert_allclose(alone[3], alone[0], atol=1e-5)
    for kernel in ("auto", "area"):
        assert preprocess([], ModelSpec("x", kernel=kernel)).shape == (0, 1, 48, 48)


def test_augmentation_draws_the_same_changes_for_every_kernel(faces: NDArray[np.uint8]) -> None:
    x, how = torch.from_numpy(faces), Augmentation(erase_probability=0)
    spec = ModelSpec("x")

    def create(kernel: str, size_px: int, seed: int = 3) -> torch.Tensor:
        of_kernel = dataclasses.replace(spec, kernel=kernel)
        return create_batch(x, size_px, of_kernel, how, torch.Generator().manual_seed(seed))

    # At the faces' own size nothing is left to resample: the batch of `auto`.
    assert torch.equal(create("mitchell", 48), create("auto", 48))
    for kernel in KERNELS:
        batch = create(kernel, 100)
        assert batch.shape == (12, 1, 100, 100) and torch.equal(batch, create(kernel, 100))
        assert not torch.equal(batch, create(kernel, 100, seed=4))
        # Smooth faces differ little between kernels; they would, were the warps others.
        assert (batch[4:8] - create("auto", 100)[4:8]).abs().mean() < 0.1
        pixels = batch * spec.std + spec.mean
        assert pixels.min() >= -1e-6 and pixels.max() <= 1 + 1e-6


def test_the_kernel_travels_with_the_model() -> None:
    for kernel in ("auto", *KERNELS):
        spec = ModelSpec("x", kernel=kernel)
        assert ModelSpec.from_metadata(spec.to_metadata()) == spec
    [(key, text)] = ModelSpec("x").to_metadata().items()
    assert '"kernel": "auto", ' in text
    assert ModelSpec.from_metadata({key: text.replace('"kernel": "auto", ', "")}).kernel == "auto"
    with pytest.raises(ModelError, match="kernel is 'cubic', expected auto, nearest"):
        ModelSpec("x", kernel="cubic")
