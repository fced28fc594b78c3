"""Observations: FrameResults in, the observations table out; one row per face and frame, one for a frame without."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from emoscope.core.emotions import EMOTIONS, list_class_problems
from emoscope.core.errors import InputError, shorten
from emoscope.core.frame_result import FrameResult
from emoscope.core.schema import (
    BOX,
    CHANGE_,
    P_,
    QUALITY,
    SET_90,
    SMOOTH_,
    create_columns,
    create_extra,
    find_classes,
    name_columns,
    name_set,
    to_dtypes,
)
from emoscope.core.texts import make_cell
from emoscope.tables.columns import to_arrow, to_strings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from emoscope.tables.curation import Curation

SCHEMA_VERSION: Final = 5
"""Raised whenever a column changes; stored in the Parquet file's metadata and in summary.json."""
READABLE_VERSIONS: Final = (2, 3, 4, 5)
"""Before version 5 there is no column `shot`, before version 4 none of QUALITY. In version 2 `emotion`, `probability`
and `uncertain` speak of p_*, also where there are columns smooth_*."""

CLASSES_KEY: Final = b"emoscope_classes"
"""Of the file's metadata: the classes, where they are others than the seven."""
BATCH_ROWS: Final = 8192
"""Rows kept in memory before they go to disk; a row group of the file."""
MAX_S: Final = 1e7
"""No recording is longer; a page would draw an axis without end."""
FLUSH_S: Final = 2.0
"""So much of a stream is lost at most when the process is killed."""


def create_schema(extra: Sequence[str] = (), classes: tuple[str, ...] = EMOTIONS) -> "pa.Schema":
    """Return the table's Arrow schema with some of schema.create_extra(), its version in the metadata."""
    import pyarrow as pa

    known = create_extra(classes)
    types = create_columns(classes) | {name: known[name] for name in extra}
    fields = [pa.field(name, pa.type_for_alias(kind)) for name, kind in types.items()]
    metadata = {b"emoscope_schema_version": str(SCHEMA_VERSION).encode()}
    if classes != EMOTIONS:
        metadata[CLASSES_KEY] = " ".join(classes).encode()
    return pa.schema(fields, metadata)


