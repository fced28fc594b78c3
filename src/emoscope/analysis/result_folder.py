"""Result folders of earlier analyses: a folder in, its observations and checked summary out."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emoscope.analysis.recorder import SUMMARY_FILE, TABLE_FILE
from emoscope.core.errors import InputError, shorten
from emoscope.core.replacing import find_cut_off, recover
from emoscope.tables.columns import to_numpy
from emoscope.tables.events import MAX_PROBLEMS
from emoscope.tables.observations import MAX_S, SCHEMA_VERSION, Observations
from emoscope.tables.summary import Summary

if TYPE_CHECKING:
    from pydantic import ValidationError


def load_result(folder: Path) -> tuple[Observations, Summary]:
    """Open a folder that `emoscope analyze` wrote.

    Raises:
        InputError: no such folder, not one of ours, another schema version, or damaged.
    """
    recover(folder)
    if find_cut_off(folder) and not (folder / SUMMARY_FILE).is_file():
        raise InputError(f"{folder} holds a recording that was cut off; finish it with `emoscope report {folder}`")
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected the result folder of `emoscope analyze`")
    for name in (SUMMARY_FILE, TABLE_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder} is no result folder ({name} is missing); {_hint(folder)}")
    summary = _load_summary(folder / SUMMARY_FILE)
    with reading(folder):
        observations = summary.open_table(folder / TABLE_FILE)
        for batch in observations.batches(("time_s",)):
            if not (np.abs(to_numpy(batch["time_s"], np.nan)) <= MAX_S).all():
                raise ArithmeticError("it has times that are none")
        return observations, summary


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn what a damaged table raises, also in its middle, into one line.

    Raises:
        InputError: the table is damaged.
    """
    import pyarrow as pa

    try:
        yield
    # Values that nobody measured end in errors of every kind, or in more memory than there is.
    except (pa.ArrowException, OSError, ArithmeticError, ValueError, LookupError, TypeError, MemoryError) as e:
        raise InputError(
            f"{folder / 'observations.parquet'} is damaged or incomplete ({shorten(e)}); analyse the source again"
        ) from e


def _hint(folder: Path) -> str:
    inner = sorted(path.parent.name for path in folder.glob("*/summary.json"))
    if inner:
        names = ", ".join(inner[:3]) + (" ..." if len(inner) > 3 else "")
        return f"it holds result folders ({names}): name one of them"
    return "name the folder that `emoscope analyze` wrote"


def _load_summary(path: Path) -> Summary:
    from pydantic import ValidationError

    try:
        return Summary.from_json(path.read_bytes())
    except ValidationError as e:
        problem = _describe(e)
    except OSError as e:
        problem = f"is damaged ({e})"
    raise InputError(f"{path} {problem}; analyse the source again")


def _describe(error: "ValidationError") -> str:
    """Return all that is wrong with a summary, a clause for each of its parts."""
    parts: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False):
        where = problem["loc"]
        if problem["type"] == "json_invalid":
            return f"is damaged ({problem['msg']})"
        if where in ((), ("schema_version",)):
            version = problem["input"] if where and problem["type"] != "missing" else None
            return f"has schema version {version or 'none'}, expected {SCHEMA_VERSION}"
        *outer, key = where
        part = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in outer).lstrip(".")
        parts.setdefault(part or "the summary", []).append(str(key))
    clauses = [f"{part} lacks a usable {', '.join(dict.fromkeys(keys))}" for part, keys in parts.items()]
    more = f"; and {len(clauses) - MAX_PROBLEMS} more" if len(clauses) > MAX_PROBLEMS else ""
    return f"is damaged ({'; '.join(clauses[:MAX_PROBLEMS])}{more})"
