"""Result folders of earlier analyses: a folder in, its observations and checked summary out."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.tables.observations import READABLE_VERSIONS, SCHEMA_VERSION, Observations

NUMBERS = (int, float)
SUMMARY: Mapping[str, Any] = {
    "source": str,
    "kind": str,
    "status": str,
    "created": str,
    "duration_s": NUMBERS,
    "frames": int,
    "faces": int,
    "people_count": int,
    "coverage": NUMBERS,
    "people": list,
    "audience": dict,
    "settings": dict,
    "model": dict,
}
PERSON: Mapping[str, Any] = {
    "track_id": int,
    "first_s": NUMBERS,
    "last_s": NUMBERS,
    "frames": int,
    "coverage": NUMBERS,
    "shares": dict,
    "uncertain_share": NUMBERS,
}
AUDIENCE: Mapping[str, Any] = {"shares": dict, "mean_probabilities": dict, "uncertain_share": NUMBERS, "valence": dict}
MOMENT: Mapping[str, Any] = {"time_s": NUMBERS}
EVENT: Mapping[str, Any] = {
    "name": str,
    "start_s": NUMBERS,
    "end_s": NUMBERS,
    "people": int,
    "mean_probabilities": dict,
    "valence": dict,
}
"""Keys that the pages read, and their types."""


def load_result(folder: Path) -> tuple[Observations, dict[str, Any]]:
    """Open a folder that `emoscope analyze` wrote.

    Raises:
        InputError: no such folder, not one of ours, another schema version, or damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected the result folder of `emoscope analyze`")
    for name in ("summary.json", "observations.parquet"):
        if not (folder / name).is_file():
            raise InputError(f"{folder} is no result folder ({name} is missing); {_hint(folder)}")
    summary = _load_summary(folder / "summary.json")
    with reading(folder):
        return Observations(folder / "observations.parquet"), summary


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn what a damaged table raises, also in its middle, into one line.

    Raises:
        InputError: the table is damaged.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as e:
        what = " ".join(str(e).split())[:200]
        raise InputError(
            f"{folder / 'observations.parquet'} is damaged or incomplete ({what}); analyse the source again"
        ) from e


def _hint(folder: Path) -> str:
    inner = sorted(path.parent.name for path in folder.glob("*/summary.json"))
    if inner:
        names = ", ".join(inner[:3]) + (" ..." if len(inner) > 3 else "")
        return f"it holds result folders ({names}): name one of them"
    return "name the folder that `emoscope analyze` wrote"


def _load_summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as e:
        raise InputError(f"{path} is damaged ({e}); analyse the source again") from e
    version = summary.get("schema_version") if isinstance(summary, dict) else None
    if version not in READABLE_VERSIONS:
        raise InputError(
            f"{path} has schema version {version or 'none'}, expected {SCHEMA_VERSION}; analyse the source again"
        )
    if problem := _find_problem(summary):
        raise InputError(f"{path} is damaged ({problem}); analyse the source again")
    return dict(summary)


def _find_problem(summary: Mapping[str, Any]) -> str | None:
    """Return what is missing or of the wrong type, or None."""
    if problem := _check(summary, SUMMARY, "the summary"):
        return problem
    problem = _check(summary["audience"], AUDIENCE, "audience")
    for key, kinds in (("people", PERSON), ("moments", MOMENT), ("events", EVENT)):
        for part in summary.get(key) or ():
            problem = problem or _check(part, kinds, key)
    for event in summary.get("events") or () if problem is None else ():
        parts = (event, *([event["difference"]] if event.get("difference") else []))
        if not all(isinstance(part.get("valence"), dict) and _has_seven(part) for part in parts):
            return "events lack valence or probabilities"
    return problem


def _has_seven(part: Mapping[str, Any]) -> bool:
    seven = part.get("mean_probabilities")
    return isinstance(seven, dict) and all(isinstance(seven.get(name), dict) for name in EMOTIONS)


def _check(part: Any, kinds: Mapping[str, Any], where: str) -> str | None:
    if not isinstance(part, dict):
        return f"{where} is no object"
    wrong = [key for key, kind in kinds.items() if not isinstance(part.get(key), kind)]
    return f"{where} lacks a usable {', '.join(wrong)}" if wrong else None
