"""People put in order by a program: what is said of each in, people.csv and the result made anew out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emoscope.analysis.people_template import describe_seen, load_read
from emoscope.analysis.recorder import TABLE_FILE
from emoscope.analysis.result_folder import reading
from emoscope.analysis.revising import refresh
from emoscope.core.errors import InputError
from emoscope.core.files import open_atomic
from emoscope.core.schema import NOBODY
from emoscope.tables.people import curate
from emoscope.tables.people_file import (
    EVERYONE,
    PEOPLE_FILE,
    PersonRow,
    parse_person_row,
    read_people_rows,
    write_people,
)
from emoscope.tables.summary import Summary

Cells = Mapping[str, str]
"""What is said of a person, by the columns of people.csv; empty where nothing is."""
NOTHING: Final[Cells] = {"name": "", "role": "", "exclude": "", "merged_with": ""}


@dataclass(frozen=True)
class Said:
    """What a result's people.csv says."""

    read: Summary
    """With everyone as they were read."""
    people: dict[int, Cells]
    """By track_id, of those of whom something is said."""


def load_said(folder: Path) -> Said:
    """Return who was read in a result, and what its people.csv says of them.

    Raises:
        InputError: no result folder, a damaged one, or a file that is no people.csv.
    """
    path, read = folder / PEOPLE_FILE, load_read(folder)
    rows = read_people_rows(path)[0] if path.is_file() else []
    return Said(read, {row.track_id: _write_cells(row) for row in rows})


def save_said(folder: Path, people: Mapping[int, Cells]) -> Summary:
    """Write people.csv anew and bring the result up to date with it; an earlier one is replaced.

    Args:
        folder: the result.
        people: what is said, by track_id; NOBODY for everyone. Of whom nothing is said is as they were read.

    Returns:
        The summary, curated.

    Raises:
        InputError: all that is wrong with what is said; nothing is written.
        OutputError: it cannot be written.
    """
    read = load_read(folder)
    seen = {person.track_id: describe_seen(person) for person in read.people}
    ids = [*seen, *(one for one in people if one not in seen and one != NOBODY), NOBODY]
    rows = [
        {"track_id": EVERYONE if one == NOBODY else str(one), **seen.get(one, {}), **people.get(one, NOTHING)}
        for one in ids
    ]
    with reading(folder):
        curate(*_parse(rows), read.open_table(folder / TABLE_FILE))
    with open_atomic(folder / PEOPLE_FILE) as temporary:
        temporary.write_text(write_people(rows), encoding="utf-8")
    return refresh(folder)


def _parse(rows: Sequence[Mapping[str, object]]) -> tuple[list[PersonRow], list[str]]:
    """Return the rows that can be understood, and all that is wrong with the others."""
    found, problems = [], []
    for cells in rows:
        who = EVERYONE if cells["track_id"] == EVERYONE else f"person {cells['track_id']}"
        try:
            found.append(parse_person_row(who, {key: str(cell) for key, cell in cells.items()}))
        except InputError as e:
            problems.append(f"{who}: {e}")
    return found, problems


def _write_cells(row: PersonRow) -> Cells:
    exclude = {True: "yes", False: "no", None: ""}[row.exclude] or "; ".join(map(str, row.spans))
    merged_with = "" if row.merged_with is None else str(row.merged_with)
    return {"name": row.name, "role": row.role, "exclude": exclude, "merged_with": merged_with}
