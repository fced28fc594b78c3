"""Segments: the observations in, each event's mood with intervals and its difference from the rest out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.tables.event_contrasts import By, EventContrast, PeopleIn, contrast_events
from emoscope.tables.events import Event
from emoscope.tables.inference import Estimate, Range, estimate_means
from emoscope.tables.rows import NOBODY, ByEmotion, GroupedSums, Rows, find_signs


def create_range(n_classes: int, of_change: bool = False) -> Range:
    """Return what probabilities and the valence index, or changes of them, can be, (n_classes + 1,) each."""
    least = np.array([0.0] * n_classes + [-1.0])
    return (least - 1, 1 - least) if of_change else (least, np.ones(len(least)))


@dataclass(frozen=True)
class Difference:
    """An event against the rest of the recording: each person in it less the same person outside all events."""

    people: int
    """Those seen in both."""
    mean_probabilities: ByEmotion[Estimate]
    valence: Estimate


@dataclass(frozen=True)
class SegmentMeans:
    """Numbers of marked time; every person counts the same, however long they were seen."""

    people: int
    observations: int
    mean_probabilities: ByEmotion[Estimate]
    valence: Estimate
    """The index: positive less negative, -1 to 1."""
    difference: Difference | None = None
    """null where nobody was seen both in the event and outside all events."""


@dataclass(frozen=True)
class EventMeans(SegmentMeans, Event):
    """An event's numbers."""


@dataclass(frozen=True)
class _Group:
    """Events that are counted together."""

    name: str
    by: By
    events: int
    """How many they are."""


@dataclass(frozen=True)
class EventGroup(SegmentMeans, _Group):
    """Numbers of events that share a name or a kind, taken together; where they overlap, time counts once."""


class EventNumbers(NamedTuple):
    """All that is computed of a recording's events."""

    events: tuple[EventMeans, ...]
    groups: tuple[EventGroup, ...]
    contrasts: tuple[EventContrast, ...]


def group_events(events: Sequence[Event]) -> tuple[tuple[_Group, tuple[int, ...]], ...]:
    """Return which events are counted together, by their indices: repeats of a name, and events of a kind."""
    found: dict[tuple[By, str], list[int]] = {}
    for i, event in enumerate(events):
        found.setdefault(("name", event.name), []).append(i)
    found = {key: indices for key, indices in found.items() if len(indices) > 1}
    for i, event in enumerate(events):
        if event.kind is not None:
            found.setdefault(("kind", event.kind), []).append(i)
    return tuple((_Group(name, by, len(indices)), tuple(indices)) for (by, name), indices in found.items())


def strip_events(means: Sequence[EventMeans]) -> tuple[Event, ...]:
    """Return a summary's events without their numbers."""
    return tuple(Event(e.name, e.start_s, e.end_s, kind=e.kind) for e in means)


class SegmentSums:
    """Sums up each person's probabilities within each event, in events together, and outside of all events."""

    def __init__(self, events: Sequence[Event], classes: tuple[str, ...] = EMOTIONS) -> None:
        self.events, self.classes = events, classes
        self.groups = group_events(events)
        self._inside = [GroupedSums(1 + len(classes)) for _ in events]
        self._together = [GroupedSums(1 + len(classes)) for _ in self.groups]
        self._outside = GroupedSums(1 + len(classes))

    def add(self, rows: Rows) -> None:
        """Take some rows; faces without a person's number do not count."""
        if not self.events or not len(rows.time_s):
            return
        is_person = rows.track_id != NOBODY
        is_outside = is_person.copy()
        values = np.column_stack([np.ones(len(is_person)), rows.probabilities])
        first_s, last_s = float(rows.time_s.min()), float(rows.time_s.max())
        masks: dict[int, NDArray[np.bool_]] = {}
        for i, (event, sums) in enumerate(zip(self.events, self._inside, strict=True)):
            if event.start_s > last_s or event.end_s <= first_s:
                continue
            is_inside = is_person & (rows.time_s >= event.start_s) & (rows.time_s < event.end_s)
            if is_inside.any():
                masks[i] = is_inside
                sums.add(rows.track_id[is_inside], values[is_inside])
                is_outside &= ~is_inside
        for (_, indices), sums in zip(self.groups, self._together, strict=True):
            if here := [masks[i] for i in indices if i in masks]:
                is_inside = np.logical_or.reduce(here)
                sums.add(rows.track_id[is_inside], values[is_inside])
        self._outside.add(rows.track_id[is_outside], values[is_outside])

    def finish(self) -> EventNumbers:
        """Return the numbers of each event, of events together, and of every two compared."""
        events = [
            EventMeans(**vars(event), **vars(self._describe(sums)))
            for event, sums in zip(self.events, self._inside, strict=True)
        ]
        groups = [
            EventGroup(**vars(group), **vars(self._describe(sums)))
            for (group, _), sums in zip(self.groups, self._together, strict=True)
        ]
        return EventNumbers(tuple(events), tuple(groups), contrast_events(list(self._list_people())))

    def _list_people(self) -> Iterator[PeopleIn]:
        """Yield what people showed by name, repeats together, then by kind."""
        by_name = dict(zip((event.name for event in self.events), self._inside, strict=True))
        for (group, _), sums in zip(self.groups, self._together, strict=True):
            if group.by == "name":
                by_name[group.name] = sums
        for name, sums in by_name.items():
            yield self._find_people(name, "name", sums)
        for (group, indices), sums in zip(self.groups, self._together, strict=True):
            # A kind whose segments all have one name would be told twice.
            if group.by == "kind" and len({self.events[i].name for i in indices}) > 1:
                yield self._find_people(group.name, "kind", sums)

    def _describe(self, sums: GroupedSums) -> SegmentMeans:
        ids_outside, outside = self._outside.sort()
        ids, inside = sums.sort()
        both, i, j = np.intersect1d(ids, ids_outside, assume_unique=True, return_indices=True)
        change = _compute_means(inside[i]) - _compute_means(outside[j])
        difference = Difference(len(both), *self._estimate(change, of_change=True)) if len(both) else None
        return SegmentMeans(len(ids), int(inside[:, 0].sum()), *self._estimate(_compute_means(inside)), difference)

    def _find_people(self, name: str, by: By, sums: GroupedSums) -> PeopleIn:
        ids, rows = sums.sort()
        return PeopleIn(name, by, ids, _compute_means(rows), self.classes)

    def _estimate(self, values: NDArray[np.float64], of_change: bool = False) -> tuple[dict[str, Estimate], Estimate]:
        """Return mean and interval of people's probabilities (people, classes), and of the valence index.

        Args:
            values: (people, classes)
            of_change: whether they are differences of probabilities.
        """
        range_ = create_range(len(self.classes), of_change)
        *emotions, valence = estimate_means(np.column_stack([values, values @ find_signs(self.classes)]), range_)
        return dict(zip(self.classes, emotions, strict=True)), valence


def _compute_means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each person's mean probabilities (people, classes) from their count and sums (people, 1 + classes)."""
    return np.asarray(sums[:, 1:] / sums[:, :1])
