"""A study's folder: `study.json` says what it is and with which data it was begun."""

import json
import os
from pathlib import Path
from typing import Any

from emoscope.core.errors import InputError
from emoscope.core.files import write_json
from emoscope.study.data.dataset import Dataset


def open_study(folder: Path, runs: Path, config: dict[str, Any], dataset: Dataset) -> None:
    """Check that a folder belongs to this dataset, and keep the config there.

    Args:
        folder: of the study.
        runs: folder of its trainings.
        config: JSON-ready values.
        dataset: the whole one.

    Raises:
        InputError: it was begun with other data; choose another folder.
        OutputError: the folder cannot be written.
    """
    path = folder / "study.json"
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["data_sha256"] != dataset.sha256:
            raise InputError(
                f"{folder} was begun with other data ({known['data_sha256'][:12]}..., these are "
                f"{dataset.sha256[:12]}...); name that dataset, or another folder with -o"
            )
    # Relative, so that the whole can be moved.
    where = os.path.relpath(runs, folder)
    write_json(path, {**config, "data_sha256": dataset.sha256, "runs": where})
