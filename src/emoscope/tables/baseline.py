"""Baseline: the observations in, each person's own zero line and the changes against it out.

A face at rest is read as sad or angry for some people; what moves against it tells more than what it is
(Baltrusaitis, Mahmoud and Robinson, Cross-dataset learning and person-specific normalisation for automatic
action unit detection, 2015). The probabilities themselves stay as they are.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.files import open_atomic
from emoscope.core.schema import PROBABILITIES
from emoscope.core.timecode import Baseline, Span
from emoscope.tables.columns import stack, to_arrow, to_numpy
from emoscope.tables.observations import BATCH_ROWS, CHANGES, Observations
from emoscope.tables.rows import NOBODY, GroupedSums, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

MIN_OBSERVATIONS: Final = 5
"""People with fewer (in the span, or at all) get no baseline."""
MIN_SEEN_S: Final = 2.0
"""With `auto`, people seen for less from first to last get none: an expression can last as long."""
MIN_MEDIAN_SUM: Final = 0.5
"""Where the seven medians sum to less, the person has no face that they hold most of the time; their mean is taken."""
NEUTRAL: Final = EMOTIONS.index("neutral")
_BINS: Final = 64
_PASSES: Final = 3
"""Each pass narrows the medians to one of 64 bins of the last: within 64^-3 = 4e-6."""


def compute_baselines(table: Observations, baseline: Baseline) -> dict[int, NDArray[np.float64]]:
    """Return each person's zero line, (7,) summing to 1, by track_id; people with too few observations have none.

    A span gives the mean of the probabilities in it. `auto` gives the median over that half of the person's
    observations in which neutral is most probable, divided by its sum so that changes against it sum to 0. The source
    takes the median of all, which makes a smile the resting face of who smiles most of the time. Observations that
    count as uncertain are used like all others.
    """
    if baseline.kind == "off":
        return {}
    baselines = _compute_resting_faces(table) if baseline.span is None else _compute_span_means(table, baseline.span)
    if not baselines:
        log.warning("nobody was seen for long enough to have a baseline (%s); there are no changes", baseline.setting)
    return baselines


def _read_people(table: Observations) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
    """Yield track_id (m,), time_s (m,), probabilities (m, 7) of faces that are somebody's."""
    for rows in read_rows(table):
        is_person = rows.track_id != NOBODY
        if is_person.any():
            yield rows.track_id[is_person], rows.time_s[is_person], rows.probabilities[is_person]


def _compute_span_means(table: Observations, span: Span) -> dict[int, NDArray[np.float64]]:
    sums = GroupedSums(1 + len(EMOTIONS))
    for track_id, time_s, probabilities in _read_people(table):
        is_inside = (time_s >= span.start_s) & (time_s < span.end_s)
        sums.add(track_id[is_inside], np.column_stack([np.ones(is_inside.sum()), probabilities[is_inside]]))
    found = zip(*sums.sort(), strict=True)
    return {int(track_id): row[1:] / row[1:].sum() for track_id, row in found if row[0] >= MIN_OBSERVATIONS}


def _compute_resting_faces(table: Observations) -> dict[int, NDArray[np.float64]]:
    """Return the medians of each person's more neutral half, divided by their sum."""
    ids, counts, means = _find_steady_people(table)
    if len(ids) == 0:
        return {}
    neutral_from = _compute_medians(table, ids, counts, np.zeros(len(ids)))[:, NEUTRAL]
    # The lower edge of the median's bin: the median itself belongs to the half.
    neutral_from = np.maximum(neutral_from - _BINS**-_PASSES, 0)
    half = np.zeros(len(ids), np.int64)
    for person, _ in _read_known(table, ids, neutral_from):
        half += np.bincount(person, minlength=len(ids))
    medians = _compute_medians(table, ids, half, neutral_from)
    total = medians.sum(axis=1, keepdims=True)
    values = np.where(total >= MIN_MEDIAN_SUM, medians / np.maximum(total, MIN_MEDIAN_SUM), means)
    return dict(zip(ids.tolist(), values, strict=True))


