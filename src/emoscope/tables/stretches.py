"""Stretches: the observations in, the times in which a person's emotion stays the same out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from emoscope.tables.observations import Observations
from emoscope.tables.rows import NOBODY, read_rows

MIN_STRETCH_S: Final = 0.3
"""Shorter ones are flicker: readings at the border of two emotions, blinks, faces missed for a frame."""
UNCERTAIN: Final = "uncertain"
"""Label where the network abstains."""


@dataclass
class Stretch:
    """A person's emotion over some time."""

    track_id: int
    label: str
    """An emotion, or UNCERTAIN."""
    start_s: float
    end_s: float
    """Time of the first analysed frame that is not part of it."""
    n: int = 1
    """Observations with this label."""
    total: float = 0.0
    """Sum of their probabilities."""

    @property
    def probability(self) -> float:
        """Mean probability of the label's emotion."""
        return self.total / self.n

    @property
    def length_s(self) -> float:
        """Duration."""
        return self.end_s - self.start_s

    def append(self, other: "Stretch") -> None:
        """Go on through another stretch; its readings count only if they say the same."""
        self.end_s = other.end_s
        if other.label == self.label:
            self.n += other.n
            self.total += other.total


class _Person:
    """Turns one person's readings into stretches without flicker."""

    def __init__(self) -> None:
        self.done: list[Stretch] = []
        self.current: Stretch | None = None
        self.frame_no = -1
        # Stretches too short to stand alone, each following the last.
        self._short: list[Stretch] = []

    def close(self) -> None:
        """End the current stretch."""
        stretch, self.current = self.current, None
        if stretch is None:
            return
        if stretch.length_s < MIN_STRETCH_S:
            self._short.append(stretch)
            if stretch.end_s - self._short[0].start_s >= MIN_STRETCH_S:
                self._pool()
            return
        if self._short:
            self._absorb(stretch)
        self._push(stretch)

    def leave(self) -> None:
        """End everything: the person is out of sight."""
        self.close()
        if self._short:
            if self._touches(self._short[0]):
                self._absorb_into_last()
            else:
                self._pool()

    def _touches(self, stretch: Stretch) -> bool:
        return bool(self.done) and self.done[-1].end_s == stretch.start_s

    def _absorb(self, following: Stretch) -> None:
        """Give flicker to the stretch before it, or where there is none to the one after it."""
        if self._touches(self._short[0]):
            self._absorb_into_last()
        else:
            following.start_s = self._short[0].start_s
            self._short = []

    def _absorb_into_last(self) -> None:
        for short in self._short:
            self.done[-1].append(short)
        self._short = []

    def _pool(self) -> None:
        """Make one stretch of flicker that lasts, named by what it is most of the time."""
        lengths_s: dict[str, float] = {}
        for short in self._short:
            lengths_s[short.label] = lengths_s.get(short.label, 0.0) + short.length_s
        label = max(lengths_s, key=lengths_s.__getitem__)
        own = [short for short in self._short if short.label == label]
        pooled = Stretch(own[0].track_id, label, self._short[0].start_s, self._short[-1].end_s, 0, 0.0)
        pooled.n, pooled.total = sum(s.n for s in own), sum(s.total for s in own)
        self._short = []
        self._push(pooled)

    def _push(self, stretch: Stretch) -> None:
        if self._touches(stretch) and self.done[-1].label == stretch.label:
            self.done[-1].append(stretch)
        else:
            self.done.append(stretch)


def find_stretches(table: Observations) -> list[Stretch]:
    """Return everybody's stretches, sorted by start and person.

    A face that is missed for less than MIN_STRETCH_S ends nothing. Memory is that of the stretches.
    """
    people: dict[int, _Person] = {}
    present: set[int] = set()
    frame_no, last_s, step_s = -1, 0.0, 0.0
    for is_first, time_s, track_id, label, probability in _read_readings(table):
        if is_first:
            _end_missing(people, present, frame_no, time_s)
            if frame_no >= 0:
                step_s = time_s - last_s
            frame_no, last_s = frame_no + 1, time_s
        if track_id == NOBODY:
            continue
        person = people.setdefault(track_id, _Person())
        _read_on(person, Stretch(track_id, label, time_s, time_s, 1, probability))
        person.frame_no = frame_no
        present.add(track_id)
    # The last frame lasts as long as the one before it.
    _end_missing(people, present, frame_no, last_s + max(step_s, 0.0))
    for person in people.values():
        person.leave()
    stretches = [stretch for person in people.values() for stretch in person.done if stretch.length_s > 0]
    return sorted(stretches, key=lambda stretch: (stretch.start_s, stretch.track_id))


def _end_missing(people: dict[int, _Person], present: set[int], frame_no: int, time_s: float) -> None:
    """Extend those seen in the last frame until now; end those who have been out of sight for longer than flicker."""
    for track_id in list(present):
        person = people[track_id]
        current = person.current
        # Time that runs backwards ends everything, too.
        if current is None or time_s < current.end_s:
            person.leave()
            present.discard(track_id)
        elif person.frame_no == frame_no:
            current.end_s = time_s
        elif time_s - current.end_s >= MIN_STRETCH_S:
            person.leave()
            present.discard(track_id)


def _read_on(person: _Person, reading: Stretch) -> None:
    current = person.current
    if current is None:
        person.current = reading
    elif current.label == reading.label:
        current.end_s = reading.start_s
        current.append(reading)
    else:
        current.end_s = reading.start_s
        person.close()
        person.current = reading


def _read_readings(table: Observations) -> Iterator[tuple[bool, float, int, str, float]]:
    """Yield whether a row begins a frame, time_s, track_id, label, probability; NOBODY without a face."""
    labels = np.array([*table.classes, UNCERTAIN])
    for rows in read_rows(table):
        names = labels[np.where(rows.is_uncertain, -1, rows.emotion)]
        faces = zip(rows.track_id.tolist(), names.tolist(), rows.probability.tolist(), strict=True)
        frames = zip(rows.is_first.tolist(), rows.frame_s.tolist(), rows.is_face.tolist(), strict=True)
        for is_first, time_s, is_face in frames:
            yield is_first, time_s, *(next(faces) if is_face else (NOBODY, "", 0.0))