class Observations:
    """The table, in a Parquet file or in memory; read in batches, so that its length does not matter."""

    def __init__(
        self,
        place: "Path | pa.Table",
        limits: Mapping[str, float] | None = None,
        exclude: bool = False,
        people: "Curation | None" = None,
    ) -> None:
        """Take a file or a table; where a summary belongs to it, `Facts.open_table` does, by the summary's rule.

        Args:
            place: the file or table.
            limits: smallest value of some measures of QUALITY that the model was measured to read.
            exclude: whether observations below a limit are left out of all that is counted. The table keeps them.
            people: who counts as whom and what counts nowhere; None for the table as it was read.

        Raises:
            InputError: the file is missing or no observations table.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Arrow takes a relative name with a colon for an address.
        self.place = place.absolute() if isinstance(place, Path) else place
        try:
            schema = pq.read_schema(self.place) if isinstance(self.place, Path) else self.place.schema
        except (OSError, pa.ArrowException) as e:
            raise InputError(f"{place} is no table of observations ({e}); expected observations.parquet") from e
        version = (schema.metadata or {}).get(b"emoscope_schema_version", b"").decode(errors="replace")
        if version not in map(str, READABLE_VERSIONS):
            raise InputError(
                f"the observations have schema version {version or 'none'}, expected {SCHEMA_VERSION}; "
                "analyse the source again"
            )
        self.schema = schema
        self.columns: tuple[str, ...] = tuple(schema.names)
        told = (schema.metadata or {}).get(CLASSES_KEY, b"").decode(errors="replace")
        self.classes = tuple(told.split()) or EMOTIONS
        """What the network told apart."""
        if list_class_problems(self.classes):
            raise InputError("the observations are damaged (their classes are none); analyse the source again")
        known = create_columns(self.classes)
        if missing := [name for name in known if name not in (*self.columns, *QUALITY)]:
            raise InputError(f"the observations lack the columns {', '.join(missing)}; analyse the source again")
        kinds = {name: pa.type_for_alias(kind) for name, kind in known.items() if name in self.columns}
        if wrong := [name for name, kind in kinds.items() if schema.field(name).type != kind]:
            raise InputError(
                f"the observations' columns {', '.join(wrong)} are of other types; analyse the source again"
            )
        self.reads_smoothed = self.has_smoothed and version != "2"
        """Whether `emotion`, `probability` and `uncertain` speak of smooth_*, not of p_*."""
        self.limits = {name: least for name, least in (limits or {}).items() if name in self.columns}
        """Those of measures that the table has."""
        self.exclude, self.people = exclude, people

    @classmethod
    def from_pandas(cls, frame: "pd.DataFrame") -> Self:
        """Take a table in memory that has the columns of schema.create_columns(), and maybe of create_extra()."""
        import pyarrow as pa

        classes = find_classes(list(frame.columns)) or EMOTIONS
        schema = create_schema([name for name in create_extra(classes) if name in frame], classes)
        return cls(pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False).cast(schema))

    @property
    def probability_columns(self) -> tuple[str, ...]:
        """Names of the columns p_*."""
        return name_columns(P_, self.classes)

    @property
    def smoothed_columns(self) -> tuple[str, ...]:
        """Names that the columns smooth_* have, where there are any."""
        return name_columns(SMOOTH_, self.classes)

    @property
    def change_columns(self) -> tuple[str, ...]:
        """Names that the columns change_* have, where there are any."""
        return name_columns(CHANGE_, self.classes)

    @property
    def has_smoothed(self) -> bool:
        """Whether the columns smooth_* are there."""
        return self.smoothed_columns[0] in self.columns

    @property
    def has_attention(self) -> bool:
        """Whether the columns of ATTENTION are there."""
        return "eyes_closed" in self.columns

    @property
    def has_changes(self) -> bool:
        """Whether the columns change_* are there."""
        return self.change_columns[0] in self.columns

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[pa.RecordBatch]":
        """Yield the rows in their order as people are curated, some thousand at a time, all columns or some."""
        if self.people is None:
            yield from self._read(columns)
            return
        wanted = list(self.columns if columns is None else columns)
        for batch in self._read(list(dict.fromkeys((*wanted, *self.people.find_needed(wanted, self.classes))))):
            yield self.people.apply(batch).select(wanted)

    def _read(self, columns: Sequence[str] | None) -> "Iterator[pa.RecordBatch]":
        import pyarrow.parquet as pq

        if isinstance(self.place, Path):
            # The file is closed when the last batch was taken or the iterator is dropped.
            with pq.ParquetFile(self.place) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=None if columns is None else list(columns))
        else:
            table = self.place if columns is None else self.place.select(list(columns))
            yield from table.to_batches(max_chunksize=BATCH_ROWS)

    def to_pandas(self) -> "pd.DataFrame":
        """Return the whole table, dtypes as in schema.ALL_DTYPES."""
        import pandas as pd
        import pyarrow as pa

        table = pa.Table.from_batches(list(self.batches()), self.schema)
        nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
        dtypes = to_dtypes(create_columns(self.classes) | create_extra(self.classes))
        return frame.astype({name: dtype for name, dtype in dtypes.items() if name in frame})

    def write_csv(self, path: Path) -> None:
        """Write the table as comma-separated values."""
        import pyarrow.csv as pc

        writer: pc.CSVWriter | None = None
        try:
            for batch in self.batches():
                places: dict[str, float] = {}
                indices = [places.setdefault(name, float(len(places))) for name in batch.column("source").to_pylist()]
                cells = to_strings([make_cell(name) for name in places], np.array(indices))
                batch = batch.set_column(batch.schema.get_field_index("source"), batch.schema.field("source"), cells)
                writer = writer or pc.CSVWriter(path.absolute(), batch.schema)
                writer.write_batch(batch)
        finally:
            if writer is not None:
                writer.close()


class ObservationsWriter:
    """Writes the table frame by frame into a Parquet file, a row group at a time; a context."""

    def __init__(
        self,
        path: Path,
        extra: Sequence[str] = (),
        with_boxes: bool = True,
        classes: tuple[str, ...] = EMOTIONS,
    ) -> None:
        """Open the file.

        Args:
            path: the Parquet file.
            extra: also write these of schema.create_extra().
            with_boxes: False leaves the columns of the face box empty.
            classes: what the network tells apart.

        Raises:
            OSError: the place cannot be written.
        """
        self.classes = classes
        self.names = (*create_columns(classes), *extra)
        self.extra, self.with_boxes = extra, with_boxes
        self.file = path.open("wb")
        self.n_rows = self.n_written = 0
        # As numbers: thousands of results with their small arrays would leave no large piece of memory free.
        self.rows = np.empty((BATCH_ROWS, len(self.names)))
        self.sources: dict[str, float] = {}

    @cached_property
    def writer(self) -> "pq.ParquetWriter | pa.RecordBatchStreamWriter":
        """What writes into the file; made for the first rows, as loading Arrow takes longer than most frames."""
        import pyarrow.parquet as pq

        return pq.ParquetWriter(self.file, create_schema(self.extra, self.classes))

    def __enter__(self) -> Self:
        return self

    def add(self, result: FrameResult) -> None:
        """Append one frame: a row per face, or one row with empty face columns."""
        n = max(len(result.faces), 1)
        if self.n_waiting + n > BATCH_ROWS and self.n_waiting:
            self._write()
        if n > len(self.rows):
            self.rows = np.empty((n, len(self.names)))
        rows = self.rows[self.n_waiting : self.n_waiting + n]
        source = self.sources.setdefault(result.source, float(len(self.sources)))
        place = source, result.index, result.time_s, result.shot
        rows[:, : len(place)] = place
        rows[:, len(place) :] = result.to_array(self.extra) if len(result.faces) else np.nan
        self.n_rows += n
        if self.n_waiting >= BATCH_ROWS:
            self._write()

    @property
    def n_waiting(self) -> int:
        """How many rows are in memory."""
        return self.n_rows - self.n_written

    def _write(self) -> None:
        import pyarrow as pa

        rows, schema = self.rows[: self.n_waiting], create_schema(self.extra, self.classes)
        if not self.with_boxes:
            rows[:, [self.names.index(name) for name in BOX]] = np.nan
        texts: dict[str, Sequence[str]] = {"source": list(self.sources), "emotion": self.classes}
        if SET_90 in self.names:
            bits = rows[:, self.names.index(SET_90)]
            known = np.unique(bits[np.isfinite(bits)])
            texts[SET_90] = [name_set(int(one), self.classes) for one in known.tolist()]
            bits[:] = np.where(np.isnan(bits), np.nan, np.searchsorted(known, bits))
        columns = [
            to_strings(texts[field.name], values) if field.name in texts else to_arrow(values)
            for field, values in zip(schema, rows.T, strict=True)
        ]
        arrays = [column.cast(field.type) for column, field in zip(columns, schema, strict=True)]
        self.writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        self.n_written = self.n_rows
        self.sources.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.file:
            if kind is None and self.n_waiting:
                self._write()
            self.writer.close()


class StreamWriter(ObservationsWriter):
    """Writes the table so that it can be read to its last batch however the process ends; see convert_stream()."""

    flushed_s = 0.0

    @cached_property
    def writer(self) -> "pa.RecordBatchStreamWriter":
        """What writes into the file."""
        import pyarrow as pa

        return pa.ipc.new_stream(self.file, create_schema(self.extra, self.classes))

    def add(self, result: FrameResult) -> None:
        """Append one frame."""
        super().add(result)
        if result.time_s - self.flushed_s >= FLUSH_S and self.n_waiting:
            self._write()
            self.flushed_s = result.time_s

    def _write(self) -> None:
        super()._write()
        self.file.flush()


def convert_stream(stream: Path, path: Path) -> None:
    """Write what a StreamWriter wrote, as far as it is whole, as Parquet.

    Raises:
        InputError: it is no such stream.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with (
            pa.ipc.open_stream(stream.absolute()) as reader,
            pq.ParquetWriter(path.absolute(), reader.schema) as writer,
        ):
            waiting: list[pa.RecordBatch] = []
            for batch in _read_whole(reader):
                waiting.append(batch)
                if sum(map(len, waiting)) >= BATCH_ROWS:
                    writer.write_table(pa.Table.from_batches(waiting))
                    waiting.clear()
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting))
    except (pa.ArrowException, OSError) as e:
        # Arrow's own have no number.
        if isinstance(e, OSError) and e.errno is not None:
            raise
        raise InputError(f"{stream} is damaged ({shorten(e)}); nothing of it can be read") from e


def _read_whole(reader: "pa.RecordBatchStreamReader") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    # The last batch may be half there.
    with contextlib.suppress(StopIteration, pa.ArrowException, OSError):
        while True:
            batch = reader.read_next_batch()
            batch.validate(full=True)
            yield batch
