"""Files of arrays, read with care: bytes that a disk or a person changed are said to be damaged."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import DamagedError


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Read some arrays of an npz file, whatever they are.

    Raises:
        DamagedError: it is missing, no such file, or has not these.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            return {name: z[name] for name in names}
    # Bytes that were made up bring the readers to errors of every kind.
    except Exception as e:
        raise DamagedError(path, getattr(e, "strerror", None) or e) from e


def load_arrays(path: Path, shapes: dict[str, str]) -> dict[str, NDArray[np.generic]]:
    """Read some arrays of an npz file.

    Args:
        path: the file.
        shapes: of each array, a letter per axis: the same letter is the same number.

    Raises:
        DamagedError: it is missing, no such file, or they do not fit.
    """
    arrays = read_arrays(path, tuple(shapes))
    known: dict[str, int] = {}
    for name, letters in shapes.items():
        array = arrays[name]
        is_like = len(array.shape) == len(letters) and array.dtype.kind in "iuf"
        if not is_like or any(known.setdefault(k, n) != n for k, n in zip(letters, array.shape, strict=True)):
            raise DamagedError(path, f"{name} is {array.dtype} {array.shape}, expected numbers ({', '.join(letters)})")
    return arrays


class Predictions(NamedTuple):
    """What a network says of some images."""

    rows: NDArray[np.int64]
    """(n,)"""
    labels: NDArray[np.int64]
    """(n,), class index."""
    logits: dict[int, NDArray[np.float32]]
    """(n, views, classes) by number of views."""


def load_predictions(path: Path, views: Sequence[int]) -> Predictions:
    """Read rows, labels and logits, which are named as `logits_1`.

    Raises:
        DamagedError: as load_arrays().
    """
    shapes = {f"logits_{v}": f"n{'ABCDEFGHIJ'[i]}c" for i, v in enumerate(views)}
    arrays = load_arrays(path, {"rows": "n", "labels": "n", **shapes})
    logits = {v: arrays[f"logits_{v}"].astype(np.float32) for v in views}
    return Predictions(arrays["rows"].astype(np.int64), arrays["labels"].astype(np.int64), logits)
