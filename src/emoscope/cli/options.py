"""What the commands of all modules share: options, checks and printing."""

import json
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from emoscope.core.errors import MissingExtraError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Data = Annotated[Path, typer.Option("--data", help="Dataset file of `emoscope data import`.")]
Model = Annotated[str, typer.Option(help="Embedded network or ONNX file.")]
Views = Annotated[int, typer.Option(help="Views averaged per face: 1, 2 or 10.")]
Balanced = Annotated[bool, typer.Option("--balanced", help="Name rare emotions more often: higher macro F1.")]


class DetectorChoice(StrEnum):
    """Values of --detector."""

    auto = "auto"
    yunet = "yunet"
    haar = "haar"


class ExecutorChoice(StrEnum):
    """Values of --executor."""

    local = "local"
    ray = "ray"


ExecutorOption = Annotated[ExecutorChoice, typer.Option("--executor", help="This machine, or a Ray cluster.")]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Of a running Ray cluster, or `auto`; else a Ray is started here."),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes of this machine that work at once.")]

STUDY_PACKAGES = (
    "torch",
    "timm",
    "lightning_fabric",
    "safetensors",
    "sklearn",
    "onnx",
    "onnxscript",
    "yaml",
    "tensorboard",
)


def print_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def require(*names: str, extra: str = "study") -> None:
    """Check that optional packages are there.

    Args:
        names: the packages.
        extra: the set that they belong to.

    Raises:
        MissingExtraError: some are not.
    """
    if missing := [name for name in names if find_spec(name) is None]:
        raise MissingExtraError.create(f"this command needs {', '.join(missing)}", extra)
