"""Tables that people write: a CSV file of any spreadsheet in, its header and rows of text out."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emoscope.core.errors import InputError, shorten

MAX_BYTES: Final = 10_000_000


@dataclass(frozen=True)
class CsvTable:
    """A table as its writer meant it."""

    header: tuple[str, ...]
    """Names of columns, in small letters where they are among the known ones."""
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Of each row that is not blank: its line, and its cells by column."""
    separator: str
    """With semicolons and tabs, numbers may have a decimal comma."""


def read_csv_table(path: Path, known: Collection[str], expected: str) -> CsvTable:
    """Read a CSV file; columns are parted by commas, semicolons or tabs, text is UTF-8 or UTF-16 with its mark.

    Args:
        path: the file.
        known: columns that have a meaning, in small letters.
        expected: what messages say was expected.

    Raises:
        InputError: the file cannot be read as such a table, or a column stands twice.
    """
    text = _read_text(path, expected)
    first = text.lstrip().splitlines()[0].lower()
    # By the known columns first: a header of one column may hold any of these signs.
    separator = max(
        ",;\t", key=lambda sign: (sum(c.strip(' "') in known for c in first.split(sign)), first.count(sign))
    )
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as e:
        raise InputError(f"{path} cannot be read as CSV ({e}); {expected}") from e
    if not lines:
        raise InputError(f"{path} is empty; {expected}")
    header = tuple(_name(cell, known) for cell in lines[0][1])
    check_once(path, header, header)
    check_rows(path, header, lines[1:], separator)
    rows = [(line, {k: " ".join(v.split()) for k, v in zip(header, row, strict=False) if k}) for line, row in lines[1:]]
    return CsvTable(tuple(filter(None, header)), tuple(rows), separator)


def check_once(path: Path, header: Sequence[str], wanted: Iterable[str]) -> None:
    """Check that no column that is wanted stands twice: which one is meant, nobody knows.

    Raises:
        InputError: one does.
    """
    if twice := sorted({name for name in wanted if name and header.count(name) > 1}):
        raise InputError(f"{path} has two columns {shorten(', '.join(twice))}; keep one of each")


def check_rows(path: Path, header: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]], separator: str) -> None:
    """Check that no row has more cells than the header: all behind a separator too many would stand in a wrong column.

    Args:
        path: the file.
        header: its columns.
        rows: line and cells of each.
        separator: what parts its cells.

    Raises:
        InputError: one has.
    """
    for line, row in rows:
        if any(cell.strip() for cell in row[len(header) :]):
            numbers = "write 0.5 for 0,5, and " * (separator == ",")
            what = {",": "commas", ";": "semicolons"}.get(separator, "tabs")
            raise InputError(
                f"{path}: line {line} has {len(row)} cells, and the header {len(header)}; {numbers}put texts with "
                f"{what} in quotation marks"
            )


def _name(cell: str, known: Collection[str]) -> str:
    name = " ".join(cell.split())
    return name.lower() if name.lower() in known else name


def _read_text(path: Path, expected: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); {expected}") from e
    if len(data) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; {expected}")
    # Spreadsheets' "Unicode text" is UTF-16 with a byte order mark, their "CSV UTF-8" has one too.
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as e:
        raise InputError(f"{path} is no UTF-8 text; {expected}, saved as UTF-8") from e
    if "\0" in text or not text.strip():
        raise InputError(f"{path} is {'no text' if text.strip() else 'empty'}; {expected}")
    return text
