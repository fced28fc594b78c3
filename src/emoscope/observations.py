"""Observations: FrameResults in, the observations table out; one row per face and frame, one for a frame without."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from emoscope.emotions import EMOTIONS
from emoscope.errors import InputError
from emoscope.types import FrameResult

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SCHEMA_VERSION: Final = 2
"""Raised whenever a column changes; stored in the Parquet file's metadata and in summary.json."""

BOX: Final = ("x1", "y1", "x2", "y2")
PROBABILITIES: Final = tuple(f"p_{name}" for name in EMOTIONS)
SMOOTHED: Final = tuple(f"smooth_{name}" for name in EMOTIONS)
"""Columns that are there only where smoothing was asked for."""
CHANGES: Final = tuple(f"change_{name}" for name in EMOTIONS)
"""Columns that are there only where a baseline was asked for: p_* less the person's own baseline."""

COLUMNS: Final = {
    "source": "string",
    "frame": "int64",
    "time_s": "float64",
    "track_id": "int64",
    **dict.fromkeys((*BOX, "detection_score"), "float32"),
    **dict.fromkeys(PROBABILITIES, "float64"),
    "emotion": "string",
    "probability": "float64",
    "uncertain": "bool",
}
"""Column to Arrow type, in order; all but the first three are empty in a frame without a face."""

DTYPES: Final = {**COLUMNS, "track_id": "Int64", "uncertain": "boolean"}
"""Column to pandas dtype, in order."""

BATCH_ROWS: Final = 8192
"""Rows kept in memory before they go to disk; a row group of the file."""


def create_schema(with_smoothed: bool = False) -> "pa.Schema":
    """Return the table's Arrow schema, its version in the metadata."""
    import pyarrow as pa

    types = {**COLUMNS, **(dict.fromkeys(SMOOTHED, "float64") if with_smoothed else {})}
    fields = [pa.field(name, pa.type_for_alias(kind)) for name, kind in types.items()]
    return pa.schema(fields, {"emoscope_schema_version": str(SCHEMA_VERSION)})


class Observations:
    """The table, in a Parquet file or in memory; read in batches, so that its length does not matter."""

    def __init__(self, place: "Path | pa.Table") -> None:
        """Take a file or a table.

        Raises:
            InputError: the file is missing or no observations table.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.place = place
        try:
            schema = pq.read_schema(place) if isinstance(place, Path) else place.schema
        except (OSError, pa.ArrowException) as e:
            raise InputError(f"{place} is no table of observations ({e}); expected observations.parquet") from e
        version = (schema.metadata or {}).get(b"emoscope_schema_version", b"").decode()
        if version != str(SCHEMA_VERSION):
            raise InputError(
                f"the observations have schema version {version or 'none'}, expected {SCHEMA_VERSION}; "
                "analyse the source again"
            )
        self.columns: tuple[str, ...] = tuple(schema.names)

    @classmethod
    def from_pandas(cls, frame: "pd.DataFrame") -> Self:
        """Take a table in memory that has the columns of COLUMNS, and of SMOOTHED or none of them."""
        import pyarrow as pa

        schema = create_schema(SMOOTHED[0] in frame)
        return cls(pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False).cast(schema))

    @property
    def has_smoothed(self) -> bool:
        """Whether the columns smooth_* are there."""
        return SMOOTHED[0] in self.columns

    @property
    def has_changes(self) -> bool:
        """Whether the columns change_* are there."""
        return CHANGES[0] in self.columns

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[pa.RecordBatch]":
        """Yield the rows in their order, some thousand at a time, all columns or some."""
        import pyarrow.parquet as pq

        if isinstance(self.place, Path):
            # The file is closed when the last batch was taken or the iterator is dropped.
            with pq.ParquetFile(self.place) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=None if columns is None else list(columns))
        else:
            table = self.place if columns is None else self.place.select(list(columns))
            yield from table.to_batches(max_chunksize=BATCH_ROWS)

    def to_pandas(self) -> "pd.DataFrame":
        """Return the whole table, dtypes as in DTYPES."""
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(self.place) if isinstance(self.place, Path) else self.place
        nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
        return frame.astype({name: dtype for name, dtype in DTYPES.items() if name in frame})

    def write_csv(self, path: Path) -> None:
        """Write the table as comma-separated values."""
        import pyarrow.csv as pc

        writer: Any = None
        try:
            for batch in self.batches():
                writer = writer or pc.CSVWriter(path, batch.schema)
                writer.write_batch(batch)
        finally:
            if writer is not None:
                writer.close()


class ObservationsWriter:
    """Writes the table frame by frame into a Parquet file, a row group at a time; a context."""

    def __init__(self, path: Path, with_smoothed: bool = False, with_boxes: bool = True) -> None:
        """Open the file.

        Args:
            path: the Parquet file.
            with_smoothed: also write the smoothed probabilities of each face.
            with_boxes: False leaves the columns of the face box empty.
        """
        import pyarrow.parquet as pq

        self.schema = create_schema(with_smoothed)
        self.with_smoothed, self.with_boxes = with_smoothed, with_boxes
        self.writer = pq.ParquetWriter(path, self.schema)
        self.n_rows = 0
        self._clear()

    def _clear(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in self.schema.names}

    def __enter__(self) -> Self:
        return self

    def add(self, result: FrameResult) -> None:
        """Append one frame: a row per face, or one row with empty face columns."""
        n = len(result.faces)
        columns = self.columns
        for name, value in (("source", result.source), ("frame", result.index), ("time_s", result.time_s)):
            columns[name] += [value] * max(n, 1)
        self.n_rows += max(n, 1)
        if n == 0:
            for name in self.schema.names[3:]:
                columns[name].append(None)
        else:
            self._add_faces(result)
        if len(columns["frame"]) >= BATCH_ROWS:
            self._write()

    def _add_faces(self, result: FrameResult) -> None:
        faces, probabilities, n = result.faces, result.probabilities, len(result.faces)
        columns = self.columns
        columns["track_id"] += [None] * n if faces.track_id is None else faces.track_id.tolist()
        for i, name in enumerate(BOX):
            columns[name] += faces.xyxy[:, i].tolist() if self.with_boxes else [None] * n
        columns["detection_score"] += faces.score.tolist()
        for i, name in enumerate(PROBABILITIES):
            columns[name] += probabilities[:, i].tolist()
        columns["emotion"] += result.emotions
        columns["probability"] += probabilities.max(axis=1).tolist()
        columns["uncertain"] += result.uncertain.tolist()
        if self.with_smoothed:
            smoothed = probabilities if faces.smoothed is None else faces.smoothed
            for i, name in enumerate(SMOOTHED):
                columns[name] += smoothed[:, i].tolist()

    def _write(self) -> None:
        import pyarrow as pa

        if self.columns["frame"]:
            self.writer.write_batch(pa.RecordBatch.from_pydict(self.columns, self.schema))
            self._clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write()
        self.writer.close()


def create_observations(results: Iterable[FrameResult], path: Path) -> Observations:
    """Write the table of results into a Parquet file and return it."""
    results = list(results)
    with_smoothed = any(r.faces.smoothed is not None for r in results)
    with ObservationsWriter(path, with_smoothed) as writer:
        for result in results:
            writer.add(result)
    return Observations(path)
