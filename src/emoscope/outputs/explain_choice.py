"""Moments to explain: the observations and their summary in, a few faces with the frames they stand in out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.core.picture import load_picture
from emoscope.core.types import Image
from emoscope.media.video import load_frames
from emoscope.tables.observations import BOX, PROBABILITIES, Observations

if TYPE_CHECKING:
    import pyarrow as pa

WINDOW_S = 1.0
"""So long after a moment of joint change the face that shows it best is looked for."""
NEUTRAL = EMOTIONS.index("neutral")
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
    """Class index of what the table says."""
    probability: float
    rank: float = 0.0
    """How well it serves as an example, only for comparisons."""


def choose_moments(observations: Observations, summary: dict[str, Any], n: int = 12) -> list[Moment]:
    """Choose which faces to explain.

    These are, as long as n lasts: at each of the summary's moments (half of n at most) the face that shows best what
    rose; then each person's most probable expression that is neither neutral nor uncertain, those seen most first.
    Where nobody has one, the most probable face.

    Args:
        observations: of one source; read in batches.
        summary: its summary.
        n: so many at most.

    Returns:
        Moments in the order of file and time.
    """
    changes = summary.get("moments") or []
    at_changes: dict[int, Moment] = {}
    people: dict[int, Moment] = {}
    n_seen: dict[int, int] = {}
    columns = ["source", "frame", "time_s", "track_id", *BOX, *PROBABILITIES, "emotion", "probability", "uncertain"]
    for batch in observations.batches(columns):
        rows = _Rows(batch)
        for track_id, count in zip(*np.unique(rows.track_id, return_counts=True), strict=True):
            n_seen[int(track_id)] = n_seen.get(int(track_id), 0) + int(count)
        for row in rows.find_best_of_each():
            _keep_better(people, int(rows.track_id[row]), rows.create_moment(row, rows.rank[row]))
        for i, change in enumerate(changes):
            found = rows.find_change(change)
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


class _Rows:
    """The faces of a batch that can be found again, as arrays."""

    def __init__(self, batch: "pa.RecordBatch") -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        emotions = batch.column("emotion")
        # Without boxes (--anonymous) no face can be found again.
        valid = pc.and_(
            pc.and_(emotions.is_valid(), batch.column("x1").is_valid()), batch.column("track_id").is_valid()
        )
        batch = batch.filter(valid)
        self.batch = batch

        def read(name: str) -> Any:
            return batch.column(name).to_numpy(zero_copy_only=False)

        self.track_id, self.time_s, self.probability = (read(name) for name in ("track_id", "time_s", "probability"))
        self.emotion = pc.index_in(batch.column("emotion"), pa.array(EMOTIONS)).to_numpy(zero_copy_only=False)
        confident = ~read("uncertain").astype(bool)
        self.rank = self.probability + confident * (1.0 + (self.emotion != NEUTRAL))

    def find_best_of_each(self) -> list[int]:
        """Return one row per person."""
        order = np.lexsort((-self.rank, self.track_id))
        firsts = np.unique(self.track_id[order], return_index=True)[1]
        return [int(i) for i in order[firsts]]

    def find_change(self, change: dict[str, Any]) -> Moment | None:
        """Return the face that shows a joint change best, or None."""
        inside = (self.time_s >= change["time_s"]) & (self.time_s <= change["time_s"] + WINDOW_S)
        if change.get("track_id") is not None:
            inside &= self.track_id == change["track_id"]
        if not inside.any():
            return None
        rose = change.get("rose")
        shown = self.batch.column(f"p_{rose}").to_numpy() if rose in EMOTIONS else self.probability
        row = int(np.where(inside, shown, -1.0).argmax())
        return self.create_moment(row, float(shown[row]))

    def create_moment(self, row: int, rank: float) -> Moment:
        values = {name: self.batch.column(name)[row].as_py() for name in ("source", "frame", *BOX)}
        return Moment(
            values["source"],
            values["frame"],
            float(self.time_s[row]),
            int(self.track_id[row]),
            tuple(values[name] for name in BOX),
            int(self.emotion[row]),
            float(self.probability[row]),
            float(rank),
        )


def load_moments(moments: list[Moment], is_video: bool) -> Iterator[tuple[Moment, Image]]:
    """Yield each moment with its frame, read again; what cannot be read any more is left out."""
    for source in sorted({m.source for m in moments}):
        wanted = [m for m in moments if m.source == source]
        if is_video:
            for number, image in load_frames(Path(source), [(m.frame, m.time_s) for m in wanted]):
                yield wanted[number], image
            continue
        try:
            image = load_picture(Path(source))
        except InputError:
            continue
        yield from ((m, image) for m in wanted)
