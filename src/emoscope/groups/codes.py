"""Codes: what people saw in recordings, a CSV file each, in; the coded moments beside what was read there, out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.analysis.recorder import SUMMARY_FILE
from emoscope.analysis.result_folder import load_result, reading
from emoscope.core.csv_table import read_csv_table
from emoscope.core.emotions import EMOTIONS, find_emotion
from emoscope.core.errors import InputError
from emoscope.core.timecode import parse_time
from emoscope.groups.participants import FILE, join_problems, load_participants
from emoscope.groups.recordings import find_folders
from emoscope.tables.observations import Observations
from emoscope.tables.rows import read_rows
from emoscope.tables.summary import Summary

COLUMNS: Final = ("recording", "time_s", "start_s", "end_s", "person", "track_id", "emotion")
EXPECTED: Final = "expected a CSV file with the columns recording, time_s (or start_s and end_s), person and emotion"
CANNOT_TELL: Final = frozenset({"cannot tell", "can't tell", "unclear", "unsure", "unknown", "u", "?"})
"""Words of a coder who looked and could not say."""
NEAR_S: Final = 0.25
"""A face this near in time is the one that was coded, or the next analysed one where fewer frames were analysed."""


@dataclass(frozen=True)
class Recording:
    """One recording's faces, in the order of time."""

    name: str
    """The result folder, relative to that of all results, with slashes."""
    folder: Path
    table: Observations
    summary: Summary
    frame_no: NDArray[np.int64]
    """(m,) of each face."""
    time_s: NDArray[np.float64]
    person: NDArray[np.int64]
    """(m,) track_id."""
    reading: NDArray[np.int64]
    """(m,) the emotion that it is read as."""
    probabilities: NDArray[np.float64]
    """(m, 7)"""
    step_s: float
    """Between analysed frames, in the middle."""

    @classmethod
    def load(cls, name: str, folder: Path) -> "Recording":
        """Read a result folder.

        Raises:
            InputError: it is none, or damaged.
        """
        table, summary = load_result(folder)
        with reading(folder):
            parts = [
                (r.frame_no[r.is_face], r.time_s, r.track_id, r.emotion, r.probabilities) for r in read_rows(table)
            ]
            frames = [r.frame_s[r.is_first] for r in read_rows(table)]
        steps = np.diff(np.concatenate(frames)) if frames else np.empty(0)
        step_s = float(np.median(steps)) if len(steps) else 0.0
        if not parts:
            empty = np.empty(0, np.int64)
            return cls(name, folder, table, summary, empty, np.empty(0), empty, empty, np.empty((0, 7)), step_s)
        frame_no, time_s, person, emotion, probabilities = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return cls(name, folder, table, summary, frame_no, time_s, person, emotion, probabilities, step_s)


@dataclass(frozen=True)
class Code:
    """A row of a coder's file."""

    line: int
    recording: str
    start_s: float
    end_s: float | None
    """None: a single moment."""
    person: int | None
    emotion: int | None
    """None: the coder could not tell."""


Key = tuple[int, int, int]
"""Recording, person, frame: a face in one frame, the same for every coder."""


@dataclass
class Coded:
    """What one coder said of which faces."""

    coder: str
    labels: dict[Key, int] = field(default_factory=dict)
    rows: dict[Key, int] = field(default_factory=dict)
    """Where the recording has that face."""
    n_cannot_tell: int = 0
    n_unread: int = 0
    """Codes of moments at which no face of that person was read."""
    has_stretches: bool = False
    """Whether some codes are stretches of time, which count once a second."""


def load_recordings(root: Path) -> list[Recording]:
    """Read a result folder, or all below a folder.

    Raises:
        InputError: there is none, or one is damaged.
    """
    if (root / SUMMARY_FILE).is_file():
        return [Recording.load(root.resolve().name, root)]
    folders = find_folders(root)
    if not folders:
        raise InputError(f"{root} holds no result folder; name the folder that `emoscope analyze` wrote")
    return [Recording.load(folder.relative_to(root).as_posix(), folder) for folder in folders]


