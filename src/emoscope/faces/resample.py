"""One picture in, the same at another size out: eight kernels by name, as two matrix products.

The kernels are those of TensorFlow's `tf.image.resize` (v2, `antialias=True`), which the 2022 reference study compared:
pixel centres lie at halves, a kernel is stretched by the scale when the picture shrinks, and its weights are normalised
over the pixels inside the picture. Training (on the device) and recognition use the same weights.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError

Float = NDArray[np.float64]


def _bilinear(x: Float) -> Float:
    return np.clip(1 - x, 0, None)


def _create_cubic(b: float, c: float) -> Callable[[Float], Float]:
    """Return the cubic of Mitchell and Netravali (Reconstruction filters in computer graphics, 1988, equation 8)."""

    def cubic(x: Float) -> Float:
        near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + (6 - 2 * b)
        far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + (8 * b + 24 * c)
        return np.where(x < 1, near, np.where(x < 2, far, 0)) / 6

    return cubic


def _create_lanczos(radius: int) -> Callable[[Float], Float]:
    """Return the sinc windowed by the sinc's first lobe (Duchon, 1979)."""

    def lanczos(x: Float) -> Float:
        return np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)

    return lanczos


def _gaussian(x: Float) -> Float:
    """Radius 1.5; TensorFlow's standard deviation is a third of the radius."""
    return np.where(x < 1.5, np.exp(-(x**2) / (2 * 0.5**2)), 0)


FUNCTIONS: dict[str, Callable[[Float], Float]] = {
    "bilinear": _bilinear,
    # Keys (Cubic convolution interpolation, 1981) with a = -0.5 is the cubic with b = 0 and c = -a.
    "bicubic": _create_cubic(0, 0.5),
    "lanczos3": _create_lanczos(3),
    "lanczos5": _create_lanczos(5),
    "gaussian": _gaussian,
    "mitchell": _create_cubic(1 / 3, 1 / 3),
}
"""Weight, not normalised, by distance >= 0 in pixels of the coarser grid: the input when a picture grows."""

KERNELS: tuple[str, ...] = ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchell")
"""Names in the reference study's order."""


@lru_cache(maxsize=64)
def compute_weights(kernel: str, n_in: int, n_out: int) -> NDArray[np.float32]:
    """Compute the weights by which n_in pixels in a row give n_out.

    Args:
        kernel: one of KERNELS.
        n_in: pixels there are.
        n_out: pixels wanted.

    Returns:
        (n_out, n_in) float32, read-only; rows sum to 1.

    Raises:
        InputError: no such kernel, or a length below 1; choose one of KERNELS.
    """
    if kernel not in KERNELS or n_in < 1 or n_out < 1:
        raise InputError(
            f"kernel {kernel!r} from {n_in} to {n_out} px, expected one of {', '.join(KERNELS)} and sizes > 0"
        )
    # In units of 1 / (2 n_in n_out) of the row's length every edge and centre is a whole number: where a pixel lies
    # exactly on a kernel's edge no rounding decides.
    inputs, outputs = np.arange(n_in, dtype=np.int64)[None, :], np.arange(n_out, dtype=np.int64)[:, None]
    if kernel == "nearest":
        weights = ((2 * outputs + 1) * n_in // (2 * n_out) == inputs).astype(np.float64)
    elif kernel == "area":
        end = np.minimum((outputs + 1) * n_in, (inputs + 1) * n_out)
        weights = np.clip(end - np.maximum(outputs * n_in, inputs * n_out), 0, None).astype(np.float64)
    else:
        distance = np.abs((2 * inputs + 1) * n_out - (2 * outputs + 1) * n_in)
        weights = FUNCTIONS[kernel](distance / (2 * max(n_in, n_out)))
    result: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    result.flags.writeable = False
    return result


def resample(image: NDArray[np.generic], size_px: int, kernel: str) -> NDArray[np.float32]:
    """Resample one grey picture, or a stack of equal size, to a square.

    Args:
        image: (..., h, w), any range.
        size_px: side of the result.
        kernel: one of KERNELS.

    Returns:
        (..., size_px, size_px) float32 in the range of the image, beyond it where a kernel overshoots. A picture that
        has the size already stays as it is, as in TensorFlow, though gaussian and mitchell would blur it.

    Raises:
        InputError: no such kernel, or an empty picture.
    """
    h, w = image.shape[-2:]
    values = np.asarray(image, np.float32)
    rows, columns = compute_weights(kernel, h, size_px), compute_weights(kernel, w, size_px)
    if (h, w) == (size_px, size_px):
        return values.copy()
    # One product over all rows of all pictures is much faster than one for each picture.
    wide = (np.ascontiguousarray(values).reshape(-1, w) @ columns.T).reshape(*image.shape[:-1], size_px)
    return np.asarray(rows @ wide, np.float32)
