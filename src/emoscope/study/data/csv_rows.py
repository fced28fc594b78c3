"""Read FER2013's CSV forms row by row: an open file in, a Dataset out; every bad row is named by its number."""

import contextlib
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.study.data.collector import Collector
from emoscope.study.data.dataset import SIDE_PX, USAGES, Dataset

MAX_LINE = 1 << 16
"""Bytes; a row of 2,304 pixels takes at most 9.3 kB, so a longer line is no row and is not read into memory."""

MAX_IMAGES = 2_000_000
"""No set of faces is larger; what a packed file may unpack to is bounded by it."""

FAULTS = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""What opening and reading a damaged or forbidden file, zip or npz may raise."""


USAGE_WORDS = {
    **dict.fromkeys((b"train", b"training"), "Training"),
    **dict.fromkeys((b"val", b"valid", b"validation"), "PublicTest"),
    b"test": "Test",
}
"""Other words for parts, as copies have them."""


def show(value: object) -> str:
    """Return text that fits in a one-line message, whatever a file's name or cell holds."""
    text = " ".join(str(value).split()).encode("utf-8", "backslashreplace").decode()
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 300 else f"{text[:140]}...{text[-140:]}"


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what reading a damaged or forbidden file raises into an InputError."""
    try:
        yield
    except FAULTS as e:
        reason = show(getattr(e, "strerror", None) or e) or type(e).__name__
        raise InputError(
            f"cannot read {name} ({reason}); fetch or pack it again, and check that you may read it"
        ) from e


def _read_lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line) of the lines that are not blank; never holds more than one."""
    number = 0
    while True:
        with reading(name):
            line = file.readline(MAX_LINE)
        if not line:
            return
        number += 1
        if len(line) == MAX_LINE:
            raise InputError(
                f"{name} has a line {number} of more than {MAX_LINE:,} bytes, which is no row of 2,304 pixels; "
                "give a CSV like fer2013.csv"
            )
        if line := line.strip():
            yield number, line


def _split_cells(line: bytes) -> list[bytes]:
    # No cell of this form holds a comma or a line break, so a stray quote cannot swallow the rows after it.
    cells = [cell.strip() for cell in line.split(b",")]
    return [c[1:-1].strip() if len(c) > 1 and c.startswith(b'"') and c.endswith(b'"') else c for c in cells]


def _find_columns(header: bytes, name: str) -> tuple[int, int, int | None, int]:
    """Return the positions of emotion, pixels and usage, and the number of columns."""
    names = [cell.decode("utf-8", "replace").lower() for cell in _split_cells(header.removeprefix(b"\xef\xbb\xbf"))]
    if names.count("emotion") != 1 or names.count("pixels") != 1 or names.count("usage") > 1:
        found = ", ".join(names[:8])
        raise InputError(
            f"{name} has no columns emotion and pixels, each once (its first line is: {show(found)[:80]}); "
            "give a CSV like fer2013.csv, with the header emotion,pixels,Usage"
        )
    usage = names.index("usage") if "usage" in names else None
    return names.index("emotion"), names.index("pixels"), usage, len(names)


def import_csv(file: BinaryIO, name: str, collector: Collector | None = None) -> Dataset:
    """Read `emotion,pixels,Usage`: columns by name, in any order; Usage may be absent.

    Args:
        file: opened for bytes.
        name: of the file, for messages.
        collector: what its labels mean, and who is who; None: numbers as FER2013 has them, or words, and nobody.

    Raises:
        InputError: names the row that is wrong, counted from 1 after the header; mend it.
    """
    lines, collector = _read_lines(file, name), Collector() if collector is None else collector
    labels = collector.labels
    _, header = next(lines, (0, b""))
    at_emotion, at_pixels, at_usage, n_columns = _find_columns(header, name)
    names = [show(cell.decode("utf-8", "replace")) for cell in _split_cells(header.removeprefix(b"\xef\xbb\xbf"))]
    column = collector.people.find_column(names, name)
    at_person = None if column is None else names.index(column)
    usages = {usage.encode(): usage for usage in USAGES if usage} | USAGE_WORDS
    for row, (number, line) in enumerate(lines, start=1):
        cells = _split_cells(line)
        image = None
        if len(cells) != n_columns:
            problem = f"has {len(cells)} columns, expected {n_columns} as in the header"
        elif at_usage is not None and cells[at_usage] not in usages:
            problem = f"has the usage {_show_cell(cells[at_usage])}, expected one of {', '.join(USAGES[:-1])}"
        elif (image := _parse_pixels(cells[at_pixels])) is None:
            problem = _explain_pixels(cells[at_pixels])
        if image is None:
            raise InputError(f"{name}: row {row} (line {number}) {problem}; mend this row or fetch the file again")
        label = labels.find(cells[at_emotion].decode("utf-8", "replace"), f"in row {row} (line {number})")
        if label is None:
            continue
        if len(collector) == MAX_IMAGES:
            raise InputError(f"{name} has more than {MAX_IMAGES:,} rows, which is no set of faces; give another file")
        usage = "" if at_usage is None else usages[cells[at_usage]]
        person = None if at_person is None else cells[at_person].decode("utf-8", "replace")
        collector.add(image, label, usage, person, row - 1)
    labels.check(name)
    if not len(collector):
        raise InputError(f"{name} has a header and no rows, expected one row per image; fetch the file again")
    return collector.finish(name)


def _parse_pixels(cell: bytes) -> NDArray[np.uint8] | None:
    """Return (48, 48), or None when the cell does not hold exactly these."""
    # numpy's parser alone would take "12+3" for two numbers and stop silently at a letter.
    if not cell or cell.translate(None, b"0123456789 "):
        return None
    values = np.fromstring(cell, np.int64, sep=" ")
    if values.size != SIDE_PX * SIDE_PX or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(SIDE_PX, SIDE_PX)


def _explain_pixels(cell: bytes) -> str:
    words = cell.split()
    for i, word in enumerate(words, start=1):
        if not word.isdigit() or int(word[:20]) > 255:
            return f"has {_show_cell(word)} as pixel {i}, expected integers of 0..255"
    n_expected = SIDE_PX * SIDE_PX
    if len(words) != n_expected:
        return f"has {len(words):,} pixels, expected {n_expected:,} (48 x 48)"
    return "has pixels that are not separated by blanks"


def _show_cell(cell: bytes) -> str:
    return f"'{show(cell.decode('utf-8', 'replace'))[:30]}'"
