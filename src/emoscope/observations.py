"""Observations: FrameResults in, the observations table out; one row per face and frame, one for a frame without."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emoscope.emotions import EMOTIONS
from emoscope.types import FrameResult

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION: Final = 1
"""Raised whenever a column changes; stored in the Parquet file's metadata and in summary.json."""

DTYPES: Final = {
    "source": "string",
    "frame": "int64",
    "time_s": "float64",
    "track_id": "Int64",
    **dict.fromkeys(("x1", "y1", "x2", "y2", "detection_score"), "float32"),
    **{f"p_{name}": "float64" for name in EMOTIONS},
    "emotion": "string",
    "probability": "float64",
    "uncertain": "boolean",
}
"""Column to pandas dtype, in order."""


class ObservationsBuilder:
    """Collects columns frame by frame."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in DTYPES}

    def add(self, result: FrameResult) -> None:
        """Append one frame: a row per face, or one row with empty face columns."""
        n = len(result.faces)
        for name, value in (("source", result.source), ("frame", result.index), ("time_s", result.time_s)):
            self.columns[name] += [value] * max(n, 1)
        if n == 0:
            for name in list(DTYPES)[3:]:
                self.columns[name].append(None)
            return
        faces, probabilities = result.faces, result.probabilities
        ids = faces.track_id
        self.columns["track_id"] += [None] * n if ids is None else ids.tolist()
        for i, name in enumerate(("x1", "y1", "x2", "y2")):
            self.columns[name] += faces.xyxy[:, i].tolist()
        self.columns["detection_score"] += faces.score.tolist()
        for i, name in enumerate(EMOTIONS):
            self.columns[f"p_{name}"] += probabilities[:, i].tolist()
        self.columns["emotion"] += result.emotions
        self.columns["probability"] += probabilities.max(axis=1).tolist()
        self.columns["uncertain"] += result.uncertain.tolist()

    def build(self) -> "pd.DataFrame":
        """Return the table."""
        import pandas as pd

        # astype from objects: pandas' stubs know no dtype whose name is a variable.
        return pd.DataFrame(self.columns, dtype=object).astype(DTYPES)


def create_observations(results: Iterable[FrameResult]) -> "pd.DataFrame":
    """Return the table of results, dtypes as in DTYPES."""
    builder = ObservationsBuilder()
    for result in results:
        builder.add(result)
    return builder.build()


def write_parquet(observations: "pd.DataFrame", path: Path) -> None:
    """Write the table with the schema's version in the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(observations, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), b"emoscope_schema_version": str(SCHEMA_VERSION).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)
