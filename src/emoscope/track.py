"""Tracking: Faces in, Faces with track_id out; motion and overlap, two stages, no pictures needed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emoscope.types import Faces

HIGH_SCORE = 0.8
"""Faces from this score on are linked first (the two stages of ByteTrack, Zhang et al., 2022)."""
MIN_IOU = 0.2
"""Boxes that overlap less with a track's predicted box are another person."""
MAX_GAP_S = 1.5
"""A person unseen for longer gets a new number on return."""
VELOCITY_GAIN = 0.5
"""Weight of the newest motion in a track's velocity."""


@dataclass
class Track:
    """One person's motion."""

    track_id: int
    xyxy: NDArray[np.float32]
    time_s: float
    velocity: NDArray[np.float32]
    """Pixels per second of the box's centre."""

    def predict(self, time_s: float) -> NDArray[np.float32]:
        """Return the box expected at a time: moved at constant velocity, its size kept."""
        step = self.velocity * np.float32(time_s - self.time_s)
        return np.asarray(self.xyxy + np.concatenate([step, step]))

    def update(self, xyxy: NDArray[np.float32], time_s: float) -> None:
        """Take the box in which the person was seen."""
        if (elapsed := time_s - self.time_s) > 0:
            motion = (xyxy[:2] + xyxy[2:] - self.xyxy[:2] - self.xyxy[2:]) / np.float32(2 * elapsed)
            self.velocity = self.velocity + np.float32(VELOCITY_GAIN) * (motion - self.velocity)
        self.xyxy, self.time_s = xyxy, time_s


def compute_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return intersection over union (len(a), len(b)) of boxes (n, 4)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (a, b)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None, :] - shared, 1e-9), np.float32)


class Tracker:
    """Links the faces of successive frames; numbers start at 1 and are never given twice."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.n_people = 0

    def forget(self) -> None:
        """End all tracks: what comes next is unrelated, such as another picture of a folder."""
        self.tracks = []

    def update(self, faces: Faces, time_s: float) -> Faces:
        """Return the faces of one frame with their track_id.

        Args:
            faces: detections.
            time_s: presentation time; must not run backwards.
        """
        self.tracks = [t for t in self.tracks if time_s - t.time_s <= MAX_GAP_S]
        ids = np.zeros(len(faces), np.int64)
        free = list(self.tracks)
        is_strong = faces.score >= HIGH_SCORE
        for stage in (np.flatnonzero(is_strong), np.flatnonzero(~is_strong)):
            free = self._link(faces.xyxy, stage, free, ids, time_s)
        for i in np.flatnonzero(ids == 0):
            self.n_people += 1
            ids[i] = self.n_people
            self.tracks.append(Track(self.n_people, faces.xyxy[i], time_s, np.zeros(2, np.float32)))
        return faces.replace(track_id=ids)

    def _link(
        self,
        xyxy: NDArray[np.float32],
        rows: NDArray[np.int64],
        free: list[Track],
        ids: NDArray[np.int64],
        time_s: float,
    ) -> list[Track]:
        """Give ids to the rows that overlap free tracks, best overlap first; return the tracks still free."""
        if len(rows) == 0 or not free:
            return free
        iou = compute_iou(xyxy[rows], np.stack([t.predict(time_s) for t in free]))
        linked = set()
        while iou.size and iou.max() >= MIN_IOU:
            i, j = (int(k) for k in np.unravel_index(iou.argmax(), iou.shape))
            ids[rows[i]] = free[j].track_id
            free[j].update(xyxy[rows[i]], time_s)
            linked.add(j)
            iou[i, :], iou[:, j] = -1, -1
        return [t for j, t in enumerate(free) if j not in linked]
