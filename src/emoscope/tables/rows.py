"""The table's one reader: the observations in, arrays of some thousand rows and sums per key out."""

from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, TypeVar

import numpy as np
from annotated_types import Predicate
from numpy.typing import NDArray

from emoscope.core.emotions import find_valence, list_class_problems
from emoscope.core.schema import NOBODY as NOBODY
from emoscope.core.schema import P_, name_columns
from emoscope.tables.columns import stack, to_mask, to_numpy
from emoscope.tables.observations import Observations

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
Emotion = Annotated[str, Predicate(lambda name: not list_class_problems([name, "another"]))]


EXPECTED: ContextVar[frozenset[str]] = ContextVar("classes", default=frozenset())
"""The classes of a file that is being read, so that all that lacks one of them is found at once."""


def _is_of_classes(values: dict[str, object]) -> bool:
    expected = EXPECTED.get()
    return set(values) == expected if expected else not list_class_problems(list(values))


ByEmotion = Annotated[dict[str, T], Predicate(_is_of_classes)]
"""A value of each class, by its name: of each of the seven emotions, unless the network has other classes."""


@cache
def find_signs(classes: tuple[str, ...]) -> NDArray[np.float64]:
    """Return (classes,): valence index = probabilities @ signs; NaN where a class has no valence that is known."""
    return np.array(find_valence(classes) or [np.nan] * len(classes), np.float64)


@dataclass(frozen=True)
class Rows:
    """Some thousand rows of the table in their order; the face columns hold only rows with a face."""

    frame_no: NDArray[np.int64]
    """(n,) analysed frames counted from 0 through all files of the source; rows of one frame follow each other."""
    frame_s: NDArray[np.float64]
    """(n,) time of each row."""
    is_first: NDArray[np.bool_]
    """(n,) whether the row is the first of its frame."""
    is_face: NDArray[np.bool_]
    """(n,) whether the row has a face that counts; the following arrays have m rows, those with one."""
    time_s: NDArray[np.float64]
    """(m,)"""
    track_id: NDArray[np.int64]
    """(m,) NOBODY where empty."""
    emotion: NDArray[np.int64]
    """(m,) index of the emotion that the face is read as."""
    probability: NDArray[np.float64]
    """(m,) its probability."""
    is_uncertain: NDArray[np.bool_]
    """(m,)"""
    probabilities: NDArray[np.float64]
    """(m, classes) p_*: what this one frame shows."""
    batch: "pa.RecordBatch"
    """All n rows, with the further columns that were asked for."""
    faces: "pa.RecordBatch"
    """The m rows of it with a face that counts."""
    is_below: NDArray[np.bool_]
    """(n, limits) whether a face is below each of the table's limits, counted or not."""
    classes: tuple[str, ...]
    """The table's."""

    @property
    def is_beyond(self) -> NDArray[np.bool_]:
        """(n,) whether the row has a face beyond what the model was measured to read."""
        return np.asarray(self.is_below.any(axis=1))

    def show(self, is_face: NDArray[np.bool_]) -> "Rows":
        """Return the same rows with other faces (n,)."""
        return _to_rows(self.batch, self.is_first, self.frame_no, is_face, self.is_below, self.classes)

    @property
    def readings(self) -> NDArray[np.float64]:
        """(m, readings): 1, one-hot emotion, probabilities, uncertain; their sums make every share and mean."""
        m = len(self.emotion)
        one_hot = np.zeros((m, len(self.classes)))
        one_hot[np.arange(m), self.emotion] = 1
        return np.column_stack([np.ones(m), one_hot, self.probabilities, self.is_uncertain])


def count_readings(classes: Sequence[str]) -> int:
    """Return the number of columns of Rows.readings."""
    return 2 + 2 * len(classes)


