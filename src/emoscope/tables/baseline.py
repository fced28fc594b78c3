"""Baseline: the observations in, each person's own zero line out, or why there is none; and the changes against it.

A face at rest is read as sad or angry for some people; what moves against it tells more than what it is
(Baltrusaitis, Mahmoud and Robinson, Cross-dataset learning and person-specific normalisation for automatic
action unit detection, 2015). The probabilities themselves stay as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.files import open_atomic
from emoscope.core.schema import NOBODY
from emoscope.core.timecode import Baseline, Span
from emoscope.tables.columns import stack, to_arrow, to_numpy
from emoscope.tables.curation import compute_changes
from emoscope.tables.events import Event
from emoscope.tables.observations import BATCH_ROWS, Observations
from emoscope.tables.rows import GroupedSums, read_rows

MIN_OBSERVATIONS: Final = 5
"""People with fewer (in the time it is taken from, or at all) get no baseline."""
MIN_SEEN_S: Final = 2.0
"""With `auto`, people seen for less from first to last get none: an expression can last as long."""
MIN_REST: Final = 0.3
"""Probability of neutral from which on a face may be one at rest. On validation faces 0.25 and 0.3 part neutral from
sad alike, and best; the stricter one is taken, for a missing baseline is said and a wrong one is not:
results/rest.json."""
MIN_REST_SHARE: Final = 0.05
"""So much of what was seen of a person must be at rest: single frames of any expression are read as neutral."""
MIN_MEDIAN_SUM: Final = 0.5
"""Where the medians sum to less, the person has no face that they hold most of the time; their mean is taken."""
NEUTRAL: Final = "neutral"
_BINS: Final = 64
_PASSES: Final = 3
"""Each pass narrows the medians to one of 64 bins of the last: within 64^-3 = 4e-6."""
Faces = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]
"""Whose (m,), time_s (m,), probabilities (m, classes), whether within the time that the line is taken from (m,)."""
Read = Callable[[], Iterator[Faces]]
"""Reads all faces that are somebody's, as often as it is called."""


@dataclass(frozen=True)
class Baselines:
    """Zero lines of some people."""

    lines: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    """(classes,) summing to 1, by track_id."""
    refused: dict[int, str] = field(default_factory=dict)
    """Why others have none, as the end of a sentence."""


def compute_baselines(table: Observations, baseline: Baseline, events: Sequence[Event] = ()) -> Baselines:
    """Return each person's zero line, or why there is none.

    A span gives the mean of the probabilities in it, an event's name that of all events of this name. `auto` gives the
    median over those of the person's observations that are both in the half in which neutral is most probable and at
    rest, neutral being read with MIN_REST at least; it is divided by its sum so that changes against it sum to 0. Where
    less than MIN_REST_SHARE is at rest there is none: who cries throughout would become their own zero. The source
    takes the median of all, which makes a smile the resting face of who smiles most of the time. Observations that
    count as uncertain are used like all others.

    Args:
        table: the observations.
        baseline: what is asked for.
        events: the recording's marked segments.
    """
    return compute_shared_baselines([Take(table, events=events)], baseline)


@dataclass(frozen=True)
class Take:
    """One recording of several from which zero lines are taken."""

    table: Observations
    participants: Mapping[int, int] | None = None
    """Whose a track_id is: the participant's number from 1; others are left out. None: everyone has their track_id."""
    events: Sequence[Event] = ()
    """The recording's own."""


def compute_shared_baselines(takes: Sequence[Take], baseline: Baseline) -> Baselines:
    """Return each participant's zero line over all of their recordings, as compute_baselines() does over one.

    Args:
        takes: the recordings.
        baseline: what is asked for; a span is one of each recording.

    Returns:
        Lines and reasons, by the participant's number.
    """
    if baseline.kind == "off":
        return Baselines()
    classes = takes[0].table.classes if takes else ()
    if baseline.kind == "auto" and NEUTRAL in classes:
        return _compute_resting_faces(lambda: _read_takes(takes, baseline), classes.index(NEUTRAL))
    sums, people = GroupedSums(1 + len(classes)), set[int]()
    for whose, _, probabilities, is_inside in _read_takes(takes, baseline):
        people.update(np.unique(whose).tolist())
        sums.add(whose[is_inside], np.column_stack([np.ones(is_inside.sum()), probabilities[is_inside]]))
    if baseline.kind == "auto":
        return Baselines({}, dict.fromkeys(sorted(people), "cannot be seen at rest (the network has no neutral)"))
    return _describe_means(sums, people, baseline)


