"""Moments to explain: the observations and their summary in, a few faces with the frames they stand in out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.core.picture import load_picture
from emoscope.core.schema import BOX
from emoscope.core.types import Image
from emoscope.media.video import load_frames
from emoscope.tables.columns import stack
from emoscope.tables.moments import Moment as JointChange
from emoscope.tables.observations import Observations
from emoscope.tables.rows import NOBODY, Rows, read_rows

WINDOW_S = 1.0
"""So long after a moment of joint change the face that shows it best is looked for."""
NEUTRAL = "neutral"
TELLING = 2.0
"""Rank from which on an expression is neither neutral nor uncertain."""


@dataclass(frozen=True)
class Moment:
    """A face in a frame."""

    source: str
    frame: int
    time_s: float
    track_id: int
    xyxy: tuple[float, ...]
    emotion: int
    """Class index of what it is read as."""
    probability: float
    is_uncertain: bool
    rank: float = 0.0
    """How well it serves as an example, only for comparisons."""
    classes: tuple[str, ...] = EMOTIONS
    """What the network tells apart."""


def choose_moments(observations: Observations, changes: Sequence[JointChange], n: int = 12) -> list[Moment]:
    """Choose which faces to explain.

    These are, as long as n lasts: at each joint change (half of n at most) the face that shows best what
    rose; then each person's most probable expression that is neither neutral nor uncertain, those seen most first.
    Where nobody has one, the most probable face.

    Args:
        observations: of one source; read in batches.
        changes: the summary's moments.
        n: so many at most.

    Returns:
        Moments in the order of file and time.
    """
    at_changes: dict[int, Moment] = {}
    people: dict[int, Moment] = {}
    n_seen: dict[int, int] = {}
    for rows in read_rows(observations, BOX):
        faces = _Faces(rows)
        for track_id, count in zip(*np.unique(faces.track_id, return_counts=True), strict=True):
            n_seen[int(track_id)] = n_seen.get(int(track_id), 0) + int(count)
        for row in faces.find_best_of_each():
            _keep_better(people, int(rows.track_id[row]), faces.create_moment(row, float(faces.rank[row])))
        for i, change in enumerate(changes):
            found = faces.find_change(change)
            if found is not None:
                _keep_better(at_changes, i, found)
    telling = [m for m in people.values() if m.rank >= TELLING]
    telling.sort(key=lambda m: (-n_seen[m.track_id], -m.rank, m.track_id))
    chosen = {(m.source, m.frame, m.track_id): m for m in [*list(at_changes.values())[: n // 2], *telling]}
    if not chosen and people:
        best = max(people.values(), key=lambda m: m.rank)
        chosen = {(best.source, best.frame, best.track_id): best}
    return sorted(list(chosen.values())[:n], key=lambda m: (m.source, m.frame, m.track_id))


def _keep_better(best: dict[int, Moment], key: int, moment: Moment) -> None:
    if key not in best or moment.rank > best[key].rank:
        best[key] = moment


class _Faces:
    """The faces of some rows that can be found again: without boxes or a person none can."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.xyxy = rows, stack(rows.faces, BOX)
        self.rank = rows.probability + ~rows.is_uncertain * (1.0 + (np.array(rows.classes)[rows.emotion] != NEUTRAL))
        self.found = np.flatnonzero(np.isfinite(self.xyxy[:, 0]) & (rows.track_id != NOBODY))
        self.track_id = rows.track_id[self.found]

    def find_best_of_each(self) -> list[int]:
        """Return one row per person."""
        order = np.lexsort((-self.rank[self.found], self.track_id))
        firsts = np.unique(self.track_id[order], return_index=True)[1]
        return [int(self.found[i]) for i in order[firsts]]

    def find_change(self, change: JointChange) -> Moment | None:
        """Return the face that shows a joint change best, or None."""
        time_s = self.rows.time_s[self.found]
        inside = (time_s >= change.time_s) & (time_s <= change.time_s + WINDOW_S)
        if change.track_id is not None:
            inside &= self.track_id == change.track_id
        if not inside.any():
            return None
        shown = self.rows.probabilities[:, self.rows.classes.index(change.rose)]
        row = int(self.found[np.where(inside, shown[self.found], -1.0).argmax()])
        return self.create_moment(row, float(shown[row]))

    def create_moment(self, row: int, rank: float) -> Moment:
        """Return a row's face."""
        rows = self.rows
        return Moment(
            rows.faces["source"][row].as_py(),
            rows.faces["frame"][row].as_py(),
            float(rows.time_s[row]),
            int(rows.track_id[row]),
            tuple(self.xyxy[row].tolist()),
            int(rows.emotion[row]),
            float(rows.probability[row]),
            bool(rows.is_uncertain[row]),
            rank,
            rows.classes,
        )


def load_moments(
    moments: list[Moment], is_video: bool, places: Mapping[str, Path] | None = None
) -> Iterator[tuple[Moment, Image]]:
    """Yield each moment with its frame, read again; what cannot be read any more is left out.

    Args:
        moments: of one source.
        is_video: whether that is a video, or pictures.
        places: where sources lie whose names in the table are not those of their files.
    """
    for source in sorted({m.source for m in moments}):
        wanted = [m for m in moments if m.source == source]
        path = (places or {}).get(source, Path(source))
        if is_video:
            for number, image in load_frames(path, [(m.frame, m.time_s) for m in wanted]):
                yield wanted[number], image
            continue
        try:
            image = load_picture(path)
        except InputError:
            continue
        yield from ((m, image) for m in wanted)