def find_shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is summed up of the one-hot emotions (..., classes) in sums of Rows.readings (..., readings)."""
    return sums[..., 1 : sums.shape[-1] // 2]


def find_probabilities(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is summed up of the probabilities (..., classes) in sums of Rows.readings (..., readings)."""
    return sums[..., sums.shape[-1] // 2 : -1]


def read_rows(table: Observations, more: Sequence[str] = ()) -> Iterator[Rows]:
    """Yield the whole table, some thousand rows at a time.

    Where the table leaves out what is below its limits, such a face is a row without a face.

    Args:
        table: the observations.
        more: further columns for `batch` and `faces`, beside those that Rows names.
    """
    columns = (
        "time_s",
        "track_id",
        *table.probability_columns,
        "emotion",
        "probability",
        "uncertain",
        *table.limits,
        *more,
    )
    for batch, is_first, frame_no in _read_frames(table, columns):
        is_below = find_below(batch, table.limits)
        is_face = to_numpy(batch["emotion"].is_valid())
        if table.exclude:
            is_face = is_face & ~is_below.any(axis=1)
        yield _to_rows(batch, is_first, frame_no, is_face, is_below, table.classes)


def find_below(batch: "pa.RecordBatch", limits: Mapping[str, float]) -> NDArray[np.bool_]:
    """Say (n, limits) which rows have a face below each limit."""
    # The table holds the measures as float32.
    below = [to_numpy(batch[name], np.nan) < np.float32(least) for name, least in limits.items()]
    return np.column_stack(below) if below else np.zeros((batch.num_rows, 0), np.bool_)


def count_frames(table: Observations) -> int:
    """Return the number of analysed frames."""
    return sum(int(is_first.sum()) for _, is_first, _ in _read_frames(table))


def _read_frames(
    table: Observations, more: Sequence[str] = ()
) -> "Iterator[tuple[pa.RecordBatch, NDArray[np.bool_], NDArray[np.int64]]]":
    """Yield batches with, of each row, whether it begins a frame and the frame's number among all analysed ones."""
    last: tuple[str, int] | None = None
    n_frames = 0
    for batch in table.batches(("source", "frame", *more)):
        if batch.num_rows == 0:
            continue
        is_first = _find_first(batch, last)
        frame_no = n_frames + np.cumsum(is_first) - 1
        n_frames = int(frame_no[-1]) + 1
        last = batch["source"][-1].as_py(), batch["frame"][-1].as_py()
        yield batch, is_first, frame_no


def _find_first(batch: "pa.RecordBatch", last: tuple[str, int] | None) -> NDArray[np.bool_]:
    """Return (n,) whether each row begins a frame: another number or another file than the row before."""
    n = batch.num_rows
    is_first = np.ones(n, np.bool_)
    number = to_numpy(batch["frame"])
    source = to_numpy(batch["source"].dictionary_encode().indices)
    is_first[1:] = (number[1:] != number[:-1]) | (source[1:] != source[:-1])
    is_first[0] = last is None or last != (batch["source"][0].as_py(), batch["frame"][0].as_py())
    return is_first


def _to_rows(
    batch: "pa.RecordBatch",
    is_first: NDArray[np.bool_],
    frame_no: NDArray[np.int64],
    is_face: NDArray[np.bool_],
    is_below: NDArray[np.bool_],
    classes: tuple[str, ...],
) -> Rows:
    faces = batch.filter(to_mask(is_face))
    emotion = faces["emotion"].dictionary_encode()
    to_index = np.array([classes.index(name) for name in emotion.dictionary.to_pylist()], np.int64)
    frame_s = to_numpy(batch["time_s"])
    return Rows(
        frame_no=frame_no,
        frame_s=frame_s,
        is_first=is_first,
        is_face=is_face,
        time_s=frame_s[is_face],
        track_id=to_numpy(faces["track_id"], NOBODY),
        emotion=to_index[to_numpy(emotion.indices)],
        probability=to_numpy(faces["probability"], np.nan),
        is_uncertain=to_numpy(faces["uncertain"], False),
        probabilities=stack(faces, name_columns(P_, classes)),
        batch=batch,
        faces=faces,
        is_below=is_below,
        classes=classes,
    )


def floor_seconds(time_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the whole second that each time lies in; stamps a little before 0 belong to the first."""
    # Damaged files have stamps beyond all integers.
    return np.clip(np.floor(time_s), 0, 2.0**53).astype(np.int64)


def sum_by(keys: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Sum rows of equal key.

    Args:
        keys: (n,)
        values: (n, k)

    Returns:
        The different keys (m,), ascending, and their sums (m, k).
    """
    unique, inverse = np.unique(keys, return_inverse=True)
    sums = np.empty((len(unique), values.shape[1]))
    for j in range(values.shape[1]):
        sums[:, j] = np.bincount(inverse, weights=values[:, j], minlength=len(unique))
    return unique, sums


class GroupedSums:
    """Sums of rows by key, for keys that turn up one by one; memory is that of the keys."""

    def __init__(self, n_columns: int) -> None:
        self._rows: dict[int, int] = {}
        self._sums = np.zeros((16, n_columns))

    def add(self, keys: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add rows: keys (n,), values (n, n_columns)."""
        unique, sums = sum_by(keys, values)
        rows = [self._rows.setdefault(key, len(self._rows)) for key in unique.tolist()]
        if len(self._rows) > len(self._sums):
            more = np.zeros((max(len(self._rows), 2 * len(self._sums)) - len(self._sums), self._sums.shape[1]))
            self._sums = np.concatenate([self._sums, more])
        self._sums[rows] += sums

    def sort(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return all keys (m,), ascending, and their sums (m, n_columns)."""
        keys = np.array(sorted(self._rows), np.int64)
        return keys, self._sums[[self._rows[key] for key in keys.tolist()]]


def name_emotions(values: NDArray[np.float64], classes: Sequence[str]) -> dict[str, float]:
    """Return (classes,) numbers by the name of their emotion."""
    return dict(zip(classes, values.tolist(), strict=True))
