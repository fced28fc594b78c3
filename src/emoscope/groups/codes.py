"""Files of codes: tables and ELAN documents in; each coder's codes beside what was read, and whose they are, out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from emoscope.core.csv_table import read_csv_table
from emoscope.core.emotions import find_class
from emoscope.core.errors import InputError
from emoscope.core.timecode import parse_time
from emoscope.groups.coded import CANNOT_TELL, Code, Coded, Codes, RecordingFaces, match_codes, parse_person
from emoscope.groups.elan_codes import ENDING, load_elan_codes
from emoscope.groups.participants import FILE, join_problems, load_participants

COLUMNS: Final = ("recording", "time_s", "start_s", "end_s", "person", "track_id", "emotion")
EXPECTED: Final = "expected a CSV file with the columns recording, time_s (or start_s and end_s), person and emotion"


def load_codes(path: Path, tiers: Sequence[str], recordings: Sequence[RecordingFaces]) -> list[Codes]:
    """Read what one file holds: a coder's table, or an ELAN document of one or more coders.

    Raises:
        InputError: it is no such file at all.
    """
    if path.suffix.lower() == ENDING:
        return list(load_elan_codes(path, tiers, recordings))
    return [_load_table(path, recordings[0].table.classes)]


def _load_table(path: Path, classes: Sequence[str]) -> Codes:
    """Read one coder's table; the coder is called as the file.

    Raises:
        InputError: it is no such table at all.
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
            codes.append(_read_row(line, cells, table.separator, classes))
        except InputError as e:
            problems.append(f"line {line}: {e}")
    if not codes and not problems:
        problems.append("there are no codes in it")
    return Codes(path.stem, codes, problems)


def _read_row(line: int, cells: Mapping[str, str], separator: str, classes: Sequence[str]) -> Code:
    """Return a row's code.

    Raises:
        InputError: all that is wrong with the row.
    """
    problems = []
    word = cells.get("emotion", "").lower()
    emotion = find_class(word, classes)
    if emotion is None and word not in CANNOT_TELL:
        problems.append(
            f"{word!r} is no emotion, expected {', '.join(classes)} or cannot tell" if word else "no emotion"
        )
    text = cells.get("person") or cells.get("track_id") or ""
    person = parse_person(text)
    if text and person is None:
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
    return Code(f"line {line}", cells.get("recording", ""), start_s, end_s, person, emotion)


def load_coders(paths: Sequence[Path], recordings: Sequence[RecordingFaces], tiers: Sequence[str] = ()) -> list[Coded]:
    """Read the files of all coders.

    Args:
        paths: tables, whose coders are called as they, and ELAN documents.
        recordings: those that are compared.
        tiers: of the documents; each is a coder, who may have several documents.

    Raises:
        InputError: all that is wrong with all of them, in one line.
    """
    problems = [] if paths else ["there are no codes; name a file with --codes"]
    if tiers and not any(path.suffix.lower() == ENDING for path in paths):
        problems.append(f"tiers were named, but no ELAN document ({ENDING})")
    coders: dict[str, Coded] = {}
    for path in paths:
        try:
            found = [match_codes(codes, recordings) for codes in load_codes(path, tiers, recordings)]
        except InputError as e:
            problems.append(str(e))
            continue
        wrong = [problem for _, own in found for problem in own]
        for coded, _ in found:
            known = coders.setdefault(coded.coder, coded)
            if known is not coded and not (path.suffix.lower() == ENDING and tiers):
                wrong.append(f"another file is called {coded.coder} too")
            elif known is not coded:
                wrong += known.join(coded)
        if wrong:
            problems.append(f"{path}: {join_problems(wrong)}; correct the file")
    if not problems and not any(coded.labels for coded in coders.values()):
        problems.append("no code speaks of a face that was read")
    if problems:
        raise InputError("; ".join(problems) + "; nothing was written")
    return list(coders.values())


def find_participants(root: Path, recordings: Sequence[RecordingFaces]) -> dict[tuple[int, int], str]:
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
