"""The splits of a study: a training's config in, the rows of its parts out, kept in files with their hashes."""

import json
from pathlib import Path
from typing import Any

from emoscope.core.errors import InputError
from emoscope.core.files import write_json
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.recipes.training import TrainConfig


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
        if name in self.known:
            return self.known[name]
        path, index_path = self.folder / f"{name}.npz", self.folder / "splits.json"
        index: dict[str, Any] = json.loads(index_path.read_text(encoding="utf-8")) if index_path.is_file() else {}
        if name in index and path.is_file():
            split = Split.load(path)
            if split.sha256 != index[name]["sha256"]:
                raise InputError(f"{path} is not the split that the study began with; restore it or take a new folder")
        else:
            split = create_split(self.dataset, config)
            split.save(path)
            sizes = {part: len(getattr(split, part)) for part in ("train", "validation", "test")}
            write_json(index_path, {**index, name: {"sha256": split.sha256, **sizes}})
        self.known[name] = split
        return split
