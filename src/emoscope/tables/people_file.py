"""people.csv as text: a file in, its rows and what is wrong with each out; and a template for it."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emoscope.core.csv_table import read_csv_table
from emoscope.core.errors import InputError
from emoscope.core.schema import NOBODY
from emoscope.core.texts import FORMULA
from emoscope.core.timecode import Span, parse_span, parse_time
from emoscope.core.validation import suggest

PEOPLE_FILE: Final = "people.csv"
"""A person's own file in a result folder: it is read, and never replaced or removed."""
COLUMNS: Final = ("track_id", "name", "role", "exclude", "merged_with")
"""Those that a person fills in."""
SEEN: Final = ("first_s", "last_s", "observations")
"""Further ones of the template, by which people are told apart; the first also tells whether the file still fits."""
EVERYONE: Final = "everyone"
"""In track_id: a row of times that do not count for anybody."""
PARTICIPANT: Final = "participant"
ROLES: Final = (PARTICIPANT, "interviewer", "bystander")
"""What people are; all but participants count nowhere, unless `exclude` says no."""
EXPECTED: Final = f"expected a CSV file with the columns {', '.join(COLUMNS)}"
MAX_NAME: Final = 60
MAX_ID: Final = 2**53
TAKEN: Final = re.compile(r"person [0-9]+|everyone|events|shots|uncertain", re.IGNORECASE)
"""What reports and ELAN documents call something else."""


@dataclass(frozen=True)
class PersonRow:
    """One row."""

    where: str
    track_id: int
    """NOBODY for everyone."""
    name: str = ""
    role: str = ""
    exclude: bool | None = None
    spans: tuple[Span, ...] = ()
    merged_with: int | None = None
    first_s: float | None = None


def read_people_rows(path: Path) -> tuple[list[PersonRow], list[str]]:
    """Return the rows of a file that can be understood, and all that is wrong with the others.

    Raises:
        InputError: it is no such table.
    """
    table = read_csv_table(path, (*COLUMNS, *SEEN), EXPECTED)
    problems = [] if "track_id" in table.header else ["there is no column track_id"]
    if not set(COLUMNS[1:]) & set(table.header):
        problems.append(f"there is none of the columns {', '.join(COLUMNS[1:])}")
    rows = []
    for line, cells in table.rows if not problems else ():
        # With other separators, numbers may have a decimal comma.
        marks = {} if table.separator == "," else {ord(","): "."}
        texts = {key: cell if key in ("name", "role") else cell.translate(marks) for key, cell in cells.items()}
        try:
            rows.append(parse_person_row(f"line {line}", texts))
        except InputError as e:
            problems.append(f"line {line}: {e}")
    return rows, problems


def parse_person_row(where: str, cells: Mapping[str, str]) -> PersonRow:
    """Return a row; `where` is what messages call it.

    Raises:
        InputError: all that is wrong with it.
    """
    problems: list[str] = []
    cell = {name: cells.get(name, "").strip() for name in (*COLUMNS, *SEEN)}
    track_id = NOBODY if cell["track_id"].lower() == EVERYONE else _parse_id("track_id", cell["track_id"], problems)
    role = cell["role"].lower()
    if role and role not in ROLES:
        problems.append(f"there is no role {cell['role']!r}, {suggest(role, ROLES)}")
    exclude, spans = _parse_exclude(cell["exclude"], problems)
    merged_with = _parse_id("merged_with", cell["merged_with"], problems) if cell["merged_with"] else None
    first_s = None
    try:
        first_s = parse_time(cell["first_s"]) if cell["first_s"] else None
    except InputError as e:
        problems.append(f"first_s: {e}")
    if track_id == NOBODY:
        if cell["name"] or role or cell["merged_with"]:
            problems.append(f"{EVERYONE} has no name, no role and is merged with nobody")
        if exclude:
            problems.append(f"exclude of {EVERYONE} is yes, expected times, such as 0:12-0:20")
    problems += check_name(cell["name"])
    if problems:
        raise InputError(", ".join(problems))
    return PersonRow(where, track_id, cell["name"], role, exclude, spans, merged_with, first_s)


def check_name(name: str) -> list[str]:
    """Return what is wrong with a name."""
    problems = []
    if len(name) > MAX_NAME:
        problems.append(f"the name {name[:20]!r}... has {len(name)} letters, expected at most {MAX_NAME}")
    if name.startswith(FORMULA):
        problems.append(f"the name {name[:20]!r} begins as a spreadsheet's formula does, expected a letter or a number")
    if TAKEN.fullmatch(name):
        problems.append(f"the name {name!r} means something else in reports, expected another one")
    if not name.isprintable():
        problems.append(f"the name {name[:20]!r} has characters that cannot be printed")
    return problems


def _parse_id(column: str, text: str, problems: list[str]) -> int:
    if re.fullmatch(r"[0-9]{1,16}", text) and NOBODY < int(text) <= MAX_ID:
        return int(text)
    word = f" or {EVERYONE}" if column == "track_id" else ""
    problems.append(f"{column} is {text[:40]!r}, expected the number of a person{word}")
    return -1


def _parse_exclude(text: str, problems: list[str]) -> tuple[bool | None, tuple[Span, ...]]:
    """Return whether somebody is left out, and the times in which they are."""
    if text.lower() in ("yes", "no", ""):
        return {"yes": True, "no": False, "": None}[text.lower()], ()
    try:
        return None, tuple(parse_span(part) for part in text.split(";") if part.strip())
    except InputError as e:
        problems.append(f"exclude is {text[:40]!r}, expected yes, no or times such as 0:12-0:20; 1:05-1:10 ({e})")
        return None, ()


def write_people(rows: Iterable[Mapping[str, object]]) -> str:
    """Return the text of people.csv.

    Args:
        rows: cells by column; those of COLUMNS and SEEN are written, empty where there is none.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, (*COLUMNS, *SEEN), restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
