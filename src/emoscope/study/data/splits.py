"""Splits: which images train, validate and test; no image, no copy and no near-copy of one stands on two sides."""

import hashlib
import itertools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.core.files import open_atomic
from emoscope.study.data.arrays import load_arrays
from emoscope.study.data.dataset import Dataset, join_groups

Rows = NDArray[np.int64]


class SplitSettings(Protocol):
    """What decides a split: part of a training's config and of a network's spec."""

    @property
    def protocol(self) -> str:
        """`official`, `random`, `thesis`, `naive` or `folders`; empty: official."""

    @property
    def split_seed(self) -> int:
        """Seed of the test part."""

    @property
    def fold(self) -> int:
        """Which fold validates."""

    @property
    def n_folds(self) -> int:
        """Of how many."""

    @property
    def fold_seed(self) -> int:
        """Seed of the folds; -1: split_seed."""

    @property
    def near_copies(self) -> bool:
        """Whether near-copies of test and validation images may train."""


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

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read what save() wrote.

        Raises:
            DamagedError: it is missing or something else.
        """
        parts = load_arrays(path, {"train": "a", "validation": "b", "test": "c"})
        return cls(*(part.astype(np.int64) for part in parts.values()))


def create_official_split(dataset: Dataset) -> Split:
    """Train on Training, validate on PublicTest, test on PrivateTest, the publisher's parts as they are.

    Raises:
        InputError: the dataset does not mark these parts; use the random protocol.
    """
    parts = [np.flatnonzero(dataset.usage == usage) for usage in ("Training", "PublicTest", "PrivateTest")]
    if any(len(part) == 0 for part in parts):
        counts = ", ".join(
            f"{usage or 'unmarked'} {n}" for usage, n in zip(*np.unique(dataset.usage, return_counts=True), strict=True)
        )
        raise InputError(
            f"the dataset marks no Training, PublicTest and PrivateTest images (it has {counts}); "
            "use `--protocol random`, which draws its own parts"
        )
    return Split(*parts)


def create_folders_split(dataset: Dataset, settings: SplitSettings) -> Split:
    """Take the parts that a dataset marks, whatever it has of them; a fold of the training part may validate.

    Raises:
        InputError: it marks no training or no test part; use the random protocol.
    """
    train, validation = (np.flatnonzero(dataset.usage == usage) for usage in ("Training", "PublicTest"))
    test = np.flatnonzero(np.isin(dataset.usage, ("Test", "PrivateTest")))
    if not len(train) or not len(test):
        raise InputError(
            "the dataset marks no train and test images, as folders of these names do; use `--protocol random`, which "
            "draws its own parts"
        )
    if not len(validation):
        seed = settings.split_seed if settings.fold_seed < 0 else settings.fold_seed
        groups = find_ties(dataset, settings.near_copies)
        train, validation = _hold_out(dataset.emotion, groups, train, settings.n_folds, seed, settings.fold)
    return Split(train, validation, test)


def create_thesis_split(
    dataset: Dataset,
    seed: int,
    fold: int = 0,
    n_folds: int = 8,
    fold_seed: int = -1,
    is_naive: bool = False,
    near_copies: bool = True,
) -> Split:
    """Set 20 % aside as test, then draw the rest into folds, one of which validates; all stratified.

    Args:
        dataset: any dataset.
        seed: of the test part.
        fold: which one validates.
        n_folds: 8 make 70 % / 10 % of the total.
        fold_seed: of the folds; -1: `seed`.
        is_naive: let identical images fall on different sides, as a plain random split does.
        near_copies: let near-copies do so. Without them the test part stays what it is, images of the rest that are
            near-copies of its images are left out, and folds keep those of each other together. A person stands on one
            side in any case, where it is known who is whom.

    Raises:
        InputError: a class has fewer than 8 different images, or all have few more; add images.
    """
    for label in np.unique(dataset.emotion):
        if (n := len(np.unique(dataset.group[dataset.emotion == label]))) < 8:
            raise InputError(
                f"class {dataset.classes[label]} has {n} different images, expected at least 8 to split; add images"
            )
    groups = np.arange(len(dataset)) if is_naive else find_ties(dataset, near_copies=True)
    rest, test = _hold_out(dataset.emotion, groups, np.arange(len(dataset)), 5, seed, 0)
    if not near_copies and not is_naive:
        # People stand on one side already.
        groups, rest = dataset.kin, _leave_out(dataset.relative, rest, test)
        if set(dataset.emotion[rest].tolist()) != set(dataset.emotion.tolist()):
            raise InputError(
                "all images of a class are near-copies of its test images, such as frames of one film; "
                "add others, or say near_copies: true (--near-copies)"
            )
    train, validation = _hold_out(dataset.emotion, groups, rest, n_folds, seed if fold_seed < 0 else fold_seed, fold)
    return Split(train, validation, test)


def find_ties(dataset: Dataset, near_copies: bool) -> NDArray[np.int32]:
    """Return numbers (n,) that images share which stand on one side: of one person, and copies, near ones or identical.

    Args:
        dataset: any dataset.
        near_copies: whether near-copies may stand on two sides.
    """
    if not near_copies:
        return dataset.kin
    return dataset.group if dataset.person is None else join_groups(dataset.group, dataset.person)


def _leave_out(groups: NDArray[np.int32], rows: Rows, others: Rows) -> Rows:
    """Return the rows that share no group with others."""
    return rows[~np.isin(groups[rows], groups[others])]


def keep_apart(split: Split, dataset: Dataset, near_copies: bool = False) -> Split:
    """Leave what is tied to test images out of the other parts, and what is to validation images out of training.

    Args:
        split: parts that were marked.
        dataset: whose rows they are.
        near_copies: leave only people out who are in several parts.
    """
    train, validation = split.train, split.validation
    keys = [*([] if near_copies else [("near-copies", dataset.relative)]), ("people", dataset.person)]
    for _, groups in keys:
        if groups is not None:
            validation = _leave_out(groups, validation, split.test)
    for _, groups in keys:
        if groups is not None:
            train = _leave_out(groups, train, np.concatenate([validation, split.test]))
    if not len(train) or not len(validation):
        what = "near-copies of test images" if dataset.person is None else "near-copies, or of the people, of the test"
        raise InputError(
            f"all images that train or validate are {what}; add others, use `--protocol random`, or say "
            "near_copies: true (--near-copies)"
        )
    return Split(train, validation, split.test)


def _hold_out(
    labels: NDArray[np.uint8], groups: NDArray[np.integer], rows: Rows, n_parts: int, seed: int, part: int
) -> tuple[Rows, Rows]:
    n_groups = len(np.unique(groups[rows]))
    if n_groups < n_parts:
        raise InputError(
            f"{n_groups} people or different images cannot be split into {n_parts} parts; add some, or lower n_folds"
        )
    # Imported here: it takes more than a second, and what reads splits that are files does without.
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer images than parts is spread as far as it goes; create_thesis_split checked its size.
        warnings.simplefilter("ignore", UserWarning)
        try:
            kept, held = next(itertools.islice(folds.split(rows, labels[rows], groups[rows]), part, None))
        except ValueError as e:
            raise InputError(f"{len(rows)} images cannot be split into {n_parts} parts ({e}); add images") from e
    return rows[kept], rows[held]


def create_split(dataset: Dataset, settings: SplitSettings) -> Split:
    """Create the split that a training's config asks for or that a network's spec tells of."""
    if settings.protocol in ("", "official", "folders"):
        is_official = settings.protocol != "folders"
        split = create_official_split(dataset) if is_official else create_folders_split(dataset, settings)
        is_apart = settings.near_copies and dataset.person is None
        return split if is_apart else keep_apart(split, dataset, settings.near_copies)
    return create_thesis_split(
        dataset,
        settings.split_seed,
        settings.fold,
        settings.n_folds,
        settings.fold_seed,
        is_naive=settings.protocol == "naive",
        near_copies=settings.near_copies,
    )
