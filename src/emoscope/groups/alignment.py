"""Alignment by sound: the onsets of two sounds in, when one begins in the other and how certain that is out."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Onsets = NDArray[np.float32]
RATE_HZ: Final = 8_000
"""Of the samples: what rooms, small loudspeakers and small microphones leave of a sound lies below 4 kHz."""
HOP: Final = 80
"""Samples from one frame to the next: 10 ms."""
WINDOW: Final = 256
N_BANDS: Final = 16
RANGE_HZ: Final = (150.0, 3_600.0)
RISE: Final = 3
"""Frames over which the energy of a band rises at an onset."""
FLOOR: Final = 1e-3
"""Of a band's mean energy: what is softer is silence."""
MIN_OVERLAP: Final = 500
"""Frames, 5 s, in which recording and stimulus sound together, where both are as long."""
APART: Final = 50
"""Frames, 0.5 s: what is nearer to the best offset is its own slope or an echo, not another offset."""
MIN_CERTAINTY: Final = 4.0
"""From here on an offset is certain: of 300 recordings of another sound none came above 3.4, of those that a noise
louder than the sound put in a wrong place none above 1.3; measured, results/alignment.json."""


@dataclass(frozen=True)
class Offset:
    """When one sound begins in another."""

    time_s: float
    """On the other's clock; below 0 where it had begun before."""
    certainty: float
    """How far the best offset stands above the next one, in standard deviations of all offsets' correlations."""

    @property
    def is_certain(self) -> bool:
        """Whether it may be used without anybody looking."""
        return self.certainty >= MIN_CERTAINTY


def compute_onsets(blocks: Iterable[Samples]) -> Onsets:
    """Find where the energy of each band of frequencies rises.

    What stays of a sound in a room, behind a noise and at another gain are its onsets: an echo only makes falls slower.

    Args:
        blocks: (n,) samples each, mono at RATE_HZ, of any length; at no time more than one is held.

    Returns:
        (N_BANDS, frames) one frame each HOP samples; mean 0 and deviation 1 in each band, zeros where nothing sounds.
    """
    parts = list(_measure_bands(blocks))
    energy = np.concatenate(parts, axis=1) if parts else np.zeros((N_BANDS, 0), np.float32)
    if energy.shape[1] <= RISE:
        return np.zeros((N_BANDS, 0), np.float32)
    level = np.log(energy + FLOOR * energy.mean(axis=1, keepdims=True) + 1e-12)
    rises = np.maximum(level[:, RISE:] - level[:, :-RISE], 0)
    rises -= rises.mean(axis=1, keepdims=True)
    deviation = rises.std(axis=1, keepdims=True)
    return np.where(deviation > 1e-6, rises / np.maximum(deviation, 1e-6), 0).astype(np.float32)


def find_offset(recording: Onsets, stimulus: Onsets) -> Offset:
    """Find when a stimulus begins in a recording, by cross-correlation of their onsets.

    Args:
        recording: (N_BANDS, n) of compute_onsets().
        stimulus: (N_BANDS, m) of compute_onsets().
    """
    if not recording.any() or not stimulus.any():
        return Offset(0.0, 0.0)
    lags, scores = _correlate(recording, stimulus)
    middle = float(np.median(scores))
    # By the median: the peak itself must not widen what it is measured by.
    deviation = 1.4826 * float(np.median(np.abs(scores - middle)))
    if deviation < 1e-9:
        return Offset(0.0, 0.0)
    best = int(scores.argmax())
    others = scores[np.abs(lags - lags[best]) > APART]
    certainty = float(scores[best] - others.max()) / deviation if len(others) else 0.0
    return Offset(float(lags[best] + _find_summit(scores, best)) * HOP / RATE_HZ, certainty)


def _measure_bands(blocks: Iterable[Samples]) -> Iterator[NDArray[np.float32]]:
    """Yield the energy of each band (N_BANDS, frames) of each block."""
    from scipy import fft

    window = np.hanning(WINDOW).astype(np.float32)
    edges = np.searchsorted(np.fft.rfftfreq(WINDOW, 1 / RATE_HZ), np.geomspace(*RANGE_HZ, N_BANDS + 1))
    # Low bands are narrower than the lines of the spectrum.
    bands = [(low, max(high, low + 1)) for low, high in itertools.pairwise(edges)]
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        n = max(0, (len(rest) - WINDOW) // HOP + 1)
        if n:
            frames = np.lib.stride_tricks.sliding_window_view(rest, WINDOW)[::HOP][:n]
            power = np.abs(fft.rfft(frames * window, axis=1)) ** 2
            yield np.stack([power[:, low:high].sum(axis=1) for low, high in bands]).astype(np.float32)
            rest = rest[n * HOP :]


def _correlate(recording: Onsets, stimulus: Onsets) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the offsets in frames at which both sound together long enough, and how alike they are at each."""
    from scipy import fft

    n, m = recording.shape[1], stimulus.shape[1]
    size = fft.next_fast_len(n + m, real=True)
    spectrum = sum(fft.rfft(a, size) * np.conj(fft.rfft(b, size)) for a, b in zip(recording, stimulus, strict=True))
    lags = np.arange(1 - m, n)
    first, last = np.maximum(lags, 0), np.minimum(lags + m, n)
    is_long = last - first >= max(1, min(n, m, MIN_OVERLAP))
    lags, first, last = lags[is_long], first[is_long], last[is_long]
    products = fft.irfft(spectrum, size)[lags]
    own, other = (np.concatenate([[0.0], np.cumsum((x**2).sum(axis=0))]) for x in (recording, stimulus))
    energy = (own[last] - own[first]) * (other[last - lags] - other[first - lags])
    # A correlation coefficient times the root of how many frames it is of: noise is as wide at every offset.
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = np.where(energy > 1e-6, products / np.sqrt(energy) * np.sqrt(last - first), 0.0)
    return lags, scores.astype(np.float64)


def _find_summit(scores: NDArray[np.float64], best: int) -> float:
    """Return where between the frames the highest score lies, by a parabola through it and its neighbours."""
    if not 0 < best < len(scores) - 1:
        return 0.0
    before, at, after = scores[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