def load_codes(path: Path) -> tuple[list[Code], list[str]]:
    """Read one coder's file.

    Returns:
        The rows that can be read, and all that is wrong with the others, a line each.

    Raises:
        InputError: it is no such file at all.
    """
    table = read_csv_table(path, COLUMNS, EXPECTED)
    has_times = "time_s" in table.header or {"start_s", "end_s"} <= set(table.header)
    missing = [
        name for name, is_there in (("emotion", "emotion" in table.header), ("time_s", has_times)) if not is_there
    ]
    if missing:
        raise InputError(f"{path} has no column {' and no column '.join(missing)}; {EXPECTED}")
    problems: list[str] = []
    codes: list[Code] = []
    for line, cells in table.rows:
        try:
            codes.append(_read_row(line, cells, table.separator))
        except InputError as e:
            problems.append(f"line {line}: {e}")
    if not codes and not problems:
        problems.append("there are no codes in it")
    return codes, problems


def _read_row(line: int, cells: Mapping[str, str], separator: str) -> Code:
    """Return a row's code.

    Raises:
        InputError: all that is wrong with the row.
    """
    problems = []
    word = cells.get("emotion", "").lower()
    emotion = find_emotion(word)
    if emotion is None and word not in CANNOT_TELL:
        problems.append(
            f"{word!r} is no emotion, expected {', '.join(EMOTIONS)} or cannot tell" if word else "no emotion"
        )
    person, text = None, cells.get("person") or cells.get("track_id") or ""
    # The page calls them "Person 1", the table 1.
    number = text.lower().removeprefix("person").strip()
    if number.isascii() and number.isdecimal() and 0 < int(number) < 2**31:
        person = int(number)
    elif text:
        problems.append(f"person {text!r} is no number of a person")
    times: dict[str, float] = {}
    for name in ("time_s", "start_s", "end_s"):
        if value := cells.get(name, ""):
            try:
                times[name] = parse_time(value if separator == "," else value.replace(",", "."))
            except InputError as e:
                problems.append(f"{name}: {e}")
    is_moment = bool(cells.get("time_s", ""))
    if not is_moment and not (cells.get("start_s") and cells.get("end_s")):
        problems.append("no time_s, and no start_s with end_s")
    elif not is_moment and len(times) == 2 and times["end_s"] <= times["start_s"]:
        problems.append(f"end_s {times['end_s']:g} is not after start_s {times['start_s']:g}")
    if problems:
        raise InputError(", ".join(problems))
    start_s = times["time_s"] if is_moment else times["start_s"]
    end_s = None if is_moment else times["end_s"]
    return Code(line, cells.get("recording", ""), start_s, end_s, person, emotion)


def match_codes(coder: str, codes: Sequence[Code], recordings: Sequence[Recording]) -> tuple[Coded, list[str]]:
    """Find the faces that a coder spoke of.

    Returns:
        The coded faces, and all that is wrong with the codes, a line each.
    """
    found, problems = Coded(coder), []
    lines: dict[Key, int] = {}
    for code in codes:
        try:
            place = _find_recording(code.recording, recordings)
            keys = _find_faces(code, place, recordings[place])
        except InputError as e:
            problems.append(f"line {code.line}: {e}")
            continue
        found.has_stretches |= code.end_s is not None
        found.n_unread += not keys
        found.n_cannot_tell += bool(keys) and code.emotion is None
        if twice := [lines[key] for key in keys if key in lines]:
            problems.append(f"lines {twice[0]} and {code.line} code the same moment")
            continue
        lines.update(dict.fromkeys(keys, code.line))
        found.rows |= keys
        if code.emotion is not None:
            found.labels |= dict.fromkeys(keys, code.emotion)
    return found, problems


def _find_recording(name: str, recordings: Sequence[Recording]) -> int:
    if not name and len(recordings) == 1:
        return 0
    wanted = name.replace("\\", "/").removeprefix("./").rstrip("/")
    for names in (
        [r.name for r in recordings],
        [Path(r.summary.source).name for r in recordings],
        [Path(r.summary.source).stem for r in recordings],
    ):
        if names.count(wanted) == 1:
            return names.index(wanted)
    raise InputError(f"there is no recording {name!r} among the results" if name else "no recording")


