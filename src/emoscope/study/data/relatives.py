"""Near-copies: pictures in, groups of those that are one photograph out, however cropped, mirrored, lit or compressed.

A picture is a thumbnail of 16 x 16 cells, its mean removed, of unit length: gain and offset drop out, compression and
sharpening hardly count. Two pictures, one of them perhaps mirrored, are relatives if their thumbnails have a cosine of
0.95 or more; or one of 0.965, and of 0.85 without their lowest frequencies, once a crop of the one was fitted to the
other. Relatives of relatives are relatives.

Every picture against every other in every crop would be 10^11 comparisons. So candidates are found by their lowest
frequencies, in a grid of crops, among those that lie near the same few of some picked pictures (an inverted file: Sivic
and Zisserman, Video Google, 2003); only their crops are fitted.
"""

import functools
from collections.abc import Iterator
from itertools import product
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

LEAST_COSINE: Final = 0.95
"""Of relatives as they lie: of FER2013's pairs beyond it 60 of 60 looked at were one photograph."""

LEAST_FITTED: Final = 0.965
"""Of relatives once a crop was fitted, which makes strangers more alike, too: between 0.96 and 0.975 39 of 40 pairs
looked at were one photograph, between 0.95 and 0.96 half of them, and the fewest pairs lie around 0.965."""

LEAST_DETAIL: Final = 0.85
"""Of the same pairs without the lowest frequencies: a bright oval on a dark ground is like every other one."""

LEAST_CANDIDATE: Final = 0.92
"""Cosine of the lowest frequencies in the nearest crop of the grid."""

LEAST_PROMISING: Final = 0.95
"""What a step of the fit has to promise."""

BASE, CELLS = 24, 16
"""Sides of what crops are cut from, and of a thumbnail."""

N_LOW, N_LOWEST = 8, 5
"""Sides of the block of a thumbnail's frequencies that candidates are found by, and of that which is no detail."""

RASTER: Final = 0.005
"""Crops are rounded to this."""

LEAST_ZOOM, N_ZOOMS, N_SHIFTS = 0.95, 71, 24
"""Crops that there are: zooms up to 1.3, shifts of up to 0.12 of the side."""

GRID: Final = [np.array([z, z, y, x]) for z, y, x in product((1.0, 1.08, 1.16), *[(-0.04, 0.0, 0.04)] * 2)]
"""Crops in which candidates are looked for: the picture's height and width by the crop's, the shifts of its middle."""

WHOLE: Final = np.array([1.0, 1.0, 0.0, 0.0])
"""No crop."""

N_PROBES: Final = 4
"""Places of the inverted file in which a picture is looked for."""

MAX_ALIKE: Final = 24
"""Candidates of a picture; where there are more, as of a film's frames, the likest link them all the same."""

BLOCK: Final = 4096
"""Rows at a time, for memory's sake."""

Array = NDArray[np.float32]
Rows = NDArray[np.int64]