def _read_takes(takes: Sequence[Take], baseline: Baseline) -> Iterator[Faces]:
    """Yield all faces, one recording after the other in one time: first and last tell how long somebody was seen."""
    end_s = 0.0
    for take in takes:
        spans = _find_spans(baseline, take.events)
        shift_s: float | None = None
        for rows in read_rows(take.table):
            whose = rows.track_id
            if take.participants is not None:
                whose = np.array([take.participants.get(one, NOBODY) for one in whose.tolist()], np.int64)
            is_one = whose != NOBODY
            if not is_one.any():
                continue
            time_s = rows.time_s[is_one]
            is_inside = np.zeros(len(time_s), np.bool_)
            for span in spans:
                is_inside |= (time_s >= span.start_s) & (time_s < span.end_s)
            shift_s = end_s - float(time_s.min()) if shift_s is None else shift_s
            end_s = max(end_s, float(time_s.max()) + shift_s)
            yield whose[is_one], time_s + shift_s, rows.probabilities[is_one], is_inside


def _find_spans(baseline: Baseline, events: Sequence[Event]) -> tuple[Span, ...]:
    if baseline.span is not None:
        return (baseline.span,)
    return tuple(Span(event.start_s, event.end_s) for event in events if event.name == baseline.event)


def _describe_means(sums: GroupedSums, people: set[int], baseline: Baseline) -> Baselines:
    found = {int(one): row for one, row in zip(*sums.sort(), strict=True)}
    lines = {one: row[1:] / row[1:].sum() for one, row in found.items() if row[0] >= MIN_OBSERVATIONS}
    where = baseline.setting if baseline.event is None else f"the event {baseline.event!r}"

    def explain(n: int) -> str:
        return (
            f"was seen {n} times in {where}, expected {MIN_OBSERVATIONS} or more" if n else f"was not seen in {where}"
        )

    refused = {one: explain(int(found[one][0]) if one in found else 0) for one in sorted(people - {*lines, NOBODY})}
    return Baselines(lines, refused)


def _compute_resting_faces(read: Read, neutral: int) -> Baselines:
    """Return the medians of what is at rest in each person's more neutral half, divided by their sum."""
    ids, counts, refused = _find_steady_people(read)
    if len(ids) == 0:
        return Baselines({}, refused)
    nothing = np.zeros(len(ids))
    half_from = _compute_medians(read, neutral, ids, counts, nothing)[:, neutral]
    # The lower edge of the median's bin: the median itself belongs to the half.
    rest_from = np.maximum(half_from - _BINS**-_PASSES, MIN_REST)
    sums = GroupedSums(1 + _count_classes(read))
    for person, p in _read_known(read, neutral, ids, rest_from):
        sums.add(person, np.column_stack([np.ones(len(person)), p]))
    places, rows = sums.sort()
    found = np.zeros((len(ids), rows.shape[1]))
    found[places] = rows
    rest = found[:, 0].astype(np.int64)
    is_at_rest = rest >= np.maximum(MIN_OBSERVATIONS, np.ceil(MIN_REST_SHARE * counts))
    for one, n, n_all in zip(*(values[~is_at_rest].tolist() for values in (ids, rest, counts)), strict=True):
        refused[one] = (
            f"shows no rest (neutral is read with {100 * MIN_REST:.0f} % or more in {n} of {n_all} observations)"
        )
    ids, rest, rest_from, found = ids[is_at_rest], rest[is_at_rest], rest_from[is_at_rest], found[is_at_rest]
    if len(ids) == 0:
        return Baselines({}, dict(sorted(refused.items())))
    medians = _compute_medians(read, neutral, ids, rest, rest_from)
    total = medians.sum(axis=1, keepdims=True)
    means = found[:, 1:] / found[:, 1:].sum(axis=1, keepdims=True)
    values = np.where(total >= MIN_MEDIAN_SUM, medians / np.maximum(total, MIN_MEDIAN_SUM), means)
    return Baselines(dict(zip(ids.tolist(), values, strict=True)), dict(sorted(refused.items())))


