"""The people of one recording: its table in, sums of their readings per bin of the stimulus's time out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emoscope.analysis.result_folder import reading
from emoscope.core.timecode import Span
from emoscope.groups.clock import Clock
from emoscope.groups.recordings import Recording
from emoscope.tables.columns import to_numpy
from emoscope.tables.events import Event
from emoscope.tables.rows import NOBODY, GroupedSums, Rows, count_readings, read_rows

Floats = NDArray[np.float64]
Segments = Mapping[str, tuple[Span, ...]]
"""Marked time by name, in the recording's seconds; repeats of one name and events of one kind count together."""


@dataclass(frozen=True)
class People:
    """Everybody in one recording, on the stimulus's clock."""

    frames: Floats
    """(n_bins,) analysed frames."""
    sums: Mapping[int, NDArray[np.float32]]
    """(n_bins, readings) sums of readings of each person, by track_id; only people who were seen."""
    set_aside: Mapping[int, int]
    """Observations of each person that do not count, while the stimulus runs."""
    segments: Segments
    segment_frames: Floats
    """(segments,) analysed frames in each."""
    segment_sums: Mapping[tuple[int, int], Floats]
    """(readings,) sums by number of the segment and person."""
    n_readings: int
    """Columns of all sums, see Rows.readings."""

    def describe_segment(self, name: str, person: int) -> tuple[float, Floats] | None:
        """Return a segment's analysed frames and the sums of a person's readings; None where there is none."""
        if name not in self.segments:
            return None
        number = list(self.segments).index(name)
        return float(self.segment_frames[number]), self.segment_sums.get((number, person), np.zeros(self.n_readings))


def find_segments(events: Iterable[Event]) -> Segments:
    """Return marked time by name, and by kind where that is another word."""
    found: dict[str, list[Span]] = {}
    for event in sorted(events, key=lambda event: event.start_s):
        for name in dict.fromkeys((event.name, event.kind or event.name)):
            found.setdefault(name, []).append(Span(event.start_s, event.end_s))
    return {name: tuple(spans) for name, spans in found.items()}


def read_people(recording: Recording, start_s: float, clock: Clock, segments: Segments) -> People:
    """Read a recording's table once.

    Args:
        recording: the result folder.
        start_s: the stimulus's beginning in it.
        clock: the bins.
        segments: marked time.

    Raises:
        InputError: the table is damaged.
    """
    sums = _Sums(start_s, clock, segments, count_readings(recording.table.classes))
    with reading(recording.folder):
        for rows in read_rows(recording.table):
            sums.add(rows)
    return sums.finish()


class _Sums:
    def __init__(self, start_s: float, clock: Clock, segments: Segments, n_readings: int) -> None:
        self.n_readings = n_readings
        self.start_s, self.clock, self.segments = start_s, clock, segments
        self.frames = np.zeros(clock.n_bins)
        self.by_bin, self.by_segment = GroupedSums(n_readings), GroupedSums(n_readings)
        self.set_aside = GroupedSums(1)
        self.segment_frames = np.zeros(len(segments))

    def add(self, rows: Rows) -> None:
        row_bins = self._find_bins(rows.frame_s)
        self.frames += np.bincount(row_bins[rows.is_first & (row_bins >= 0)], minlength=self.clock.n_bins)
        bins, readings = row_bins[rows.is_face], rows.readings
        is_person = (rows.track_id != NOBODY) & (bins >= 0)
        self.by_bin.add(rows.track_id[is_person] * self.clock.n_bins + bins[is_person], readings[is_person])
        track_id = to_numpy(rows.batch["track_id"], NOBODY)
        is_aside = ~rows.is_face & (track_id != NOBODY) & (row_bins >= 0)
        self.set_aside.add(track_id[is_aside], np.ones((int(is_aside.sum()), 1)))
        for number, spans in enumerate(self.segments.values()):
            self._add_segment(number, spans, rows, readings)

    def _find_bins(self, time_s: Floats) -> NDArray[np.int64]:
        """Return the bin of each time, -1 where the stimulus does not run."""
        bins = np.floor((time_s - self.start_s) / self.clock.bin_s + 1e-9)
        return np.where((bins >= 0) & (bins < self.clock.n_bins), bins, -1).astype(np.int64)

    def _add_segment(self, number: int, spans: Sequence[Span], rows: Rows, readings: Floats) -> None:
        is_in = _find_inside(rows.frame_s, spans)
        if is_in.any():
            self.segment_frames[number] += int((is_in & rows.is_first).sum())
            chosen = is_in[rows.is_face] & (rows.track_id != NOBODY)
            self.by_segment.add(rows.track_id[chosen] * len(self.segments) + number, readings[chosen])

    def finish(self) -> People:
        keys, sums = self.by_bin.sort()
        people: dict[int, NDArray[np.float32]] = {}
        for person in np.unique(keys // self.clock.n_bins).tolist():
            own = keys // self.clock.n_bins == person
            people[person] = np.zeros((self.clock.n_bins, self.n_readings), np.float32)
            people[person][keys[own] % self.clock.n_bins] = sums[own]
        keys, sums = self.by_segment.sort()
        n = max(len(self.segments), 1)
        by_segment = {(key % n, key // n): row for key, row in zip(keys.tolist(), sums, strict=True)}
        aside = {key: int(row[0]) for key, row in zip(*self.set_aside.sort(), strict=True)}
        return People(self.frames, people, aside, self.segments, self.segment_frames, by_segment, self.n_readings)


def _find_inside(time_s: Floats, spans: Sequence[Span]) -> NDArray[np.bool_]:
    is_in = np.zeros(len(time_s), np.bool_)
    for span in spans:
        is_in |= (time_s >= span.start_s) & (time_s < span.end_s)
    return is_in