def find_relatives(pixels: NDArray[np.uint8], group: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number pictures so that near-copies share a number, by first occurrence.

    Args:
        pixels: (n, h, w), grey.
        group: (n,), identical pictures share a number.

    Returns:
        (n,), numbered from 0.
    """
    _, first, place = np.unique(group, return_index=True, return_inverse=True)
    i, j = find_pairs(pixels[first]).T
    edges = coo_array((np.ones(len(i), np.int8), (i, j)), shape=(len(first), len(first)))
    parts = connected_components(edges, directed=False)[1][place]
    seen: dict[int, int] = {}
    return np.array([seen.setdefault(part, len(seen)) for part in parts.tolist()], np.int32)


def find_pairs(pixels: NDArray[np.uint8]) -> Rows:
    """Return the rows (m, 2) of relatives among pictures (n, h, w) that differ."""
    base = np.stack([cv2.resize(p, (BASE, BASE), interpolation=cv2.INTER_AREA) for p in pixels]).astype(np.float32)
    # A picture of one shade has no content that could be compared.
    rows = np.flatnonzero(base.std(axis=(1, 2)) > 1)
    found = [np.zeros((0, 2), np.int64)]
    if len(rows) < 2:
        return found[0]
    whole = base[rows]
    for ones in (whole, np.ascontiguousarray(whole[:, :, ::-1])):
        i, j, crops = _find_candidates(ones, whole)
        for part in _split(len(i)):
            is_one = _compare(ones[i[part]], whole[j[part]], crops[part])
            found.append(np.stack([rows[i[part]], rows[j[part]]], axis=1)[is_one])
    return np.concatenate(found)


def _split(n: int, size: int = BLOCK) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, n, size))


@functools.cache
def _compute_weights() -> Array:
    """Compute the means over a crop's cells as weights (zooms, shifts, 16, 24) of the picture's pixels along a side."""
    zooms = LEAST_ZOOM + RASTER * np.arange(N_ZOOMS)[:, None, None]
    shifts = RASTER * np.arange(-N_SHIFTS, N_SHIFTS + 1)[:, None]
    edges = BASE * ((np.arange(CELLS + 1) / CELLS - 0.5) / zooms + shifts + 0.5)
    weights = np.diff(np.clip(edges[..., None] - np.arange(BASE), 0, 1), axis=-2)
    # What lies outside of the picture is as its margin.
    weights[..., 0] += np.diff(np.minimum(edges, 0), axis=-1)
    weights[..., -1] += np.diff(np.maximum(edges - BASE, 0), axis=-1)
    return np.asarray(weights / weights.sum(-1, keepdims=True), np.float32)


def _find_weights(crops: NDArray[np.float64]) -> tuple[Array, Array]:
    """Return the weights (..., 16, 24) along height and width of crops (..., 4)."""
    table = _compute_weights()
    zoom = np.rint((crops[..., :2] - LEAST_ZOOM) / RASTER).astype(int)
    shift = np.rint(crops[..., 2:] / RASTER).astype(int) + N_SHIFTS
    return table[zoom[..., 0], shift[..., 0]], table[zoom[..., 1], shift[..., 1]]


def _describe(base: Array, crop: NDArray[np.float64]) -> Array:
    """Return the lowest frequencies (n, 63) but the mean of one crop of pictures, of unit length."""
    weights_y, weights_x = _find_weights(crop)
    y, x = _compute_basis()[:N_LOW] @ weights_y, _compute_basis()[:N_LOW] @ weights_x
    return _scale(np.asarray((y @ base @ x.T).reshape(len(base), -1)[:, 1:], np.float32))


@functools.cache
def _compute_basis() -> Array:
    """Compute a thumbnail's frequencies along a side as weights (16, 16) of its cells, the lowest first."""
    return np.asarray(dct(np.eye(CELLS), axis=0, norm="ortho"), np.float32)


def _find_detail(thumbnails: Array) -> Array:
    """Return thumbnails' frequencies (m, 256) without the lowest, of unit length."""
    values = _compute_basis() @ thumbnails.reshape(-1, CELLS, CELLS) @ _compute_basis().T
    values[:, :N_LOWEST, :N_LOWEST] = 0
    return _scale(np.asarray(values.reshape(-1, CELLS**2), np.float32))


def _cut(base: Array, crops: NDArray[np.float64]) -> Array:
    """Return the thumbnail (m, 256) of each picture's own crop (m, 4)."""
    y, x = _find_weights(crops)
    values = (y @ base @ x.transpose(0, 2, 1)).reshape(-1, CELLS**2)
    return _scale(values - values.mean(axis=1, keepdims=True))


def _scale(values: Array) -> Array:
    """Return rows of unit length."""
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6), np.float32)


