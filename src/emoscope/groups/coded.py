"""What people saw: codes of any file in, the coded faces beside what was read there out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.analysis.recorder import SUMMARY_FILE
from emoscope.analysis.result_folder import load_result, reading
from emoscope.core.errors import InputError
from emoscope.groups.recordings import Recording, check_classes, find_folders
from emoscope.tables.rows import read_rows

CANNOT_TELL: Final = frozenset({"cannot tell", "can't tell", "unclear", "unsure", "unknown", "u", "?"})
"""Words of a coder who looked and could not say."""
NEAR_S: Final = 0.25
"""A face this near in time is the one that was coded, or the next analysed one where fewer frames were analysed."""


@dataclass(frozen=True)
class RecordingFaces(Recording):
    """One recording's faces, in the order of time."""

    frame_no: NDArray[np.int64]
    """(m,) of each face."""
    time_s: NDArray[np.float64]
    person: NDArray[np.int64]
    """(m,) track_id."""
    reading: NDArray[np.int64]
    """(m,) the emotion that it is read as."""
    probabilities: NDArray[np.float64]
    """(m, classes)"""
    step_s: float
    """Between analysed frames, in the middle."""

    @classmethod
    def load(cls, name: str, folder: Path) -> "RecordingFaces":
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
            return cls(
                name,
                folder,
                table,
                summary,
                empty,
                np.empty(0),
                empty,
                empty,
                np.empty((0, len(table.classes))),
                step_s,
            )
        frame_no, time_s, person, emotion, probabilities = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return cls(name, folder, table, summary, frame_no, time_s, person, emotion, probabilities, step_s)


@dataclass(frozen=True)
class Code:
    """A row of a coder's file."""

    where: str
    """In the file."""
    recording: str
    start_s: float
    end_s: float | None
    """None: a single moment."""
    person: int | None
    emotion: int | None
    """None: the coder could not tell."""


Key = tuple[int, int, int]
"""Recording, person, frame: a face in one frame, the same for every coder."""


@dataclass(frozen=True)
class Codes:
    """What a file holds of one coder."""

    coder: str
    codes: list[Code]
    problems: list[str]
    """All that is wrong with what is not among the codes, a line each."""
    n_empty: int = 0
    """Annotations that say nothing."""


@dataclass
class Coded:
    """What one coder said of which faces."""

    coder: str
    labels: dict[Key, int] = field(default_factory=dict)
    rows: dict[Key, int] = field(default_factory=dict)
    """Where the recording has that face."""
    n_cannot_tell: int = 0
    n_empty: int = 0
    n_unread: int = 0
    """Codes of moments at which no face of that person was read."""
    has_stretches: bool = False
    """Whether some codes are stretches of time, which count once a second."""

    def join(self, other: "Coded") -> list[str]:
        """Take what the same coder said in another file; return what both say, a line each."""
        twice = self.rows.keys() & other.rows.keys()
        self.labels |= other.labels
        self.rows |= other.rows
        self.n_cannot_tell += other.n_cannot_tell
        self.n_empty += other.n_empty
        self.n_unread += other.n_unread
        self.has_stretches |= other.has_stretches
        return [f"{len(twice)} moments of {self.coder} are coded in another file too"] if twice else []


def load_recordings(root: Path) -> list[RecordingFaces]:
    """Read a result folder, or all below a folder.

    Raises:
        InputError: there is none, one is damaged, or they were read as different classes.
    """
    if (root / SUMMARY_FILE).is_file():
        return [RecordingFaces.load(root.resolve().name, root)]
    folders = find_folders(root)
    if not folders:
        raise InputError(f"{root} holds no result folder; name the folder that `emoscope analyze` wrote")
    found = [RecordingFaces.load(folder.relative_to(root).as_posix(), folder) for folder in folders]
    check_classes(found, root)
    return found


def parse_person(text: str) -> int | None:
    """Return the number of a person; the page calls them "Person 1", the table 1. None where it is no number."""
    number = text.lower().removeprefix("person").strip()
    return int(number) if number.isascii() and number.isdecimal() and 0 < int(number) < 2**31 else None


def match_codes(codes: Codes, recordings: Sequence[RecordingFaces]) -> tuple[Coded, list[str]]:
    """Find the faces that a coder spoke of.

    Returns:
        The coded faces, and all that is wrong with the file, a line each.
    """
    found, problems = Coded(codes.coder, n_empty=codes.n_empty), list(codes.problems)
    places: dict[Key, str] = {}
    for code in codes.codes:
        try:
            place = find_recording(code.recording, recordings)
            keys = _find_faces(code, place, recordings[place])
        except InputError as e:
            problems.append(f"{code.where}: {e}")
            continue
        found.has_stretches |= code.end_s is not None
        found.n_unread += not keys
        found.n_cannot_tell += bool(keys) and code.emotion is None
        if twice := [places[key] for key in keys if key in places]:
            problems.append(f"{twice[0]} and {code.where} code the same moment")
            continue
        places.update(dict.fromkeys(keys, code.where))
        found.rows |= keys
        if code.emotion is not None:
            found.labels |= dict.fromkeys(keys, code.emotion)
    return found, problems


def find_recording(name: str, recordings: Sequence[RecordingFaces]) -> int:
    """Return the number of the recording that a name means: its result's path, its file, or that without its ending.

    Raises:
        InputError: it means none, or several.
    """
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


def _find_faces(code: Code, place: int, recording: RecordingFaces) -> dict[Key, int]:
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


def _find_face(recording: RecordingFaces, time_s: float, person: int | None) -> int | None:
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
        raise InputError(
            f"several people are seen at {time_s:g} s in {recording.name}; say who in the column person, or as the "
            "tier's participant"
        )
    return int(nearest)


def list_notes(coded: Coded) -> Iterator[str]:
    """Yield what is not counted of a coder's codes."""
    if coded.n_cannot_tell:
        yield f"{coded.coder}: left out where it cannot be told: {coded.n_cannot_tell} codes"
    if coded.n_empty:
        yield f"{coded.coder}: left out where nothing is written: {coded.n_empty} annotations"
    if coded.n_unread:
        yield f"{coded.coder}: left out where no face was read: {coded.n_unread} codes"