def _compute_medians(
    table: Observations, ids: NDArray[np.int64], counts: NDArray[np.int64], neutral_from: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return medians (people, 7) of the observations that are at least so neutral, of which there are `counts`."""
    # The lower one of the two middle values where the count is even.
    rank = np.repeat(((counts - 1) // 2)[:, None], len(EMOTIONS), axis=1)
    low = np.zeros((len(ids), len(EMOTIONS)))
    width = 1.0
    for _ in range(_PASSES):
        width /= _BINS
        histogram, below = _count(table, ids, neutral_from, low, width)
        reached = below[:, :, None] + np.cumsum(histogram, axis=2)
        low = low + (reached <= rank[:, :, None]).sum(axis=2) * width
    medians = low + width / 2
    # A median in the lowest bin is that of an emotion that never shows.
    medians[low == 0] = 0
    return medians


def _find_steady_people(table: Observations) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return ids (n,) of people seen often and long enough, number of observations (n,), mean probabilities (n, 7)."""
    sums = GroupedSums(1 + len(EMOTIONS))
    seen_s: dict[int, tuple[float, float]] = {}
    for track_id, time_s, probabilities in _read_people(table):
        sums.add(track_id, np.column_stack([np.ones(len(track_id)), probabilities]))
        for key in np.unique(track_id).tolist():
            own = time_s[track_id == key]
            first_s, last_s = seen_s.get(key, (np.inf, -np.inf))
            seen_s[key] = min(first_s, float(own.min())), max(last_s, float(own.max()))
    ids, found = sums.sort()
    length_s = np.array([seen_s[key][1] - seen_s[key][0] for key in ids.tolist()])
    is_steady = (found[:, 0] >= MIN_OBSERVATIONS) & (length_s >= MIN_SEEN_S)
    found = found[is_steady]
    return ids[is_steady], found[:, 0].astype(np.int64), found[:, 1:] / found[:, 1:].sum(axis=1, keepdims=True)


def _read_known(
    table: Observations, ids: NDArray[np.int64], neutral_from: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield place in `ids` (m,) and probabilities (m, 7) of these people's observations that are so neutral."""
    for track_id, _, probabilities in _read_people(table):
        person = np.minimum(np.searchsorted(ids, track_id), len(ids) - 1)
        is_wanted = (ids[person] == track_id) & (probabilities[:, NEUTRAL] >= neutral_from[person])
        yield person[is_wanted], probabilities[is_wanted]


def _count(
    table: Observations,
    ids: NDArray[np.int64],
    neutral_from: NDArray[np.float64],
    low: NDArray[np.float64],
    width: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count each person's probabilities in bins of a width from `low` (people, 7) on.

    Returns:
        Counts (people, 7, bins) and how many lie below (people, 7).
    """
    histogram = np.zeros((len(ids), len(EMOTIONS), _BINS), np.int64)
    below = np.zeros((len(ids), len(EMOTIONS)), np.int64)
    for person, p in _read_known(table, ids, neutral_from):
        # Bins are counted from 0 so that each pass agrees with the last on which bin a value lies in.
        position = np.floor(p / width).astype(np.int64) - np.rint(low[person] / width).astype(np.int64)
        cell = person[:, None] * len(EMOTIONS) + np.arange(len(EMOTIONS))
        _add_counts(below, cell[position < 0])
        # The value 1 belongs to the last bin.
        position = np.where(p >= 1, np.minimum(position, _BINS - 1), position)
        is_inside = (position >= 0) & (position < _BINS)
        _add_counts(histogram, cell[is_inside] * _BINS + position[is_inside])
    return histogram, below


def _add_counts(counts: NDArray[np.int64], cells: NDArray[np.int64]) -> None:
    found, n = np.unique(cells, return_counts=True)
    counts.reshape(-1)[found] += n


def add_changes(path: Path, baselines: Mapping[int, NDArray[np.float64]]) -> None:
    """Write the columns change_* into a Parquet file of observations: p_* less the person's baseline.

    The file is written anew some thousand rows at a time and replaced when whole. Columns change_* that are there
    already are replaced; where a person has no baseline they are empty.

    Raises:
        InputError: it is no file of observations.
        OutputError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = Observations(path)
    path = path.absolute()
    schema = pq.read_schema(path)
    kept = [field for field in schema if field.name not in CHANGES]
    new = pa.schema([*kept, *(pa.field(name, pa.float64()) for name in CHANGES)], schema.metadata)
    with open_atomic(path) as temporary, pq.ParquetWriter(temporary, new) as writer:
        for batch in table.batches([field.name for field in kept]):
            columns = [*batch.columns, *_compute_changes(batch, baselines)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=new), row_group_size=BATCH_ROWS)


def _compute_changes(batch: "pa.RecordBatch", baselines: Mapping[int, NDArray[np.float64]]) -> "list[pa.Array]":
    track_ids = to_numpy(batch["track_id"], NOBODY)
    nothing = np.full(len(EMOTIONS), np.nan)
    own = np.array([baselines.get(track_id, nothing) for track_id in track_ids.tolist()]).reshape(-1, len(EMOTIONS))
    changes = stack(batch, PROBABILITIES) - own
    return [to_arrow(column) for column in changes.T]
