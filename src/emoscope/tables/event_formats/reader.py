"""Events files of any format: bytes in, entries out; the format is told by the content."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from emoscope.core.errors import InputError, shorten
from emoscope.tables.event_formats import boris, elan, tables, textgrid
from emoscope.tables.event_formats.entries import EXPECTED, Entries
from emoscope.tables.event_formats.mapping import EventColumns, parse_columns

MAX_BYTES: Final = 10_000_000
ELAN, TEXTGRID, JSON, TABLE = "an ELAN document", "a Praat TextGrid", "JSON", "a table"
ENDINGS: Final = {".eaf": ELAN, ".textgrid": TEXTGRID, ".boris": JSON, ".json": JSON, ".csv": TABLE, ".tsv": TABLE}
"""What a file is by its name; what it holds must agree."""


def read_entries(path: Path, columns: str | None = None, tiers: Sequence[str] = ()) -> Entries:
    """Read a file; see load_events().

    Raises:
        InputError: it is no events file, or what was said of its columns or tiers does not fit.
    """
    mapping = parse_columns(columns) if columns else None
    data = _read_bytes(path)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or data[:4] in (b"\xff\xfe<\0", b"\xfe\xff\0<"):
        _check(path, ELAN, mapping, tiers)
        return elan.read_eaf(path, data, tiers)
    if data.startswith(b"ooBinaryFile"):
        raise InputError(f"{path} is a binary file of Praat; save it there as a text file")
    text = decode(path, data)
    start = text.lstrip()
    if textgrid.is_text_grid(start):
        _check(path, TEXTGRID, mapping, tiers)
        return textgrid.read_text_grid(path, text, tiers)
    if start[0] in "{[":
        _check(path, JSON, mapping, tiers)
        return _read_json(path, start, mapping)
    _check(path, TABLE, mapping, tiers)
    return tables.read_table(path, text, mapping)


def _check(path: Path, found: str, mapping: EventColumns | None, tiers: Sequence[str]) -> None:
    expected = ENDINGS.get(path.suffix.lower(), found)
    if expected != found:
        raise InputError(f"{path} is called {path.suffix} but holds {found}, expected {expected}; rename or replace it")
    if tiers and found not in (ELAN, TEXTGRID):
        raise InputError(f"{path} is {found} and has no tiers; leave out --event-tiers")
    if mapping and found not in (JSON, TABLE):
        raise InputError(f"{path} is {found} and has no columns; leave out --event-columns")


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; {EXPECTED}")
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); {EXPECTED}") from e


def decode(path: Path, data: bytes) -> str:
    """Return the text of a file.

    Raises:
        InputError: it is none, or empty.
    """
    # Spreadsheets' "Unicode text" and Praat's files are UTF-16 with a byte order mark, "CSV UTF-8" has one too.
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


def _read_json(path: Path, text: str, mapping: EventColumns | None) -> Entries:
    try:
        values = json.loads(text)
    # Brackets within brackets end Python's reader in its own way.
    except (ValueError, RecursionError) as e:
        raise InputError(f"{path} cannot be read as JSON ({shorten(e)}); {EXPECTED}") from e
    if boris.is_project(values):
        if mapping:
            raise InputError(f"{path} is a project of BORIS and has no columns; leave out --event-columns")
        return boris.read_project(path, values)
    if isinstance(values, list) and values and all(isinstance(row, dict) for row in values):
        return tables.read_objects(path, values, mapping)
    raise InputError(f"{path} is JSON, but no list of trials and no project of BORIS; {EXPECTED}")
