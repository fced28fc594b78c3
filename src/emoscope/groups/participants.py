"""Participants: who was seen in which recording, under which condition; participants.csv in, checked sessions out."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from emoscope.core.csv_table import read_csv_table
from emoscope.core.errors import InputError, shorten
from emoscope.core.files import open_atomic
from emoscope.core.texts import make_printable, name_some
from emoscope.core.timecode import parse_time
from emoscope.tables.events import is_meant, split_name

FILE: Final = "participants.csv"
COLUMNS: Final = ("recording", "participant", "person", "start_s")
"""Those with a meaning; all others are conditions or groups."""
EVERYBODY: Final = "all"
"""In the column `person`: everyone in the recording is a participant, as in the film of an audience."""
EXPECTED: Final = "expected a CSV file with the column recording, maybe participant, person, start_s, conditions"
MAX_PROBLEMS: Final = 8
"""Problems named one by one; of more only the number."""
Start = float | str
"""When the stimulus begins: in the recording's seconds, or at the event of a name."""
PATTERN: Final = frozenset("*?[")


@dataclass(frozen=True)
class Session:
    """One recording, or one person in it, of one participant."""

    recording: str
    """The result folder, relative to that of all results, with slashes."""
    participant: str
    person: int | None = None
    """track_id; None: the person seen in most frames."""
    is_everybody: bool = False
    """Whether everyone in the recording is a participant, whose names begin with this one's."""
    start: Start | None = None
    """When the stimulus begins; None: not said here."""
    factors: Mapping[str, str] = field(default_factory=dict)
    """Conditions and groups by column; empty cells are left out."""


def create_sessions(recordings: Iterable[str]) -> list[Session]:
    """Return a session for each recording where nobody wrote a table: every recording is a participant."""
    return [Session(name, name) for name in recordings]


def load_participants(path: Path, recordings: Mapping[str, str]) -> tuple[list[Session], list[str]]:
    """Read participants.csv and find its recordings.

    Args:
        path: the file.
        recordings: what was recorded where: sources by result folder, relative to that of all results.

    Returns:
        The sessions in the order of the file, and what a reader should know of it, a line each.

    Raises:
        InputError: all that is wrong with the file, in one line.
    """
    table = read_csv_table(path, COLUMNS, EXPECTED)
    if "recording" not in table.header:
        raise InputError(f"{path} has no column recording; {EXPECTED}")
    problems: list[str] = []
    found: list[tuple[int, Session]] = []
    for line, cells in table.rows:
        try:
            found += [(line, session) for session in _read_row(cells, recordings, table.separator)]
        except InputError as e:
            problems.append(f"line {line}: {e}")
    problems += [*_find_doubles(found), *_find_spellings(session.participant for _, session in found)]
    if not found and not problems:
        problems.append("there are no recordings in it")
    if problems:
        raise InputError(f"{path}: {join_problems(problems)}; correct the file")
    sessions = [session for _, session in found]
    return sessions, list(_find_notes(sessions, recordings, path))


def join_problems(problems: Sequence[str]) -> str:
    """Return problems in one line, the first ones in full."""
    more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
    # A name is as long as whoever wrote the file liked.
    return "; ".join(shorten(problem) for problem in problems[:MAX_PROBLEMS]) + more


def _read_row(cells: Mapping[str, str], recordings: Mapping[str, str], separator: str) -> list[Session]:
    """Return the sessions of one row.

    Raises:
        InputError: all that is wrong with the row.
    """
    problems = []
    name = cells.get("recording", "").replace("\\", "/").removeprefix("./").rstrip("/")
    matched = _match(name, recordings)
    if not name:
        problems.append("no recording")
    elif not matched:
        problems.append(f"no recording {'matches' if PATTERN & set(name) else 'is called'} {name!r}")
    elif len(matched) > 1 and not PATTERN & set(name):
        problems.append(f"{name!r} can be {name_some(matched)}; write more of its path")
    person, is_everybody = None, cells.get("person", "").lower() == EVERYBODY
    if (text := cells.get("person", "")) and not is_everybody:
        # The page calls them "Person 1", the table 1.
        number = text.lower().removeprefix("person").strip()
        if number.isascii() and number.isdecimal() and 0 < int(number) < 2**31:
            person = int(number)
        else:
            problems.append(f"person {text!r} is no number of a person; expected track_id, or {EVERYBODY}")
    start = parse_start(cells.get("start_s", ""), separator != ",")
    if problems:
        raise InputError(", ".join(problems))
    factors = {key: value for key, value in cells.items() if key not in COLUMNS and value}
    return [Session(r, cells.get("participant") or r, person, is_everybody, start, factors) for r in matched]