def _count_classes(read: Read) -> int:
    return next((probabilities.shape[1] for _, _, probabilities, _ in read()), 0)


def _compute_medians(
    read: Read,
    neutral: int,
    ids: NDArray[np.int64],
    counts: NDArray[np.int64],
    neutral_from: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return medians (people, classes) of what is at least so neutral, of which there are `counts`."""
    # The lower one of the two middle values where the count is even.
    n_classes = _count_classes(read)
    rank = np.repeat(((counts - 1) // 2)[:, None], n_classes, axis=1)
    low = np.zeros((len(ids), n_classes))
    width = 1.0
    for _ in range(_PASSES):
        width /= _BINS
        histogram, below = _count(read, neutral, ids, neutral_from, low, width)
        reached = below[:, :, None] + np.cumsum(histogram, axis=2)
        low = low + (reached <= rank[:, :, None]).sum(axis=2) * width
    medians = low + width / 2
    # A median in the lowest bin is that of an emotion that never shows.
    medians[low == 0] = 0
    return medians


def _find_steady_people(read: Read) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[int, str]]:
    """Return ids (n,) of people seen often and long enough, number of observations (n,), and why others are not."""
    sums = GroupedSums(1)
    seen_s: dict[int, tuple[float, float]] = {}
    for whose, time_s, _, _ in read():
        sums.add(whose, np.ones((len(whose), 1)))
        for key in np.unique(whose).tolist():
            own = time_s[whose == key]
            first_s, last_s = seen_s.get(key, (np.inf, -np.inf))
            seen_s[key] = min(first_s, float(own.min())), max(last_s, float(own.max()))
    ids, found = sums.sort()
    length_s = np.array([seen_s[key][1] - seen_s[key][0] for key in ids.tolist()])
    is_steady = (found[:, 0] >= MIN_OBSERVATIONS) & (length_s >= MIN_SEEN_S)
    reason = f"was seen too shortly (expected {MIN_OBSERVATIONS} times within {MIN_SEEN_S:g} s or more)"
    return ids[is_steady], found[is_steady, 0].astype(np.int64), dict.fromkeys(ids[~is_steady].tolist(), reason)


def _read_known(
    read: Read, neutral: int, ids: NDArray[np.int64], neutral_from: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield place in `ids` (m,), probabilities (m, classes) of these people's observations that are so neutral."""
    for whose, _, probabilities, _ in read():
        person = np.minimum(np.searchsorted(ids, whose), len(ids) - 1)
        is_wanted = (ids[person] == whose) & (probabilities[:, neutral] >= neutral_from[person])
        yield person[is_wanted], probabilities[is_wanted]


def _count(
    read: Read,
    neutral: int,
    ids: NDArray[np.int64],
    neutral_from: NDArray[np.float64],
    low: NDArray[np.float64],
    width: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count each person's probabilities in bins of a width from `low` (people, classes) on.

    Returns:
        Counts (people, classes, bins) and how many lie below (people, classes).
    """
    n_classes = low.shape[1]
    histogram = np.zeros((len(ids), n_classes, _BINS), np.int64)
    below = np.zeros((len(ids), n_classes), np.int64)
    for person, p in _read_known(read, neutral, ids, neutral_from):
        # Bins are counted from 0 so that each pass agrees with the last on which bin a value lies in.
        position = np.floor(p / width).astype(np.int64) - np.rint(low[person] / width).astype(np.int64)
        cell = person[:, None] * n_classes + np.arange(n_classes)
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
    already are replaced; where a person has no baseline they are empty, and without any baseline they are left out.

    Raises:
        InputError: it is no file of observations.
        OutputError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = Observations(path)
    path = path.absolute()
    kept = [field for field in table.schema if field.name not in table.change_columns]
    added = [pa.field(name, pa.float64()) for name in table.change_columns] if baselines else []
    new = pa.schema([*kept, *added], table.schema.metadata)
    with open_atomic(path) as temporary, pq.ParquetWriter(temporary, new) as writer:
        for batch in table.batches([field.name for field in kept]):
            columns = list(batch.columns)
            if baselines:
                whose = to_numpy(batch["track_id"], NOBODY)
                columns += map(to_arrow, compute_changes(whose, stack(batch, table.probability_columns), baselines).T)
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=new), row_group_size=BATCH_ROWS)
