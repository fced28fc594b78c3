"""What the commands of all modules share: options, checks and printing."""

import json
import logging
import os
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

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


def set_up_libraries() -> None:
    """Bring native libraries into line: one thread in OpenCV, and nothing of theirs on stderr unless with -v.

    Stages already share the cores among them: more threads within one cost more than they bring. libpng and others
    comment on damaged media on the process's stderr, which Python keeps for itself.
    """
    import cv2

    cv2.setNumThreads(1)
    logger = logging.getLogger("emoscope")
    if logger.isEnabledFor(logging.INFO) or sys.stderr is not sys.__stderr__ or sys.stderr is None:
        return
    sys.stderr.flush()
    # libpng and others print by themselves: there is no setting, only the descriptor.
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    sys.stderr = os.fdopen(kept, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


def print_json(value: Any) -> None:
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
        raise MissingExtraError(
            f"this command needs {', '.join(missing)}; install the packages for it: pip install 'emoscope[{extra}]'"
        )
