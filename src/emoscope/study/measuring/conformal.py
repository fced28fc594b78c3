"""Conformal sets: validation faces as they are and made worse in; by which ratio sets of emotions hold the label out.

Split conformal prediction (Angelopoulos & Bates, A gentle introduction to conformal prediction, 2021): an emotion is in
the set if its score is one of the better nine tenths of the scores of labels. The score is how probable an emotion is
next to the likeliest: so that no set is empty, and it grows where several are about as probable. What was done to a
face nobody knows later, so each way of making faces worse is a group with a ratio of its own (their section 4.1), and
the smallest of all is taken. Faces beyond the network's limits get all. Compared with others by
benchmarks/conformal.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.frame_result import create_sets
from emoscope.faces.recognize import Recognizer
from emoscope.faces.upright import Cutter
from emoscope.study.measuring.degrade import DEGRADED, cut_upright
from emoscope.study.measuring.records import SetFigures
from emoscope.study.measuring.robustness import Faces, shrink

LEVEL: Final = 0.9
"""So many sets of each group hold the label."""
AS_THEY_ARE: Final = ("as they are", "")
Groups = dict[tuple[str, str], "Read"]
"""By kind of change and strength."""


@dataclass(frozen=True)
class Read:
    """What a network says of faces that are made worse in one way, cut upright as analyses do."""

    probabilities: NDArray[np.float64]
    """(n, classes)"""
    unreadable: NDArray[np.bool_]
    """(n,)"""

    def select(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Read":
        """Return some of the faces."""
        return Read(self.probabilities[rows], self.unreadable[rows])


def read_degraded(recognizer: Recognizer, faces: Faces) -> Groups:
    """Read grey faces (n, h, w), each filling its picture, as they are and after each of DEGRADED."""
    cutter = Cutter(0.0, recognizer.spec.limits)

    def read(faces: Faces, side_px: float) -> Read:
        crops, unreadable = cut_upright(cutter, faces, side_px)
        return Read(recognizer.predict(crops), unreadable)

    side_px = faces.shape[1]
    found = {AS_THEY_ARE: read(faces, side_px)}
    for kind, (change, strengths) in DEGRADED.items():
        for strength in strengths:
            of_one = read(change(faces, strength), strength if change is shrink else side_px)
            found[kind, str(strength)] = of_one
    return found


def compute_scores(read: Read, labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return (n,) how probable the label is next to the likeliest emotion; infinite where the set holds them all."""
    of_label = read.probabilities[np.arange(len(labels)), labels]
    return np.where(read.unreadable, np.inf, of_label / read.probabilities.max(axis=1))


def find_ratio(scores: NDArray[np.float64], level: float = LEVEL) -> float:
    """Return the score that so many of all labels reach, those of one more face included."""
    # A little more, for 0.1 has no last digit.
    rank = int((1 - level) * (len(scores) + 1) + 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank else 0.0


def fit_set_ratio(groups: Mapping[tuple[str, str], Read], labels: NDArray[np.integer]) -> float:
    """Return the ratio (ModelSpec.set_ratio) by which at least LEVEL of the sets of every group hold the label."""
    ratio = min(1.0, *(find_ratio(compute_scores(read, labels)) for read in groups.values()))
    # More digits would say more than some thousand faces can.
    return float(f"{ratio:.3g}")


def measure_sets(read: Read, labels: NDArray[np.integer], ratio: float) -> SetFigures:
    """Return coverage and size of the sets of some faces."""
    sets = create_sets(read.probabilities, ratio, read.unreadable)
    return {"coverage": float(sets[np.arange(len(labels)), labels].mean()), "size": float(sets.sum(axis=1).mean())}
