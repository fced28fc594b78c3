"""Recordings that people made in the page and sent: such a file in, a checked result folder out."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.analysis.recorder import KIND, OUTPUT_NAMES, REPORT_FILE, SUMMARY_FILE, TABLE_FILE, write_report
from emoscope.core.emotions import EMOTIONS, list_class_problems
from emoscope.core.errors import InputError, shorten
from emoscope.core.manifest import Identity
from emoscope.core.owned import open_owned
from emoscope.core.schema import BOX, P_, QUALITY, SMOOTH_, create_columns, name_columns
from emoscope.tables.audience import write_audience_csv
from emoscope.tables.observations import MAX_S, create_schema
from emoscope.tables.people_file import MAX_ID
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Facts, Summary

if TYPE_CHECKING:
    import pyarrow as pa

ENDING: Final = ".emoscope.json"
"""Of the names that the page gives such files."""
MAX_BYTES: Final = 1_000_000_000
"""More than a day of readings."""
EXPECTED: Final = "expected a recording that the page of `emoscope page` saved for emoscope"
MAX_FRAMES: Final = 2**53
NEAR: Final = 1e-3
"""Probabilities of one face may miss the sum of 1 by this."""


def receive_recording(path: Path, folder: Path, overwrite: bool = False) -> Summary:
    """Make a result of a recording, as an analysis of the same pictures would.

    Args:
        path: the file.
        folder: of the result.
        overwrite: whether another recording's result there may be replaced.

    Raises:
        InputError: it is no such file, or was damaged or changed.
        OutputError: the place is not free or cannot be written.
    """
    facts, table = _load(path)
    with open_owned(folder, KIND, Identity.create(path), OUTPUT_NAMES, overwrite) as working:
        import pyarrow.parquet as pq

        pq.write_table(table, working / TABLE_FILE)
        observations = facts.open_table(working / TABLE_FILE)
        summary = compute_summary(observations, facts)
        observations.write_csv(working / "observations.csv")
        write_audience_csv(observations, working / "audience.csv")
        write_report(observations, summary, working / REPORT_FILE, working)
        (working / SUMMARY_FILE).write_text(summary.to_json(), encoding="utf-8")
    return summary


def _load(path: Path) -> "tuple[Facts, pa.Table]":
    import pyarrow as pa
    from pydantic import TypeAdapter

    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no file; {EXPECTED}")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; {EXPECTED}")
        values = json.loads(path.read_bytes(), parse_constant=_refuse)
        if not isinstance(values, dict) or values.get("emoscope") != "recording":
            raise InputError(f"{path} is no recording; {EXPECTED}")
        facts: Facts = TypeAdapter(Facts).validate_json(json.dumps(values["facts"]), strict=True)
        columns, classes = values["columns"], _find_classes(facts)
        schema = create_schema(columns[len(create_columns(classes)) :], classes)
        if columns != schema.names:
            raise ValueError("its columns are not those of observations")
        arrays = [
            pa.array(_check_whole(cells) if pa.types.is_integer(field.type) else list(cells), field.type)
            for cells, field in zip(_turn(values["rows"], len(columns)), schema, strict=True)
        ]
        table = pa.Table.from_arrays(arrays, schema=schema)
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); {EXPECTED}") from e
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, pa.ArrowException) as e:
        raise InputError(f"{path} is damaged ({shorten(e)}); {EXPECTED}") from e
    if problems := list(_find_problems(facts, table, classes)):
        raise InputError(f"{path} was changed or is damaged: {'; '.join(problems)}; ask for the file as it was saved")
    return facts, table


def _find_classes(facts: Facts) -> tuple[str, ...]:
    """Return what the recording's network told apart; the seven where it does not say.

    Raises:
        ValueError: it says something else.
    """
    labels = facts.model.get("labels", EMOTIONS)
    if not isinstance(labels, list | tuple) or not all(isinstance(name, str) for name in labels):
        raise ValueError("its network's classes are no names")
    if problems := list_class_problems(labels):
        raise ValueError(f"its network's classes: {problems[0]}")
    return tuple(labels)


def _turn(rows: list[list[Any]], n_columns: int) -> list[tuple[Any, ...]]:
    if any(len(row) != n_columns for row in rows):
        raise ValueError("a row has other cells than the columns")
    return list(zip(*rows, strict=True)) or [()] * n_columns


def _check_whole(cells: Sequence[Any]) -> list[Any]:
    """Return cells of whole numbers: Arrow would cut off what stands behind the point, without a word."""
    if wrong := next((cell for cell in cells if isinstance(cell, float)), None):
        raise ValueError(f"{wrong:g} is no whole number")
    return list(cells)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _find_problems(facts: Facts, table: "pa.Table", classes: tuple[str, ...]) -> Iterator[str]:
    """Yield what the page cannot have written."""

    def read(name: str) -> NDArray[np.float64]:
        return np.asarray(table[name].to_numpy(zero_copy_only=False), np.float64)

    time_s, frame, end_s = read("time_s"), read("frame"), facts.duration_s + NEAR
    if table.num_rows == 0:
        yield "it has no readings"
        return
    if facts.kind == "pictures" or any(name != facts.source for name in table["source"].unique().to_pylist()):
        yield "it is not of one film or camera"
    if not ((time_s >= 0) & (time_s <= min(end_s, MAX_S))).all() or (np.diff(time_s) < 0).any():
        yield "its times do not rise from 0 to its end"
    # NaN, which stands for an empty cell, is in no order.
    if not (np.diff(frame) >= 0).all() or frame[0] != 0 or not frame[-1] < facts.frames_in_source <= MAX_FRAMES:
        yield "its frames are not counted from 0 to its end"
    if not (read("shot") >= 1).all():
        yield "a frame is of no shot"
    yield from _find_face_problems(table, classes, read)


def _find_face_problems(
    table: "pa.Table", classes: tuple[str, ...], read: Callable[[str], NDArray[np.float64]]
) -> Iterator[str]:
    """Yield what is wrong with faces and their readings; `read` gives a column's numbers, NaN where it is empty."""
    has_face = np.array(table["emotion"].is_valid())
    p = np.column_stack([read(name) for name in name_columns(P_, classes)])[has_face]
    if not (np.isfinite(p).all() and (p >= 0).all() and (np.abs(p.sum(axis=1) - 1) <= NEAR).all()):
        yield "its probabilities do not add up to 1"
    who, box = read("track_id"), np.column_stack([read(name) for name in (*BOX, "detection_score")])
    if not ((who >= 1) & (who <= MAX_ID) & np.isfinite(box).all(axis=1))[has_face].all():
        yield "a face is nobody's or nowhere"
    if not np.isnan(who[~has_face]).all() or table["uncertain"].filter(table["emotion"].is_valid()).null_count:
        yield "a face has no reading"
    smoothed = name_columns(SMOOTH_, classes)
    shown = p if smoothed[0] not in table.column_names else np.column_stack([read(n) for n in smoothed])[has_face]
    named = [classes.index(name) if name in classes else -1 for name in table["emotion"].drop_null().to_pylist()]
    if (np.array(named, np.int64) != shown.argmax(axis=1)).any():
        yield "an emotion is not the most probable one"
    if not (np.abs(read("probability")[has_face] - shown.max(axis=1, initial=0)) <= NEAR).all():
        yield "a probability is not that of the emotion"
    measured = [read(name) for name in QUALITY if name in table.column_names]
    if any(np.isinf(values).any() for values in measured):
        yield "a measure is no number"
