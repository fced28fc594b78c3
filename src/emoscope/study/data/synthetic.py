"""Draw cartoon faces with the seven emotions: a seed in, a small Dataset out that can be learnt and freely shared."""

import math

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.study.data.cartoon import draw_face
from emoscope.study.data.dataset import Dataset, compute_groups

SHARES = np.array([4953, 547, 5121, 8989, 6077, 4002, 6198]) / 35887
"""FER2013's class shares."""

MIN_PER_CLASS = 8
"""What the thesis protocol needs to split a class."""

DUPLICATES = 0.015
"""Share of rows that are copies of another; FER2013 has 5 %."""


def create_synthetic(n: int = 1400, seed: int = 0) -> Dataset:
    """Draw a dataset: FER2013's class shares, 80/10/10 Training, PublicTest, PrivateTest, and a few exact copies.

    Args:
        n: how many images; below 100 the classes are balanced.
        seed: of everything; image i has its own stream.

    Raises:
        InputError: n is below 1 or the seed below 0; choose others.
    """
    if n < 1 or seed < 0:
        raise InputError(f"{n} synthetic faces with seed {seed} were asked for, expected at least 1 and a seed from 0")
    rng = np.random.default_rng([seed, 0])
    counts = _count_classes(n)
    emotion = np.concatenate([np.full(count, label) for label, count in enumerate(counts)]).astype(np.uint8)
    usage = np.concatenate([_assign_usages(count) for count in counts])
    # FER2013's rows stand in the order of its three parts, mixed within each.
    order = rng.permutation(n)
    ranks = np.array([("Training", "PublicTest", "PrivateTest").index(part) for part in usage[order]])
    order = order[np.argsort(ranks, kind="stable")]
    emotion, usage = emotion[order], usage[order]
    pixels = np.stack(
        [draw_face(int(label), np.random.default_rng([seed, 1, i])) for i, label in enumerate(emotion.tolist())]
    )
    _copy_some(pixels, emotion, rng)
    # Drawn faces are alike, as people are not, but each was drawn by itself.
    return Dataset.create(pixels, emotion, usage, compute_groups(pixels))


def _count_classes(n: int) -> list[int]:
    n_classes = len(EMOTIONS)
    if n < 100:
        return [n // n_classes + (label < n % n_classes) for label in range(n_classes)]
    counts = np.maximum(np.floor(SHARES * n).astype(int), MIN_PER_CLASS)
    while counts.sum() != n:
        step = 1 if counts.sum() < n else -1
        lacking = (SHARES * n - counts) * step
        lacking[(counts + step) < MIN_PER_CLASS] = -math.inf
        counts[int(np.argmax(lacking))] += step
    return [int(count) for count in counts]


def _assign_usages(count: int) -> NDArray[np.str_]:
    n_held = max(round(count / 10), 1) if count >= 3 else 0
    parts = ["Training"] * (count - 2 * n_held) + ["PublicTest"] * n_held + ["PrivateTest"] * n_held
    return np.array(parts, "U11")


def _copy_some(pixels: NDArray[np.uint8], emotion: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Overwrite images with others of their class, leaving each class MIN_PER_CLASS different ones."""
    n_different = np.bincount(emotion, minlength=len(EMOTIONS))
    taken: set[int] = set()
    for row in rng.permutation(len(pixels)).tolist():
        if len(taken) // 2 >= round(DUPLICATES * len(pixels)):
            return
        label = emotion[row]
        others = [other for other in np.flatnonzero(emotion == label).tolist() if other != row and other not in taken]
        if row in taken or n_different[label] <= MIN_PER_CLASS or not others:
            continue
        original = int(rng.choice(others))
        pixels[row] = pixels[original]
        n_different[label] -= 1
        taken |= {row, original}
