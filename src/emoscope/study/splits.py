"""Splits: which images train, validate and test; no image and no copy of one stands on two sides (thesis protocol)."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from emoscope.errors import InputError
from emoscope.files import open_atomic
from emoscope.study.dataset import Dataset

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers of a dataset."""

    train: Rows
    validation: Rows
    test: Rows

    @property
    def sha256(self) -> str:
        """Fingerprint of the three parts."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(len(part).to_bytes(8, "little") + part.astype("<i8").tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write an npz file."""
        with open_atomic(path) as temporary:
            np.savez_compressed(temporary, train=self.train, validation=self.validation, test=self.test)


def create_official_split(dataset: Dataset) -> Split:
    """Train on Training, validate on PublicTest, test on PrivateTest.

    Raises:
        InputError: the dataset does not mark these parts; use the thesis protocol.
    """
    parts = [np.flatnonzero(dataset.usage == usage) for usage in ("Training", "PublicTest", "PrivateTest")]
    if any(len(part) == 0 for part in parts):
        counts = ", ".join(
            f"{usage or 'unmarked'} {n}" for usage, n in zip(*np.unique(dataset.usage, return_counts=True), strict=True)
        )
        raise InputError(
            f"the dataset marks no Training, PublicTest and PrivateTest images (it has {counts}); "
            "use `--protocol thesis`, which draws its own parts"
        )
    return Split(*parts)


def create_thesis_split(dataset: Dataset, seed: int) -> Split:
    """Set 20 % aside as test, then 70 % / 10 % of the total; stratified, groups of identical images kept together.

    Args:
        dataset: any dataset.
        seed: of the draw.

    Raises:
        InputError: a class has fewer than 8 different images, or all have few more; add images.
    """
    for label in np.unique(dataset.emotion):
        if (n := len(np.unique(dataset.group[dataset.emotion == label]))) < 8:
            raise InputError(f"class {label} has {n} different images, expected at least 8 to split; add images")
    everything = np.arange(len(dataset))
    rest, test = _hold_out(dataset, everything, 5, seed)
    train, validation = _hold_out(dataset, rest, 8, seed)
    return Split(train, validation, test)


def _hold_out(dataset: Dataset, rows: Rows, n_parts: int, seed: int) -> tuple[Rows, Rows]:
    folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer images than parts is spread as far as it goes; create_thesis_split checked its size.
        warnings.simplefilter("ignore", UserWarning)
        try:
            kept, held = next(folds.split(rows, dataset.emotion[rows], dataset.group[rows]))
        except ValueError as e:
            raise InputError(f"{len(rows)} images cannot be split into {n_parts} parts ({e}); add images") from e
    return rows[kept], rows[held]


def create_split(dataset: Dataset, protocol: str, seed: int) -> Split:
    """Create the split of a protocol, `official` or `thesis`."""
    return create_official_split(dataset) if protocol == "official" else create_thesis_split(dataset, seed)
