"""Tables of events: our own, BIDS, exports of BORIS, and logs whose columns are named; text in, entries out."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Final

from emoscope.core.csv_table import check_once, check_rows
from emoscope.core.errors import InputError, shorten
from emoscope.core.timecode import parse_time
from emoscope.core.validation import suggest
from emoscope.tables.event_formats import boris
from emoscope.tables.event_formats.entries import EXPECTED, NO_NAME, UNKNOWN, Entries, clean, parse_seconds
from emoscope.tables.event_formats.mapping import EventColumns

OWN: Final = ("name", "start_s", "end_s")
BIDS: Final = ("onset", "duration", "trial_type")
KNOWN: Final = {*OWN, *BIDS, "kind", "recording", "behavior", "start (s)", "stop (s)", "time", "trial_index", "subject"}
"""By these it is told what parts the columns."""
MAX_WORDS: Final = 600
"""Letters of a message: a column is called whatever its file likes."""
N_BEFORE: Final = 40
"""Lines before the header that older versions of BORIS write."""
Row = tuple[str, dict[str, str]]


def read_table(path: Path, text: str, mapping: EventColumns | None) -> Entries:
    """Read a table parted by commas, semicolons or tabs.

    Raises:
        InputError: it is none, or its columns are not those of a format.
    """
    header, rows, separator = _split(path, text, mapping)
    if mapping is not None:
        return _read_log(path, header, rows, mapping)
    small = [name.lower() for name in header]
    lower = [(where, {key.lower(): cell for key, cell in row.items()}) for where, row in rows]
    if all(name in small for name in OWN):
        return _read_own(lower, separator)
    if all(name in small for name in BIDS):
        return _read_bids(lower)
    if boris.is_aggregated(small) or boris.is_single(small):
        return boris.read_rows(lower, boris.is_aggregated(small))
    raise InputError(f"{path} {shorten(_explain(header), MAX_WORDS)}")


def read_objects(path: Path, values: Sequence[Mapping[str, object]], mapping: EventColumns | None) -> Entries:
    """Read a log that is a JSON list of trials.

    Raises:
        InputError: no columns were named, or they are not there.
    """
    header = list(dict.fromkeys(str(key) for row in values for key in row))
    if mapping is None:
        raise InputError(f"{path} {shorten(_explain(header), MAX_WORDS)}")
    rows = [
        (f"trial {i}", {key: "" if value is None else str(value) for key, value in row.items()})
        for i, row in enumerate(values, 1)
    ]
    return _read_log(path, header, rows, mapping)


def _split(path: Path, text: str, mapping: EventColumns | None) -> tuple[list[str], list[Row], str]:
    """Return the header, the rows that are not blank with their lines, and the separator."""
    wanted = set(mapping.columns.values()) if mapping else set()
    lines = text.lstrip().splitlines()[:N_BEFORE]

    def count(cells: Sequence[str]) -> int:
        names = {cell.strip(' "') for cell in cells}
        return len(names & wanted) + len({name.lower() for name in names} & KNOWN)

    separator = max(",;\t", key=lambda sign: max(count(line.split(sign)) for line in lines))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as e:
        raise InputError(f"{path} cannot be read as CSV ({e}); {EXPECTED}") from e
    if not rows:
        raise InputError(f"{path} is empty; {EXPECTED}")
    names = [[cell.strip().lower() for cell in row] for _, row in rows[:N_BEFORE]]
    at = next((i for i, row in enumerate(names) if boris.is_aggregated(row) or boris.is_single(row)), 0)
    header = [cell.strip() for cell in rows[at][1]]
    small = [name.lower() for name in header]
    check_once(path, header, wanted)
    check_once(path, small, () if wanted else KNOWN)
    check_rows(path, header, rows[at + 1 :], separator)
    # Spreadsheets leave out empty cells at the end of a row.
    blank = dict.fromkeys(header, "")
    return header, [(f"line {n}", blank | dict(zip(header, row, strict=False))) for n, row in rows[at + 1 :]], separator


def _explain(header: Sequence[str]) -> str:
    """Return why a table cannot be read without more words, and those words."""
    small = {name.lower() for name in header}
    how = "say which columns hold the events by --event-columns"
    # What parts the pairs cannot stand in a name, and nameless columns hold numbers of rows.
    names = [name for name in header if name and not set(name) & set(",=")]
    if {"trial_index", "time_elapsed"} <= small:
        return f"is a log of jsPsych; {how}, such as name=trial_type,end=time_elapsed,duration=rt,unit=ms,offset=0"
    starts = [name.removesuffix(".started") for name in header if name.endswith(".started")]
    if both := next((name for name in starts if not set(name) & set(",=") and f"{name}.stopped" in header), None):
        columns = f"name={names[0]},start={both}.started,end={both}.stopped,offset=0"
        return f"is a log of PsychoPy; {how}, such as {quote(columns)}"
    if {"onset", "duration"} <= small:
        columns = f"name={names[-1]},start=onset,duration=duration"
        return f"has no column trial_type; {how}, such as {quote(columns)}"
    missing = [name for name in OWN if name not in small]
    return f"has no column {' and no column '.join(missing)}; {EXPECTED}; of other tables, {how}"


def _read_log(path: Path, header: Sequence[str], rows: Sequence[Row], mapping: EventColumns) -> Entries:
    if missing := [name for name in mapping.columns.values() if name not in header]:
        told = "; ".join(f"there is no column {name}, {suggest(name, header)}" for name in missing)
        raise InputError(f"{path}: {shorten(told, MAX_WORDS)}; correct --event-columns")
    entries = Entries(f"a log with times in {mapping.unit}", overlaps_are_meant=True)
    for where, row in rows:
        mapping.add(entries, where, row)
    return entries


def _read_own(rows: Sequence[Row], separator: str) -> Entries:
    entries = Entries()
    for where, row in rows:
        try:
            entries.add(where, *_parse_own(row, separator), row.get("kind"), row.get("recording", "").strip())
        except InputError as e:
            entries.problems.append(f"{where}: {e}")
    return entries


def _parse_own(row: Mapping[str, str], separator: str) -> tuple[str, float, float]:
    """Return a row's name, start and end.

    Raises:
        InputError: all that is wrong with the row.
    """
    problems = []
    name = clean(row.get("name", ""))
    if not name:
        problems.append("no name")
    times = []
    for column in OWN[1:]:
        text = row.get(column, "").strip()
        try:
            if not text:
                raise InputError("empty")
            times.append(parse_time(text if separator == "," else text.replace(",", ".")))
        except InputError as e:
            problems.append(f"{column}: {e}")
    if len(times) == 2 and times[1] <= times[0]:
        problems.append(f"end_s {times[1]:g} is not after start_s {times[0]:g}")
    if problems:
        raise InputError(", ".join(problems))
    return name, times[0], times[1]


def _read_bids(rows: Sequence[Row]) -> Entries:
    """Read BIDS events.

    Source: https://bids-specification.readthedocs.io, "Events": onset and duration in seconds, `n/a` where unknown;
    an onset may be negative, and an event of no length is an impulse.
    """
    entries = Entries("BIDS events", overlaps_are_meant=True)
    for where, row in rows:
        try:
            onset, duration = parse_seconds(row.get("onset", "")), parse_seconds(row.get("duration", ""))
            if onset is None:
                raise InputError("onset: empty")
            if duration is not None and duration < 0:
                raise InputError(f"duration {duration:g} is negative")
        except InputError as e:
            entries.problems.append(f"{where}: {e}")
            continue
        name = row.get("trial_type", "").strip()
        if name.lower() in UNKNOWN:
            entries.left_out[NO_NAME] += 1
            continue
        end = None if duration is None else round(onset + duration, 9)
        entries.add(where, name, onset, end, row.get("kind"), row.get("recording", "").strip())
    return entries