def _find_candidates(ones: Array, others: Array) -> tuple[Rows, Rows, NDArray[np.float64]]:
    """Return pairs that may be relatives, each once: i (m,), j (m,), the likeliest crop (m, 4) of `ones[i]`."""
    index, n = _Index(_describe(others, WHOLE)), len(others)
    best = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64)
    for number, crop in enumerate(GRID):
        found = list(index.look_up(_describe(ones, crop)))
        key = np.concatenate([best[0], *(i * n + j for i, j, _ in found)])
        cosine = np.concatenate([best[1], *(cosines for *_, cosines in found)])
        crop_number = np.concatenate([best[2], np.full(len(key) - len(best[0]), number)])
        order = np.lexsort((-cosine, key))
        kept = order[np.unique(key[order], return_index=True)[1]]
        kept = kept[key[kept] // n != key[kept] % n]
        kept = kept[_rank(key[kept] // n, cosine[kept]) < MAX_ALIKE]
        best = key[kept], cosine[kept], crop_number[kept]
    return best[0] // n, best[0] % n, np.stack(GRID)[best[2]]


def _rank(rows: Rows, cosines: Array) -> Rows:
    """Return each value's rank among those of its row, the largest first."""
    order = np.lexsort((-cosines, rows))
    starts = np.searchsorted(rows[order], rows[order])
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows)) - starts
    return ranks


class _Index:
    """Rows of unit length, each at the nearest of some picked ones."""

    def __init__(self, rows: Array) -> None:
        n_places = round(1.5 * len(rows) ** 0.5)
        self.picked = rows[np.linspace(0, len(rows) - 1, n_places).astype(int)]
        place = np.concatenate([(rows[part] @ self.picked.T).argmax(axis=1) for part in _split(len(rows))])
        self.order = np.argsort(place, kind="stable")
        self.ends = np.searchsorted(place[self.order], np.arange(n_places + 1))
        self.rows = rows[self.order]

    def look_up(self, queries: Array) -> Iterator[tuple[Rows, Rows, Array]]:
        """Yield rows of the queries, rows that are like them, and their cosine."""
        n_probes = min(N_PROBES, len(self.picked))
        nearness = (queries[part] @ self.picked.T for part in _split(len(queries)))
        probes = np.concatenate([np.argpartition(near, -n_probes, axis=1)[:, -n_probes:] for near in nearness]).ravel()
        asked = np.argsort(probes, kind="stable")
        ends = np.searchsorted(probes[asked], np.arange(len(self.picked) + 1))
        for place in range(len(self.picked)):
            of_queries = asked[ends[place] : ends[place + 1]] // n_probes
            of_rows = slice(self.ends[place], self.ends[place + 1])
            # Pictures that are all alike lie at one place.
            for part in _split(len(of_queries), BLOCK**2 // (1 + of_rows.stop - of_rows.start)):
                cosines = queries[of_queries[part]] @ self.rows[of_rows].T
                i, j = np.nonzero(cosines >= _find_least(cosines))
                yield of_queries[part][i], self.order[of_rows][j], cosines[i, j]


def _find_least(cosines: Array) -> Array:
    """Return the least cosine (n, 1) of each row's candidates."""
    least = np.full((len(cosines), 1), LEAST_CANDIDATE, np.float32)
    if cosines.shape[1] > MAX_ALIKE:
        crowded = np.flatnonzero((cosines >= LEAST_CANDIDATE).sum(axis=1) > MAX_ALIKE)
        least[crowded, 0] = np.partition(cosines[crowded], -MAX_ALIKE, axis=1)[:, -MAX_ALIKE]
    return least


def _compare(ones: Array, others: Array, crops: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether pairs of pictures (m, 24, 24) are relatives; `ones` are cropped, at first by crops (m, 4)."""
    wholes = np.tile(WHOLE, (len(ones), 1))
    wanted = _cut(others, wholes)
    is_one = _multiply(_cut(ones, wholes), wanted) >= LEAST_COSINE
    left = np.flatnonzero(~is_one)
    crops, promised = _fit(ones[left], wanted[left], crops[left])
    left, crops = left[promised >= LEAST_PROMISING], crops[promised >= LEAST_PROMISING]
    again, _ = _fit(ones[left], wanted[left], crops)
    for thumbnails in (_cut(ones[left], crops), _cut(ones[left], again)):
        is_like = _multiply(thumbnails, wanted[left]) >= LEAST_FITTED
        is_one[left] |= is_like & (_multiply(_find_detail(thumbnails), _find_detail(wanted[left])) >= LEAST_DETAIL)
    return is_one


def _multiply(ones: Array, others: Array) -> Array:
    """Return the products of rows, one by one."""
    return np.asarray(np.einsum("mi,mi->m", ones, others), np.float32)


def _fit(base: Array, wanted: Array, crops: NDArray[np.float64]) -> tuple[NDArray[np.float64], Array]:
    """Fit each picture's crop to a thumbnail, by a step of Gauss and Newton.

    Args:
        base: (m, 24, 24).
        wanted: (m, 256), thumbnails.
        crops: (m, 4), where the step begins.

    Returns:
        Where it ends (m, 4), and the cosine (m,) that it promises: what it would be, were thumbnails linear in the crop
        (the tangent distance of Simard et al., 1993).
    """
    step, now = 4 * RASTER, _cut(base, crops)
    slopes = np.stack([(_cut(base, crops + step * axis) - now) / step for axis in np.eye(4)], axis=2)
    across = slopes.transpose(0, 2, 1)
    normal = across @ slopes + 1e-3 * np.eye(4, dtype=np.float32)
    moves = np.linalg.solve(normal, across @ (wanted - now)[..., None])
    moves = np.clip(moves, -0.05, 0.05)
    promised = _multiply(_scale(now + (slopes @ moves)[..., 0]), wanted)
    # A further step begins inside of the raster.
    least = [LEAST_ZOOM, LEAST_ZOOM, -0.1, -0.1]
    return np.clip(crops + moves[..., 0], least, [1.28, 1.28, 0.1, 0.1]), promised
