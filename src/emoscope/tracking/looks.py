"""What people look like, for tracking: an image and face boxes in, small colour thumbnails and their distances out."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.types import Raster

Floats = NDArray[np.float32]

COLUMNS, ROWS = 6, 12
"""Cells of the thumbnail."""
ABOVE, BELOW = 0.4, 0.6
"""Hair and collar tell more than the face itself: shares of the box's height that the thumbnail takes above and
below it. Nothing beside the box: there is background."""
FACE_ROWS = slice(3, 8)
"""The rows that lie within the face box; their brightness is the light's measure."""
SAMPLES_PER_CELL = 3
"""Pixels read along each side of a cell; reading all would cost more than it tells."""
COLOUR_WEIGHT = 2.0
"""Colour against brightness; of 1, 2 and 4 the best at telling 13 people in photographs and the woman of the nearly
colourless demo clip apart."""
MIN_SHARED = 0.4
"""Two thumbnails that share fewer cells inside the picture are not compared."""

MEMORY_S = 2.0, 0.3
"""Time constants of the two memories of a person: who comes back looks like the mean or like the last glimpse."""


@dataclass(frozen=True)
class Looks:
    """Thumbnails of n faces."""

    values: Floats
    """(n, 3 * ROWS * COLUMNS) brightness and two colour differences per cell, 0 outside the picture."""
    weights: Floats
    """(n, ROWS * COLUMNS) 1 inside the picture, 0 outside."""

    def __getitem__(self, rows: slice | NDArray[np.int64] | list[int]) -> Self:
        return type(self)(self.values[rows], self.weights[rows])


def describe(image: Raster, xyxy: Floats) -> Looks:
    """Return what the faces look like: hair, face and collar, independent of size and of the light's strength.

    Args:
        image: (h, w, 3) uint8 BGR.
        xyxy: (n, 4) face boxes in pixels.
    """
    n = len(xyxy)
    cells = np.zeros((n, ROWS, COLUMNS, 3), np.float32)
    weights = np.zeros((n, ROWS, COLUMNS), np.float32)
    for i, box in enumerate(xyxy.tolist()):
        _sample(image, box, cells[i], weights[i])
    grey = cells @ np.full(3, 1 / 3, np.float32)
    light = grey[:, FACE_ROWS].mean(axis=(1, 2), keepdims=True) + np.float32(5)
    values = np.empty((3, *grey.shape), np.float32)
    # The square root evens out dark and bright; 20 keeps the colour of dark cells from being noise.
    values[0] = np.sqrt(grey / light) - np.float32(0.9)
    values[1] = (cells[..., 2] - cells[..., 1]) / (grey + 20) * np.float32(COLOUR_WEIGHT)
    values[2] = (cells[..., 0] - grey) / (grey + 20) * np.float32(COLOUR_WEIGHT)
    values *= weights
    return Looks(values.transpose(1, 0, 2, 3).reshape(n, 3 * ROWS * COLUMNS), weights.reshape(n, ROWS * COLUMNS))


def _sample(image: Raster, box: list[float], cells: Floats, weights: Floats) -> None:
    """Fill the cells (ROWS, COLUMNS, 3) of one face and mark those inside the picture."""
    h, w = image.shape[:2]
    x1, y1, x2, y2 = box
    top, high = y1 - ABOVE * (y2 - y1), (1 + ABOVE + BELOW) * (y2 - y1) / ROWS
    wide = (x2 - x1) / COLUMNS
    if wide <= 0 or high <= 0:
        return
    # Whole cells only, so that what is compared is always the same part of a person.
    (first_x, last_x, left, right) = _find_inside(x1, wide, COLUMNS, w)
    (first_y, last_y, upper, lower) = _find_inside(top, high, ROWS, h)
    if first_x >= last_x or first_y >= last_y:
        return
    step = max(1, int(min(wide, high) / SAMPLES_PER_CELL))
    part = np.ascontiguousarray(image[upper:lower:step, left:right:step])
    size = last_x - first_x, last_y - first_y
    cells[first_y:last_y, first_x:last_x] = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    weights[first_y:last_y, first_x:last_x] = 1


def _find_inside(start: float, step: float, n: int, limit: int) -> tuple[int, int, int, int]:
    """Return the range of cells of which at least half lies in 0..limit, and the range of pixels they cover."""
    first, last = max(0, round(-start / step)), min(n, round((limit - start) / step))
    low = min(max(int(start + first * step), 0), limit - 1)
    return first, last, low, min(max(int(start + last * step), low + 1), limit)


