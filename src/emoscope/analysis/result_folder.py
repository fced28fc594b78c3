"""Result folders of earlier analyses: a folder in, its observations and checked summary out."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emoscope.analysis.recorder import SUMMARY_FILE, TABLE_FILE
from emoscope.core.errors import InputError, shorten
from emoscope.core.files import UNWRITABLE, explain
from emoscope.core.replacing import find_cut_off, recover
from emoscope.core.timecode import Baseline, parse_baseline
from emoscope.tables.baseline import compute_baselines
from emoscope.tables.columns import to_numpy
from emoscope.tables.curation import Curation
from emoscope.tables.event_means import strip_events
from emoscope.tables.events import MAX_PROBLEMS, Event
from emoscope.tables.observations import MAX_S, SCHEMA_VERSION, Observations
from emoscope.tables.people import load_people
from emoscope.tables.people_file import PEOPLE_FILE
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Facts, Summary

if TYPE_CHECKING:
    from pydantic import ValidationError


def load_result(folder: Path) -> tuple[Observations, Summary]:
    """Open a folder that `emoscope analyze` wrote, its people as the folder's people.csv has them.

    Where summary.json was computed by another people.csv, or without, the numbers are computed anew; nothing is
    written.

    Raises:
        InputError: no such folder, not one of ours, another schema version, damaged, or a mistake in people.csv.
    """
    check_folder(folder)
    summary = load_summary(folder)
    with reading(folder):
        observations = summary.open_table(folder / TABLE_FILE)
        for batch in observations.batches(("time_s",)):
            if not (np.abs(to_numpy(batch["time_s"], np.nan)) <= MAX_S).all():
                raise ArithmeticError("it has times that are none")
        # A person's own file; what else has this name is none.
        path = folder / PEOPLE_FILE
        people = load_people(path, observations) if path.is_file() else None
        if people is None and summary.curated is None:
            return observations, summary
        if people is None or summary.curated is None or summary.curated.sha256 != people.sha256:
            return recompute(folder, summary, people)
        return _open_table(folder, summary, people), summary


def check_folder(folder: Path) -> None:
    """Check that a folder is one that `emoscope analyze` wrote; what was killed there is put in order first.

    Raises:
        InputError: it is none.
    """
    recover(folder)
    if find_cut_off(folder) and not (folder / SUMMARY_FILE).is_file():
        raise InputError(f"{folder} holds a recording that was cut off; finish it with `emoscope report {folder}`")
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected the result folder of `emoscope analyze`")
    for name in (SUMMARY_FILE, TABLE_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder} is no result folder ({name} is missing); {_hint(folder)}")


def recompute(
    folder: Path,
    summary: Summary,
    people: Curation | None,
    events: Sequence[Event] | None = None,
    baseline: Baseline | None = None,
) -> tuple[Observations, Summary]:
    """Compute a result's numbers anew from its table; nothing is written.

    Args:
        folder: the result.
        summary: its summary, for all that the table cannot tell.
        people: who counts as whom; None for everyone as they were read.
        events: other events than the summary's.
        baseline: another baseline than the summary's.
    """
    facts = Facts(**{name: getattr(summary, name) for name in Facts.__dataclass_fields__})
    if baseline is not None:
        facts = replace(facts, settings=replace(facts.settings, baseline=baseline.setting))
    own = parse_baseline(facts.settings.baseline or "off")
    events = strip_events(summary.events) if events is None else events
    table = facts.open_table(folder / TABLE_FILE, people)
    baselines = compute_baselines(table, own, events)
    summary = compute_summary(table, facts, events, baselines.lines, baselines.refused)
    return _open_table(folder, summary, people), summary


def _open_table(folder: Path, summary: Summary, people: Curation | None) -> Observations:
    """Open a table with the changes against the summary's baselines, which may be others than those of the table."""
    if people is not None:
        lines = {
            person.track_id: person.get_baseline(summary.classes)
            for person in summary.people
            if person.baseline is not None
        }
        people = replace(people, baselines=lines)
    return summary.open_table(folder / TABLE_FILE, people)


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn what a damaged table raises, also in its middle, into one line.

    Raises:
        InputError: the table is damaged.
        OutputError: what is made of it cannot be written: the disk is full.
    """
    import pyarrow as pa

    try:
        yield
    # Values that nobody measured end in errors of every kind, or in more memory than there is.
    except OSError as e:
        if e.errno in UNWRITABLE:
            raise explain(folder, e) from e
        raise _explain_damage(folder, e) from e
    except (pa.ArrowException, ArithmeticError, ValueError, LookupError, TypeError, MemoryError) as e:
        raise _explain_damage(folder, e) from e


def _explain_damage(folder: Path, error: BaseException) -> InputError:
    return InputError(
        f"{folder / 'observations.parquet'} is damaged or incomplete ({shorten(error)}); analyse the source again"
    )


def _hint(folder: Path) -> str:
    inner = sorted(path.parent.name for path in folder.glob("*/summary.json"))
    if inner:
        names = ", ".join(inner[:3]) + (" ..." if len(inner) > 3 else "")
        return f"it holds result folders ({names}): name one of them"
    return "name the folder that `emoscope analyze` wrote"


def load_summary(folder: Path) -> Summary:
    """Read summary.json as it stands in a folder.

    Raises:
        InputError: it is damaged.
    """
    from pydantic import ValidationError

    path = folder / SUMMARY_FILE
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
