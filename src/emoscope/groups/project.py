"""A project: result folders in, what each participant showed in each moment of the stimulus out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.core.texts import name_some
from emoscope.groups.clock import Clock, create_clock, measure_length
from emoscope.groups.listening import Alignment
from emoscope.groups.measures import Measures
from emoscope.groups.participants import (
    FILE,
    Session,
    Start,
    create_sessions,
    is_template,
    join_problems,
    load_participants,
    write_template,
)
from emoscope.groups.people import People, Segments, find_segments, read_people
from emoscope.groups.placing import Placed, Source, place_sessions
from emoscope.groups.recordings import Recording, load_recordings
from emoscope.tables.events import Event

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """One person of one recording, on the stimulus's clock."""

    recording: Recording
    participant: str
    person: int
    start_s: float
    start_by: Source
    certainty: float | None
    """Of alignment by sound."""
    factors: Mapping[str, str]
    people: People
    """Everybody in the recording."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The network's."""
        return self.recording.table.classes

    @cached_property
    def sums(self) -> Floats:
        """(n_bins, readings) sums of this person's readings in each bin."""
        return self.people.sums[self.person].astype(np.float64)

    @property
    def frames(self) -> Floats:
        """(n_bins,) analysed frames."""
        return self.people.frames

    @property
    def total(self) -> Floats:
        """(readings,) sums over the stimulus."""
        return np.asarray(self.sums.sum(axis=0))

    def describe_segment(self, name: str) -> tuple[float, Floats] | None:
        """Return a segment's analysed frames and the sums of this person's readings; None where it is not."""
        return self.people.describe_segment(name, self.person)


@dataclass(frozen=True)
class Project:
    """Participants on one clock."""

    results: Path
    clock: Clock
    tracks: tuple[Track, ...]
    notes: tuple[str, ...] = ()
    stimulus: Path | None = None
    alignment: Alignment | None = None
    """What is known of the recordings' sound."""
    recordings: tuple[str, ...] = ()
    """All in the folder, also those that are left out."""
    names: tuple[str, ...] = field(init=False)
    """The participants, in the order of the table."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(dict.fromkeys(track.participant for track in self.tracks)))

    @cached_property
    def measures(self) -> Measures:
        """What is told of each participant; all recordings were read as the same classes."""
        return Measures(self.tracks[0].classes)

    @property
    def factors(self) -> dict[str, tuple[str, ...]]:
        """The values of each condition or group, in the order of the table."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for track in self.tracks:
            for key, value in track.factors.items():
                found[key][value] = None
        return {key: tuple(values) for key, values in found.items()}

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The names of all marked segments, in the order in which they begin."""
        first: dict[str, float] = {}
        for track in self.tracks:
            for name, spans in track.people.segments.items():
                begin = spans[0].start_s - track.start_s
                first[name] = min(begin, first.get(name, begin))
        return tuple(sorted(first, key=lambda name: (first[name], name)))

    @cached_property
    def curves(self) -> Floats:
        """(participants, n_bins, measures); NaN where somebody was not seen."""
        return self.average_curves(self.tracks, self.names)

    @cached_property
    def valence(self) -> Floats:
        """(participants, n_bins) the valence index; NaN where somebody was not seen, or it is not known."""
        return self.measures.get_valence(self.curves)

    @cached_property
    def shown(self) -> Floats:
        """(participants, n_bins, classes) 1 for what was read most often, else 0; NaN where nobody was seen."""
        measures = self.measures
        shape = self.clock.n_bins, len(measures.classes)
        counts = average_people(self.tracks, self.names, lambda track: measures.compute_shares(track.sums), shape)
        is_seen = np.isfinite(counts[..., 0])
        top = np.where(is_seen, np.nan_to_num(counts).argmax(axis=-1), -1)
        return np.where(is_seen[..., None], (top[..., None] == np.arange(shape[1])).astype(float), np.nan)

    def average(self, tracks: Sequence[Track], names: Sequence[str]) -> Floats:
        """Return each participant's means over the stimulus (participants, measures)."""
        measures = self.measures
        return average_people(tracks, names, lambda track: measures.compute(track.total), (len(measures.names),))

    def average_curves(self, tracks: Sequence[Track], names: Sequence[str]) -> Floats:
        """Return each participant's measures over time (participants, n_bins, measures)."""
        measures = self.measures
        shape = self.clock.n_bins, len(measures.names)
        return average_people(tracks, names, lambda track: measures.compute(track.sums), shape)

    def average_segment(self, name: str) -> Floats:
        """Return each participant's means in a segment (participants, measures); NaN where not seen."""
        measures = self.measures

        def compute(track: Track) -> Floats:
            found = track.describe_segment(name)
            return np.full(len(measures.names), np.nan) if found is None else measures.compute(found[1])

        return average_people(self.tracks, self.names, compute, (len(measures.names),))


def average_people(
    tracks: Iterable[Track], names: Sequence[str], compute: Callable[[Track], Floats], shape: tuple[int, ...]
) -> Floats:
    """Return a value of each participant; several recordings of one count together as their mean.

    Args:
        tracks: of any participants.
        names: the participants that are wanted.
        compute: a track's value, an array of `shape`; NaN where there is none.
        shape: of one value.

    Returns:
        (participants, *shape)
    """
    place = {name: i for i, name in enumerate(names)}
    sums, counts = np.zeros((len(names), *shape)), np.zeros((len(names), *shape))
    for track in tracks:
        if (i := place.get(track.participant)) is not None:
            value = compute(track)
            sums[i] += np.nan_to_num(value)
            counts[i] += np.isfinite(value)
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


