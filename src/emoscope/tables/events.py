"""Events files: a CSV file of marked segments in, checked events out; all problems said at once."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emoscope.core.errors import InputError, shorten
from emoscope.core.timecode import parse_time

COLUMNS: Final = ("name", "start_s", "end_s")
EXPECTED: Final = "expected a CSV file with the columns name, start_s, end_s"
MAX_BYTES: Final = 10_000_000
MAX_PROBLEMS: Final = 8
"""Problems named one by one; of more only the number."""


@dataclass(frozen=True)
class Event:
    """A marked segment; its end is no part of it."""

    name: str
    start_s: float
    end_s: float


def load_events(path: Path) -> tuple[Event, ...]:
    """Read a file with the columns name, start_s, end_s in any order; others are ignored.

    Times are seconds or clock times such as 0:42. Columns are parted by commas, semicolons or tabs; with the latter
    two, numbers may have a decimal comma.

    Returns:
        The events, sorted by time.

    Raises:
        InputError: all that is wrong with the file, in one line.
    """
    header, rows, separator = _read_table(path, _read_text(path))
    if missing := [name for name in COLUMNS if name not in header]:
        raise InputError(f"{path} has no column {' and no column '.join(missing)}; {EXPECTED}")
    problems: list[str] = []
    events: list[tuple[int, Event]] = []
    for line, cells in rows:
        fields = dict(zip(header, cells, strict=False))
        try:
            events.append((line, _parse_event(fields, separator)))
        except InputError as e:
            problems.append(f"line {line}: {e}")
    problems += [*_find_same_names(events), *_find_overlaps(events)]
    if not events and not problems:
        problems.append("there are no events in it")
    if problems:
        more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
        # A name is as long as whoever wrote the file liked.
        shown = "; ".join(shorten(problem) for problem in problems[:MAX_PROBLEMS])
        raise InputError(f"{path}: {shown}{more}; correct the file")
    return tuple(sorted((event for _, event in events), key=lambda event: event.start_s))


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; {EXPECTED}")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); {EXPECTED}") from e
    # Spreadsheets' "Unicode text" is UTF-16 with a byte order mark, their "CSV UTF-8" has one too.
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as e:
        raise InputError(f"{path} is no UTF-8 text; {EXPECTED}, saved as UTF-8") from e
    if "\0" in text:
        raise InputError(f"{path} is no text; {EXPECTED}")
    if not text.strip():
        raise InputError(f"{path} is empty; {EXPECTED}")
    return text


def _read_table(path: Path, text: str) -> tuple[list[str], list[tuple[int, list[str]]], str]:
    """Return the header in small letters, the rows that are not blank with their line numbers, and the separator."""
    lines = text.lstrip().splitlines()
    first = lines[0].lower()
    separator = max(",;\t", key=lambda sign: sum(cell.strip(' "') in COLUMNS for cell in first.split(sign)))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as e:
        raise InputError(f"{path} cannot be read as CSV ({e}); {EXPECTED}") from e
    if not rows:
        raise InputError(f"{path} is empty; {EXPECTED}")
    return [cell.strip().lower() for cell in rows[0][1]], rows[1:], separator


def _parse_event(fields: dict[str, str], separator: str) -> Event:
    """Return a row's event.

    Raises:
        InputError: all that is wrong with the row.
    """
    problems = []
    name = " ".join(fields["name"].split()) if "name" in fields else ""
    if not name:
        problems.append("no name")
    times = []
    for column in COLUMNS[1:]:
        text = fields.get(column, "").strip()
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
    return Event(name, *times)


def _find_same_names(events: list[tuple[int, Event]]) -> Iterator[str]:
    lines: dict[str, int] = {}
    for line, event in events:
        if event.name in lines:
            yield f"lines {lines[event.name]} and {line} are both named {event.name!r}"
        lines.setdefault(event.name, line)


def _find_overlaps(events: list[tuple[int, Event]]) -> Iterator[str]:
    latest: tuple[int, Event] | None = None
    for line, event in sorted(events, key=lambda pair: (pair[1].start_s, pair[0])):
        if latest is not None and event.start_s < latest[1].end_s:
            yield f"{latest[1].name!r} (line {latest[0]}) and {event.name!r} (line {line}) overlap"
        if latest is None or event.end_s > latest[1].end_s:
            latest = line, event
