"""Files that people open: a project's results in; CSV, a workbook, Parquet, a codebook, the methods and one zip out."""

import csv
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from emoscope.groups.contrasts import Results
from emoscope.groups.measures import Measures
from emoscope.groups.methods import list_references, write_methods
from emoscope.groups.project import Track
from emoscope.groups.sheets import Sheet, create_codebook, create_sheet, create_sheets

if TYPE_CHECKING:
    import pyarrow as pa

NAMES: Final = (
    *("project.zip", "participants.csv", "events.csv", "recordings.csv", "mean_curves.csv", "contrasts.csv"),
    *("stretches.csv", "codebook.csv", "participants.xlsx", "curves.parquet", "methods.txt"),
)
"""Everything that lies in the folder of tables; the first is written last."""
MAX_WIDTH: Final = 40
"""Letters of a column in the workbook."""


def write_tables(results: Results, folder: Path) -> None:
    """Write all tables of a project.

    Args:
        results: what was computed.
        folder: an empty folder.

    Raises:
        OSError: it cannot be written.
    """
    sheets, measures = create_sheets(results), results.project.measures
    about = "a row per participant, recording and bin of the stimulus's time (Parquet)"
    curves = create_sheet("curves", about, _name_curves(measures), (), measures.meanings)
    codebook = create_codebook([*sheets, curves])
    for sheet in (*sheets, codebook):
        write_csv(sheet, folder / f"{sheet.name}.csv")
    write_workbook([*sheets, codebook], folder / "participants.xlsx")
    write_curves(results.project.tracks, measures, results.project.clock.bin_s, folder / "curves.parquet")
    text = "\n\n".join([*write_methods(results), "References", *list_references(results)])
    (folder / "methods.txt").write_text(text + "\n", encoding="utf-8")
    with zipfile.ZipFile(folder / NAMES[0], "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES[1:]:
            # The same tables are the same file, whenever they were written.
            entry = zipfile.ZipInfo(f"project/{name}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (folder / name).read_bytes())


def write_csv(sheet: Sheet, path: Path) -> None:
    """Write a table as CSV in UTF-8; empty cells are missing values."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(sheet.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in sheet.rows)


def write_workbook(sheets: Iterable[Sheet], path: Path) -> None:
    """Write tables as the sheets of one workbook; headers stay in sight."""
    import xlsxwriter

    # What people call their participants is text, whatever it looks like.
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(path), {**options, "constant_memory": False}) as book:
        bold = book.add_format({"bold": True})
        for sheet in sheets:
            page = book.add_worksheet(sheet.name)
            page.freeze_panes(1, 1)
            page.write_row(0, 0, sheet.columns, bold)
            for i, row in enumerate(sheet.rows, 1):
                page.write_row(i, 0, row)
            for j, column in enumerate(sheet.columns):
                longest = max([len(column), *(len(str(row[j])) for row in sheet.rows[:200] if row[j] is not None)])
                page.set_column(j, j, min(longest + 1, MAX_WIDTH))


def _name_curves(measures: Measures) -> tuple[str, ...]:
    return "participant", "recording", "person", "time_s", "frames", "coverage", *measures.columns, "shows"


def write_curves(tracks: Sequence[Track], measures: Measures, bin_s: float, path: Path) -> None:
    """Write what each participant showed in each bin, one participant after the other, as Parquet."""
    import pyarrow.parquet as pq

    batches = (_create_batch(track, measures, bin_s) for track in tracks)
    first = next(batches)
    with pq.ParquetWriter(path, first.schema) as writer:
        for batch in _chain(first, batches):
            writer.write_batch(batch)


def _chain(first: "pa.RecordBatch", rest: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    yield first
    yield from rest


def _create_batch(track: Track, measures: Measures, bin_s: float) -> "pa.RecordBatch":
    import pyarrow as pa

    n = len(track.frames)
    curve, shares = measures.compute(track.sums), measures.compute_shares(track.sums)
    is_seen = np.isfinite(curve[:, -1])
    shown = np.where(is_seen, np.nan_to_num(shares).argmax(axis=1), 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        coverage = np.where(track.frames > 0, track.sums[:, 0] / track.frames, np.nan)
    columns = [
        pa.array([track.participant] * n, pa.string()),
        pa.array([track.recording.name] * n, pa.string()),
        pa.array(np.full(n, track.person)),
        pa.array(np.arange(n) * bin_s),
        pa.array(track.frames.astype(np.int64)),
        pa.array(coverage, from_pandas=True),
        *(pa.array(column, from_pandas=True) for column in curve.T),
        pa.array(np.array(measures.classes)[shown], mask=~is_seen),
    ]
    return pa.RecordBatch.from_arrays(columns, names=list(_name_curves(measures)))
