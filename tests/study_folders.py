"""What tests of whole studies read from their folders."""

import json
from pathlib import Path
from typing import Any


def read_figures(folder: Path) -> dict[str, Any]:
    """Everything that a study says, but for times, by file; not the hidden leftovers of killed writers."""
    figures: dict[str, Any] = {"results": json.loads((folder / "results.json").read_text())}
    for path in sorted((folder / "runs").glob("*/[!.]*.json")):
        values = json.loads(path.read_text())
        values.pop("train_s", None)
        values.pop("environment", None)
        figures[f"{path.parent.name}/{path.name}"] = values
    for path in sorted((folder / "runs").glob("*/[!.]*.npz")):
        figures[f"{path.parent.name}/{path.name}"] = path.read_bytes()
    return figures