@dataclass(frozen=True)
class Wish:
    """How a project is to be put together."""

    by: Path | None = None
    """The table of participants; None: the one in the folder of results, if there is one."""
    start: Start | None = None
    """When the stimulus begins where the table does not say it: a time, or an event."""
    stimulus: Path | None = None
    """By its sound recordings are aligned where neither says it."""
    events: tuple[Event, ...] = ()
    """Segments of the stimulus, on its clock, for all recordings; they stand for those of the recordings."""


def load_project(results: Path, wish: Wish | None = None, kept: Alignment | None = None) -> Project:
    """Read what everybody showed from the tables of result folders.

    Args:
        results: the folder of result folders.
        wish: how they are to be put together.
        kept: what an earlier project heard.

    Raises:
        InputError: all that is wrong with the results, or with the table of participants, in one line.
    """
    wish = wish or Wish()
    recordings, notes = load_recordings(results)
    own = results / FILE
    # A template that nobody has filled in says nothing, not even which recordings there are.
    by = wish.by or (own if own.exists() and not is_template(own) else None)
    if wish.by is not None and not wish.by.exists():
        write_template(wish.by, list(recordings))
        raise InputError(f"there was no {wish.by}; a template is there now: fill it in, and run the command again")
    if by is None:
        sessions = create_sessions(recordings)
    else:
        sessions, more = load_participants(by, {r.name: r.summary.source for r in recordings.values()})
        notes += more
    stimulus_s = measure_length(wish.stimulus) if wish.stimulus else None
    places = place_sessions(sessions, recordings, by or own, wish.start, wish.stimulus, kept)
    placed, alignment = places.placed, places.alignment
    clock = create_clock([p.recording for p in placed], [p.start_s for p in placed], stimulus_s)
    reader = _Reader(clock, wish, by or own)
    tracks = reader.read(placed)
    notes += [*places.notes, *reader.find_notes()]
    return Project(results, clock, tuple(tracks), tuple(notes), wish.stimulus, alignment, tuple(recordings))


class _Reader:
    """Reads sessions; each recording once."""

    def __init__(self, clock: Clock, wish: Wish, by: Path) -> None:
        self.clock, self.wish, self.by = clock, wish, by
        self.problems: list[str] = []
        self.chosen: list[str] = []
        self.unseen: list[str] = []

    def read(self, placed: Sequence[Placed]) -> list[Track]:
        """Return all tracks in the order of the sessions.

        Raises:
            InputError: a person who was asked for is not there, or nobody was seen at all.
        """
        by_recording: dict[tuple[str, float], list[int]] = {}
        for i, one in enumerate(placed):
            by_recording.setdefault((one.recording.name, one.start_s), []).append(i)
        found: dict[int, list[Track]] = {}
        for (_, start_s), numbers in by_recording.items():
            recording = placed[numbers[0]].recording
            people = read_people(recording, start_s, self.clock, self._find_segments(recording, start_s))
            for i in numbers:
                found[i] = list(self._create_tracks(placed[i], people))
        if self.problems:
            raise InputError(f"{join_problems(self.problems)}; correct the column person of {self.by}")
        tracks = [track for i in sorted(found) for track in found[i]]
        if not tracks:
            raise InputError("no person was seen in any of the recordings; there is nothing to put together")
        return tracks

    def _create_tracks(self, placed: Placed, people: People) -> Iterator[Track]:
        session = placed.session
        for person in self._choose(session, people):
            name = f"{session.participant}/{person}" if session.is_everybody else session.participant
            own = replace(people, sums={person: people.sums[person]})
            start = placed.start_s, placed.start_by, placed.certainty
            yield Track(placed.recording, name, person, *start, session.factors, own)

    def _find_segments(self, recording: Recording, start_s: float) -> Segments:
        if self.wish.events:
            shifted = [replace(e, start_s=e.start_s + start_s, end_s=e.end_s + start_s) for e in self.wish.events]
            return find_segments(shifted)
        return find_segments(recording.summary.events)

    def _choose(self, session: Session, people: People) -> list[int]:
        counts = {person: float(sums[:, 0].sum()) for person, sums in people.sums.items()}
        if session.person is not None and session.person not in counts:
            self.problems.append(
                f"{session.recording} has no person {session.person} while the stimulus runs "
                f"(there {'is' if len(counts) == 1 else 'are'} {name_some([str(p) for p in counts], 8) or 'none'})"
            )
            return []
        if session.person is not None:
            return [session.person]
        if not counts:
            self.unseen.append(session.recording)
        if session.is_everybody or not counts:
            return list(counts)
        best = max(counts, key=lambda person: (counts[person], -person))
        if len(counts) > 1:
            self.chosen.append(f"{session.recording}: person {best} of {len(counts)}")
        return [best]

    def find_notes(self) -> Iterator[str]:
        """Yield what was decided on the way."""
        if self.chosen:
            yield (
                f"of several people the one seen most is the participant, the others are set aside "
                f"({name_some(self.chosen)}); the column person of {self.by} names another, or all"
            )
        if self.unseen:
            are = "is" if len(self.unseen) == 1 else "are"
            yield f"nobody was seen in {name_some(self.unseen)}, which {are} left out"
