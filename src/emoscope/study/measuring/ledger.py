"""The ledger: a network and a dataset in, how often the one was measured on the other's test images out.

Whoever measures often and publishes the best has chosen on test data. So every measurement is a line of a file that
only grows, with the user's data. What stands beside a network in `NAME.measurements.json` was measured before the
network was shipped; that file is only read.
"""

import datetime
import logging
from pathlib import Path

from typing_extensions import TypedDict

from emoscope.core.errors import DamagedError
from emoscope.core.files import compute_sha256
from emoscope.core.texts import dump_json
from emoscope.core.validation import load_json
from emoscope.faces.registry import data_dir

log = logging.getLogger(__name__)


class Measurement(TypedDict):
    """One measurement on test images, as it is shipped; those of a ledger also tell time and network."""

    date: str
    part: str
    views: list[int]
    data_sha256: str


class _Line(Measurement):
    """A line of the ledger."""

    time: str
    sha256: str
    """Of the network."""


def find_ledger() -> Path:
    """Return the file of all measurements on test images."""
    return data_dir() / "measurements.jsonl"


def find_shipped(model: Path) -> Path:
    """Return the file beside a network with the measurements that were shipped with it."""
    return model.with_suffix(".measurements.json")


def load_ledger(model: Path, data_sha256: str) -> list[Measurement]:
    """Return one entry per measurement of a network on a dataset's test images, oldest first."""
    sha256 = compute_sha256(model)
    shipped = _load_shipped(find_shipped(model))
    # Whoever shipped it has them in the ledger too.
    ours: list[Measurement] = [line for line in _load_lines(find_ledger()) if line["sha256"] == sha256]
    found = shipped + [entry for entry in ours if entry not in shipped]
    return sorted((entry for entry in found if entry["data_sha256"] == data_sha256), key=lambda entry: entry["date"])


def record_measurement(model: Path, part: str, views: list[int], data_sha256: str) -> int:
    """Write down that a network was measured on test images; return how often it was by now."""
    now, path = datetime.datetime.now(datetime.UTC), find_ledger()
    known = load_ledger(model, data_sha256)
    line: _Line = {
        "date": now.date().isoformat(),
        "time": now.time().isoformat(),
        "part": part,
        "views": views,
        "sha256": compute_sha256(model),
        "data_sha256": data_sha256,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as f:
            # The line before may have been cut off.
            f.seek(0)
            f.write(b"\n" * (f.read()[-1:] not in (b"", b"\n")) + dump_json(line).encode() + b"\n")
    except OSError as e:
        log.warning("this measurement is not counted: cannot write %s (%s)", path, e.strerror or e)
    return len(known) + 1


def _load_lines(path: Path) -> list[_Line]:
    """Return the whole lines of a ledger; say how many are not."""
    from pydantic import TypeAdapter, ValidationError

    reader, lines, n_damaged = TypeAdapter(_Line), [], 0
    try:
        texts = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as e:
        log.warning("earlier measurements are not counted: cannot read %s (%s)", path, e.strerror or e)
        return []
    for text in filter(bytes.strip, texts):
        try:
            lines.append(reader.validate_json(text, strict=True))
        except ValidationError:
            n_damaged += 1
    if n_damaged:
        log.warning("%d damaged lines of %s are not counted; they are kept", n_damaged, path)
    return lines


def _load_shipped(path: Path) -> list[Measurement]:
    if not path.exists():
        return []
    try:
        return load_json(path, list[Measurement])
    except DamagedError as e:
        log.warning("the measurements in %s are not counted: %s", path, e.reason)
        return []