def parse_start(text: str, has_decimal_comma: bool = False) -> Start | None:
    """Return when a stimulus begins, as somebody wrote it; None where nothing is written."""
    try:
        return parse_time(text.replace(",", ".") if has_decimal_comma else text) if text else None
    except InputError:
        # Whether the recording has such an event is known once it is open.
        return text


def _match(name: str, recordings: Mapping[str, str]) -> list[str]:
    """Return the recordings that a name or pattern means: by their folders as they are written, else by any end."""
    if name in recordings:
        return [name]
    wanted = split_name(name)
    # A table's reader leaves out blanks at the ends of a name, and all but one within it.
    if same := [recording for recording in recordings if split_name(recording) == wanted]:
        return same
    exact = [recording for recording in recordings if fnmatchcase(recording, name)]
    return exact or [r for r, source in recordings.items() if name and is_meant(name, source, Path(r))]


def _find_doubles(found: Sequence[tuple[int, Session]]) -> Iterator[str]:
    """Yield who is named twice: one person of a recording is one participant."""
    lines: dict[tuple[str, int | None], int] = {}
    for line, session in found:
        whose = "" if session.person is None else f" person {session.person} of"
        key = session.recording, session.person
        if key in lines:
            yield f"lines {lines[key]} and {line} both name{whose} {session.recording}"
        lines.setdefault(key, line)
    for line, session in found:
        other = lines.get((session.recording, None))
        if session.person is not None and other is not None:
            yield f"line {other} names {session.recording} without a person, line {line} with one"


def _find_spellings(names: Iterable[str]) -> Iterator[str]:
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in names:
        spellings[name.casefold()].add(name)
    for same in spellings.values():
        if len(same) > 1:
            yield f"{' and '.join(map(repr, sorted(same)))} are one participant, or should differ in more than case"


def _find_notes(sessions: Sequence[Session], recordings: Iterable[str], path: Path) -> Iterator[str]:
    named = {session.recording for session in sessions}
    if left_out := [name for name in recordings if name not in named]:
        yield f"{name_some(left_out)} {'is' if len(left_out) == 1 else 'are'} not in {path} and left out"
    seen: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = defaultdict(list)
    for session in sessions:
        seen[session.participant, tuple(sorted(session.factors.items()))].append(session.recording)
    for (participant, _), several in seen.items():
        if len(several) > 1:
            yield (
                f"participant {participant} has {len(several)} recordings that no column tells apart "
                f"({name_some(several)}); their mean counts once"
            )


def create_template(recordings: Sequence[str]) -> str:
    """Return the text of a table to be filled in: every recording is a participant."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow((*COLUMNS, "condition"))
    writer.writerows((name, make_printable(name), "", "", "") for name in recordings)
    return file.getvalue()


def is_template(path: Path) -> bool:
    """Return whether nobody has filled in a file since create_template() made it, for whatever recordings.

    Its content proves it: what is equal to a template says no more than one.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error):
        return False
    return not path.is_symlink() and text == create_template([row[0] for row in rows[1:] if row])


def write_template(path: Path, recordings: Sequence[str]) -> bool:
    """Write a template where no file is, or where one is that nobody has filled in.

    Returns:
        Whether it was written. A file that somebody wrote is left alone.

    Raises:
        OutputError: the place cannot be written.
    """
    text = create_template(recordings)
    if path.exists() and (not is_template(path) or path.read_text(encoding="utf-8") == text):
        return False
    with open_atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return True
