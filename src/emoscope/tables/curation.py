"""Who counts as whom: the rows as they were read in, the same rows as a person has put people in order out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.schema import CHANGE_, NOBODY, P_, find_classes, name_columns
from emoscope.core.timecode import Span
from emoscope.tables.columns import stack, to_arrow, to_mask, to_numpy

if TYPE_CHECKING:
    import pyarrow as pa

OF_A_FRAME: Final = ("source", "frame", "time_s", "shot")
"""Columns that speak of the frame; all others speak of a face."""
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Curation:
    """What a person has decided about the people of one recording, by the numbers that were read."""

    sha256: str = ""
    """Of the file that says so."""
    message: str = ""
    """In one line what was set aside; empty where nothing was."""
    merged: Mapping[int, int] = field(default_factory=dict)
    """Which number counts as which."""
    left_out: frozenset[int] = frozenset()
    """Those who count nowhere."""
    spans: Mapping[int, tuple[Span, ...]] = field(default_factory=dict)
    """Times that do not count, of one person or of everyone (NOBODY)."""
    names: Mapping[int, str] = field(default_factory=dict)
    """By the number that somebody counts as; so are the next ones."""
    roles: Mapping[int, str] = field(default_factory=dict)
    baselines: Mapping[int, NDArray[np.float64]] | None = None
    """Everyone's zero line (classes,), by which the columns change_* are told; None leaves them as they were read."""

    def find_members(self, track_id: int) -> tuple[int, ...]:
        """Return the numbers that count as this one, itself first."""
        return track_id, *sorted(own for own, other in self.merged.items() if other == track_id)

    def find_counted(self, track_id: Ids, time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say (n,) which faces count, by number and time (n,) as they were read."""
        counts = ~np.isin(track_id, list(self.left_out))
        for own, spans in self.spans.items():
            is_own = np.True_ if own == NOBODY else track_id == own
            for span in spans:
                counts &= ~(is_own & (time_s >= span.start_s) & (time_s < span.end_s))
        return counts

    def rename(self, track_id: Ids) -> Ids:
        """Return the numbers (n,) that numbers as they were read (n,) count as."""
        new = track_id.copy()
        for own, other in self.merged.items():
            new[track_id == own] = other
        return new

    def find_needed(self, columns: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
        """Return which columns apply() needs beside some that are wanted, of a table with these classes."""
        told = name_columns(CHANGE_, classes)
        is_told = self.baselines is not None and any(name in told for name in columns)
        return "time_s", "track_id", *(name_columns(P_, classes) if is_told else ())

    def apply(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """Return the rows of a batch; a face that does not count is a row without a face."""
        import pyarrow as pa
        import pyarrow.compute as pc

        read = to_numpy(batch["track_id"], NOBODY)
        counts = self.find_counted(read, to_numpy(batch["time_s"]))
        new = self.rename(read)
        columns = {name: batch[name] for name in batch.schema.names}
        columns["track_id"] = to_arrow(np.where(new == NOBODY, np.nan, new)).cast(pa.int64())
        classes = find_classes(batch.schema.names)
        all_changes = name_columns(CHANGE_, classes)
        told = [name for name in all_changes if name in columns]
        if self.baselines is not None and told:
            changes = compute_changes(new, stack(batch, name_columns(P_, classes)), self.baselines)
            columns |= {name: to_arrow(changes[:, all_changes.index(name)]) for name in told}
        if not counts.all():
            mask = to_mask(counts)
            for name in columns.keys() - set(OF_A_FRAME):
                columns[name] = pc.if_else(mask, columns[name], pa.scalar(None, columns[name].type))
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def compute_changes(
    track_id: Ids, probabilities: NDArray[np.float64], baselines: Mapping[int, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return (n, classes) by how much probabilities differ from each person's zero line; NaN where there is none."""
    n_classes = probabilities.shape[1]
    nothing = np.full(n_classes, np.nan)
    own = np.array([baselines.get(one, nothing) for one in track_id.tolist()]).reshape(-1, n_classes)
    return np.asarray(probabilities - own)
