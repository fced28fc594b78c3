"""Summarizing: the observations table in, the Summary out, in one pass."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoscope.tables.attention import COLUMNS, Attention, AttentionSums
from emoscope.tables.audience import compute_valence
from emoscope.tables.curation import Curation
from emoscope.tables.event_means import EventMeans, SegmentSums
from emoscope.tables.events import Event, describe_outside, list_names, name_events
from emoscope.tables.moments import MomentFinder
from emoscope.tables.observations import Observations
from emoscope.tables.rows import (
    NOBODY,
    GroupedSums,
    Rows,
    count_readings,
    find_probabilities,
    find_shares,
    name_emotions,
    read_rows,
)
from emoscope.tables.summary import Audience, BeyondLimits, Curated, Facts, Person, Readings, Summary

MIN_FRAMES = 10
"""In a recording of fewer analysed frames, who is seen in one counts as a person."""
LATE_S = 0.5
"""By so much an event may reach beyond its recording: people round."""


def compute_summary(
    table: Observations,
    facts: Facts,
    events: Sequence[Event] = (),
    baselines: Mapping[int, NDArray[np.float64]] | None = None,
    refused: Mapping[int, str] | None = None,
) -> Summary:
    """Compute the summary in one pass; memory does not grow with the number of frames.

    Args:
        table: the observations of one source, opened by its facts.
        facts: what the table cannot tell.
        events: marked segments to compare; pictures have no time and none.
        baselines: each person's own zero line, (classes,), where there is one.
        refused: why others have none.
    """
    has_time = facts.kind != "pictures"
    events = events if has_time else ()
    classes = table.classes
    frames, people, moments = FrameCounts(), PeopleSums(classes), MomentFinder()
    segments = SegmentSums(events, classes)
    beyond, attention = BeyondSums(table.limits, classes), AttentionSums()
    for rows in read_rows(table, COLUMNS if table.has_attention else ()):
        frames.add(rows)
        beyond.add(rows)
        people.add(rows)
        segments.add(rows)
        if table.has_attention:
            attention.add(rows)
        if has_time:
            moments.add(rows)
    n_frames, n_with_face, people_max = frames.finish()
    numbers = segments.finish()
    everyone = people.sum_everyone()
    n_wanted = n_frames + facts.frames_unread
    attentions, of_everyone = attention.describe()
    described = people.describe(n_wanted, baselines or {}, attentions)
    if has_time and n_frames >= MIN_FRAMES:
        # Seen in one frame only: as likely a pattern on a wall; the table has it.
        described = tuple(person for person in described if person.frames > 1)
    described = tuple(_tell_more(person, table.people, refused or {}) for person in described)
    audience = Audience(
        **vars(describe_readings(everyone, classes)),
        valence=compute_valence(compute_means(everyone), classes),
        people_mean=float(everyone[0]) / n_frames if n_frames else 0.0,
        people_max=people_max,
    )
    return Summary(
        **vars(facts),
        frames=n_frames,
        faces=int(everyone[0]),
        beyond_limits=beyond.describe(everyone, table.exclude),
        people_count=len(described),
        coverage=n_with_face / n_wanted if n_wanted else 0.0,
        people=described,
        audience=audience,
        attention=of_everyone,
        moments=moments.finish(),
        events=numbers.events,
        event_groups=numbers.groups,
        event_contrasts=numbers.contrasts or None,
        events_message=describe_events(numbers.events, facts),
        curated=None if table.people is None else Curated(table.people.sha256, table.people.message),
    )


def _tell_more(person: Person, people: Curation | None, refused: Mapping[int, str]) -> Person:
    """Return a person with what people.csv says of them, and why they have no baseline."""
    one = person.track_id
    person = dataclasses.replace(person, no_baseline=refused.get(one))
    if people is None:
        return person
    members = people.find_members(one)
    merged = members if len(members) > 1 else None
    return dataclasses.replace(person, name=people.names.get(one), role=people.roles.get(one), merged=merged)


def describe_refused(summary: Summary) -> str | None:
    """Return in one line who has no baseline though one was asked for, and why; None where nobody is without."""
    reasons: dict[str, list[str]] = {}
    for person in summary.people:
        if person.no_baseline:
            reasons.setdefault(person.no_baseline, []).append(person.label)
    setting = summary.settings.baseline or "off"
    if setting != "off" and not summary.people:
        return f"nobody was seen who could have a baseline ({setting})"
    parts = [f"{list_names(names)} {reason}" for reason, names in reasons.items()]
    return f"no baseline ({setting}), so no changes: {list_names(parts)}" if parts else None


def describe_events(events: Sequence[EventMeans], facts: Facts) -> str | None:
    """Return in one line which events lie outside of what was read, and in which nobody was seen; None without any."""
    # The name alone: it also stands in the report, which is passed on.
    label, start_s = Path(facts.source).name, facts.settings.start_s or 0.0
    # What was not looked at since the analysis was stopped is said there.
    end_s = float("inf") if facts.reason == "stopped" else facts.duration_s
    outside = describe_outside(events, start_s, end_s, label, LATE_S)
    within = [e.start_s < end_s and e.end_s > start_s for e in events]
    names = [n for n, e, is_in in zip(name_events(events), events, within, strict=True) if is_in and not e.observations]
    empty = f"nobody was seen in {list_names(names)}" if names else None
    return "; ".join(part for part in (outside, empty) if part) or None


def compute_means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean probabilities (classes,) from the sums of Rows.readings (readings,); zeros where there are none."""
    return np.asarray(find_probabilities(sums) / max(sums[0], 1))