def compute_distances(a: Looks, b: Looks) -> Floats:
    """Return root mean square differences (len(a), len(b)) over the cells both have; NaN where those are too few."""
    shared = a.weights @ b.weights.T
    # (a - b)^2 over shared cells = a^2 wb + wa b^2 - 2 a b: three products of matrices, however many people.
    n = a.weights.shape[1]
    left, right = (np.square(x.values).reshape(-1, 3, n).sum(axis=1) for x in (a, b))
    squares = left @ b.weights.T + a.weights @ right.T - 2 * (a.values @ b.values.T)
    mean = np.maximum(squares, 0) / np.maximum(3 * shared, 1)
    return np.where(shared >= np.float32(MIN_SHARED * n), np.sqrt(mean), np.float32(np.nan))


class Memory:
    """What m tracked people looked like: a slow mean and the last seconds, each a thumbnail."""

    def __init__(self) -> None:
        self.values = np.zeros((0, len(MEMORY_S), 3, ROWS * COLUMNS), np.float32)
        self.weights = np.zeros((0, len(MEMORY_S), 1, ROWS * COLUMNS), np.float32)
        self.n_views = np.zeros(0, np.int64)

    def keep(self, rows: list[int]) -> None:
        """Forget everybody but the people in these rows."""
        self.values, self.weights, self.n_views = self.values[rows], self.weights[rows], self.n_views[rows]

    def add(self, looks: Looks, is_clear: NDArray[np.bool_]) -> None:
        """Append n people; looks that were not clear are replaced by the first that are."""
        values, weights = self._spread(looks)
        self.values = np.concatenate([self.values, np.repeat(values, len(MEMORY_S), axis=1)])
        self.weights = np.concatenate([self.weights, np.repeat(weights, len(MEMORY_S), axis=1)])
        self.n_views = np.concatenate([self.n_views, is_clear])

    def update(self, rows: NDArray[np.int64], looks: Looks, elapsed_s: Floats) -> None:
        """Blend clear looks of the people in some rows into what is known of them.

        Args:
            rows: (k,) people.
            looks: k thumbnails.
            elapsed_s: (k,) seconds since each was seen.
        """
        n_views = self.n_views[rows] + 1
        share = 1 - np.exp(-elapsed_s[:, None] / np.array(MEMORY_S, np.float32))
        # A plain mean to begin with, so that the first view does not outlive those after it.
        share = np.maximum(share, 1 / n_views[:, None]).astype(np.float32)[:, :, None, None]
        values, weights = self._spread(looks)
        known = self.weights[rows]
        step = np.where(known > 0, share, np.float32(1)) * weights
        self.values[rows] += step * (values - self.values[rows])
        self.weights[rows] = np.maximum(known, weights)
        self.n_views[rows] = n_views

    def differ(self, rows: NDArray[np.int64], looks: Looks) -> Floats:
        """Return how far k thumbnails are from the mean looks of the people in k rows; NaN where not comparable."""
        values, weights = self._spread(looks)
        shared = weights[:, 0] * self.weights[rows, 0]
        n = shared.sum(axis=(1, 2))
        squares = (np.square(values[:, 0] - self.values[rows, 0]) * shared).sum(axis=(1, 2))
        enough = n >= np.float32(MIN_SHARED * ROWS * COLUMNS)
        return np.where(enough, np.sqrt(squares / np.maximum(3 * n, 1)), np.float32(np.nan))

    def recall(self, rows: list[int]) -> Looks:
        """Return the mean looks of the people in some rows."""
        n = len(rows)
        return Looks(self.values[rows, 0].reshape(n, -1), self.weights[rows, 0].reshape(n, -1))

    def compare(self, looks: Looks) -> Floats:
        """Return distances (n, m) of n thumbnails to the nearer memory of each person; NaN where not comparable."""
        m = len(self.values) * len(MEMORY_S)
        known = Looks(self.values.reshape(m, -1), self.weights.reshape(m, -1))
        distances = compute_distances(looks, known).reshape(len(looks.values), -1, len(MEMORY_S))
        # Not fmin.reduce: over so short an axis that is ten times slower, felt with hundreds of faces.
        return np.asarray(np.fmin(distances[..., 0], distances[..., 1]))

    @staticmethod
    def _spread(looks: Looks) -> tuple[Floats, Floats]:
        n = len(looks.values)
        return looks.values.reshape(n, 1, 3, -1), looks.weights.reshape(n, 1, 1, -1)
