"""The splits of a study: a training's config in, the rows of its parts out, kept in files with their hashes."""

from pathlib import Path

import numpy as np
from typing_extensions import TypedDict

from emoscope.core.errors import DamagedError, InputError
from emoscope.core.files import set_aside, write_json
from emoscope.core.validation import load_json
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.training import TrainConfig


def draw_faces(dataset: Dataset, comparison: Comparison) -> Dataset:
    """Return the part of a dataset that a comparison uses, its fingerprint known: workers need not compute it."""
    n = comparison.images
    faces = dataset.sample(n, comparison.search.seed, comparison.stratified) if n else dataset
    assert faces.sha256
    return faces


class _Entry(TypedDict):
    """What splits.json says of one."""

    sha256: str


class SplitFolder:
    """Makes each split once; `splits.json` tells the hashes and sizes."""

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        self.folder, self.dataset = folder, dataset
        self.known: dict[str, Split] = {}

    def find(self, config: TrainConfig) -> Split:
        """Return a training's split.

        Raises:
            InputError: the file was changed; restore it or begin in another folder.
        """
        name = f"{config.protocol}-{config.split_seed}-{config.n_folds}-{config.fold_seed}-{config.fold}"
        # Splits of earlier versions, which did not know near-copies, keep their names.
        name += "" if config.near_copies or config.protocol == "naive" else "-apart"
        if name in self.known:
            return self.known[name]
        path, index_path = self.folder / f"{name}.npz", self.folder / "splits.json"
        index = self._load_index(index_path)
        split = self._load(path, index[name]["sha256"] if name in index else None)
        if split is None:
            split = create_split(self.dataset, config)
            if name in index and split.sha256 != index[name]["sha256"]:
                raise InputError(
                    f"{path} is missing or damaged, and this version draws another split than the study began with; "
                    "restore it or take a new folder"
                )
            split.save(path)
        if name not in index:
            sizes = {part: len(getattr(split, part)) for part in ("train", "validation", "test")}
            write_json(index_path, {**index, name: {"sha256": split.sha256, **sizes}})
        self.known[name] = split
        return split

    def _load(self, path: Path, sha256: str | None) -> Split | None:
        """Return a split that is kept; None where there is none, or none that can be read."""
        if not path.is_file():
            return None
        try:
            split = Split.load(path)
            rows = np.concatenate([split.train, split.validation, split.test])
            if np.unique(rows).size != rows.size or rows.min() < 0 or rows.max() >= len(self.dataset):
                raise DamagedError(path, "it is of another dataset")
        except DamagedError as e:
            set_aside(e)
            return None
        if sha256 is not None and split.sha256 != sha256:
            raise InputError(f"{path} is not the split that the study began with; restore it or take a new folder")
        return split

    def _load_index(self, path: Path) -> "dict[str, _Entry]":
        if not path.is_file():
            return {}
        try:
            known: dict[str, _Entry] = load_json(path, dict[str, _Entry])
        except DamagedError as e:
            set_aside(e)
            return {}
        return known