def describe_readings(sums: NDArray[np.float64], classes: Sequence[str]) -> Readings:
    """Return shares of the top emotions, mean probabilities and the share of uncertain observations.

    Args:
        sums: (readings,) of Rows.readings.
        classes: the table's.
    """
    n = max(sums[0], 1)
    shares = name_emotions(find_shares(sums) / n, classes)
    return Readings(shares, name_emotions(compute_means(sums), classes), float(sums[-1] / n))


class BeyondSums:
    """Sums up observations beyond what the model was measured to read, whether they count or not."""

    def __init__(self, limits: Iterable[str], classes: Sequence[str]) -> None:
        self._counts, self._classes = dict.fromkeys(limits, 0), classes
        self._sums = np.zeros(count_readings(classes))

    def add(self, rows: Rows) -> None:
        """Take some rows."""
        for name, n in zip(self._counts, rows.is_below.sum(axis=0).tolist(), strict=True):
            self._counts[name] += n
        if (is_beyond := rows.is_beyond).any():
            self._sums += rows.show(is_beyond).readings.sum(axis=0)

    def describe(self, counted: NDArray[np.float64], are_left_out: bool) -> BeyondLimits:
        """Return how many there are, and everyone's numbers with and without them.

        Args:
            counted: the sums (readings,) of the readings that count.
            are_left_out: whether these are not among them.
        """
        n = int(self._sums[0])
        if n == 0:
            return BeyondLimits(0, self._counts)
        others = counted if are_left_out else np.maximum(counted - self._sums, 0)
        without = describe_readings(others, self._classes) if others[0] else None
        return BeyondLimits(n, self._counts, describe_readings(others + self._sums, self._classes), without)


class FrameCounts:
    """Counts analysed frames, those with a face, and the most faces of one frame."""

    def __init__(self) -> None:
        # The last frame may go on in the next rows: its faces are counted when it is over.
        self._open_faces = 0
        self._n_frames = self._n_with_face = self._most = 0

    def add(self, rows: Rows) -> None:
        """Take some rows."""
        first = int(rows.frame_no[0])
        faces = np.bincount(rows.frame_no - first, weights=rows.is_face).astype(np.int64)
        if rows.is_first[0]:
            self._close([self._open_faces])
        else:
            faces[0] += self._open_faces
        self._close(faces[:-1].tolist())
        self._open_faces = int(faces[-1])
        self._n_frames = first + len(faces)

    def _close(self, faces: list[int]) -> None:
        self._n_with_face += sum(n > 0 for n in faces)
        self._most = max([self._most, *faces])

    def finish(self) -> tuple[int, int, int]:
        """Return the number of frames, of frames with a face, and the most faces of one frame."""
        self._close([self._open_faces])
        self._open_faces = 0
        return self._n_frames, self._n_with_face, self._most


class PeopleSums:
    """Sums up the readings of each person and remembers when they were seen."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._sums, self._classes = GroupedSums(count_readings(classes)), classes
        self._seen_s: dict[int, tuple[float, float]] = {}

    def add(self, rows: Rows) -> None:
        """Take some rows."""
        if len(rows.track_id) == 0:
            return
        self._sums.add(rows.track_id, rows.readings)
        track_ids, inverse = np.unique(rows.track_id, return_inverse=True)
        first, last = np.full(len(track_ids), np.inf), np.full(len(track_ids), -np.inf)
        np.minimum.at(first, inverse, rows.time_s)
        np.maximum.at(last, inverse, rows.time_s)
        for track_id, a, b in zip(track_ids.tolist(), first.tolist(), last.tolist(), strict=True):
            old = self._seen_s.get(track_id, (a, b))
            self._seen_s[track_id] = min(old[0], a), max(old[1], b)

    def sum_everyone(self) -> NDArray[np.float64]:
        """Return the sums of all readings (readings,), also of faces without a person's number."""
        return np.asarray(self._sums.sort()[1].sum(axis=0))

    def describe(
        self, n_frames: int, baselines: Mapping[int, NDArray[np.float64]], attentions: Mapping[int, Attention]
    ) -> tuple[Person, ...]:
        """Return the numbers of each person, in the order of their number."""
        people = []
        for track_id, sums in zip(*self._sums.sort(), strict=True):
            if track_id == NOBODY:
                continue
            readings = describe_readings(sums, self._classes)
            first_s, last_s = self._seen_s[int(track_id)]
            baseline = baselines.get(int(track_id))
            people.append(
                Person(
                    track_id=int(track_id),
                    first_s=first_s,
                    last_s=last_s,
                    frames=int(sums[0]),
                    coverage=float(sums[0]) / n_frames,
                    emotion=max(readings.shares, key=readings.shares.__getitem__),
                    **vars(readings),
                    baseline=None if baseline is None else name_emotions(np.asarray(baseline), self._classes),
                    attention=attentions.get(int(track_id)),
                )
            )
        return tuple(people)