def _find_faces(code: Code, place: int, recording: Recording) -> dict[Key, int]:
    """Return the faces that a code speaks of, by key, and where the recording has them.

    Raises:
        InputError: it lies outside the recording, or it does not say of whom it speaks.
    """
    end_s, duration_s = code.end_s, recording.summary.duration_s
    if code.start_s < 0 or max(code.start_s, end_s or 0) > duration_s + max(NEAR_S, recording.step_s):
        last = f" to {end_s:g}" if end_s is not None else ""
        raise InputError(f"{code.start_s:g}{last} s lies outside {recording.name}, which has {duration_s:.2f} s")
    if code.person is not None and code.person not in recording.person:
        raise InputError(f"there is no person {code.person} in {recording.name}")
    # Once a second, at the same moments for every coder.
    times = [code.start_s]
    if end_s is not None:
        times = [t for t in np.arange(np.floor(code.start_s), end_s) + 0.5 if code.start_s <= t < end_s]
        times = times or [(code.start_s + end_s) / 2]
    keys = {}
    for time_s in times:
        row = _find_face(recording, float(time_s), code.person)
        if row is not None:
            keys[place, int(recording.person[row]), int(recording.frame_no[row])] = row
    return keys


def _find_face(recording: Recording, time_s: float, person: int | None) -> int | None:
    """Return the face nearest in time, None where there is none.

    Raises:
        InputError: several people are there, and it was not said who is meant.
    """
    near_s = max(NEAR_S, recording.step_s)
    first, last = np.searchsorted(recording.time_s, [time_s - near_s, time_s + near_s])
    rows = np.arange(first, last)
    if person is not None:
        rows = rows[recording.person[first:last] == person]
    if len(rows) == 0:
        return None
    nearest = rows[np.abs(recording.time_s[rows] - time_s).argmin()]
    if person is None and (recording.frame_no[rows] == recording.frame_no[nearest]).sum() > 1:
        raise InputError(f"several people are seen at {time_s:g} s in {recording.name}; say who in the column person")
    return int(nearest)


def load_coders(paths: Sequence[Path], recordings: Sequence[Recording]) -> list[Coded]:
    """Read the files of all coders; a coder is called as the file.

    Raises:
        InputError: all that is wrong with all of them, in one line.
    """
    problems = [f"two files are called {name}" for name, n in Counter(path.stem for path in paths).items() if n > 1]
    coders = []
    for path in paths:
        try:
            codes, unread = load_codes(path)
            coded, wrong = match_codes(path.stem, codes, recordings)
        except InputError as e:
            problems.append(str(e))
            continue
        if unread or wrong:
            problems.append(f"{path}: {join_problems([*unread, *wrong])}; correct the file")
        coders.append(coded)
    if not paths:
        problems.append("there are no codes; name a file with --codes")
    if not problems and not any(coded.labels for coded in coders):
        problems.append("no code speaks of a face that was read")
    if problems:
        raise InputError("; ".join(problems) + "; nothing was written")
    return coders


def find_participants(root: Path, recordings: Sequence[Recording]) -> dict[tuple[int, int], str]:
    """Return whose each person of each recording is: as participants.csv says, else each recording is a participant.

    Raises:
        InputError: all that is wrong with participants.csv.
    """
    path = root / FILE
    names = {(i, int(p)): r.name for i, r in enumerate(recordings) for p in np.unique(r.person)}
    if not path.is_file():
        return names
    sessions, _ = load_participants(path, {r.name: r.summary.source for r in recordings})
    for session in sessions:
        for i, person in names:
            if recordings[i].name == session.recording and session.person in (None, person):
                names[i, person] = session.participant + (f" {person}" if session.is_everybody else "")
    return names


def list_notes(coded: Coded) -> Iterator[str]:
    """Yield what is not counted of a coder's codes."""
    if coded.n_cannot_tell:
        yield f"{coded.coder}: left out where it cannot be told: {coded.n_cannot_tell} codes"
    if coded.n_unread:
        yield f"{coded.coder}: left out where no face was read: {coded.n_unread} codes"
