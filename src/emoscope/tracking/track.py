"""Tracking: Faces in, Faces with track_id out; by motion, and by looks where there is a picture.

Whether a face is a known person is weighed by log likelihood ratios: how much better it fits that person than
somebody new. Motion and looks add up, and all faces of a frame are decided together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emoscope.core.types import Faces, Raster
from emoscope.tracking.assign import assign
from emoscope.tracking.looks import Looks, Memory, describe
from emoscope.tracking.motion import JITTER, Centre, Motion

HIGH_SCORE = 0.8
"""Faces below this score yield to the others: ByteTrack's two stages (Zhang et al., 2022) as one decision."""
LOW_COST = 1.5
"""How much better a face below HIGH_SCORE has to fit a person than one above it to come first."""
MAX_GAP_S = 1.5
"""Without pictures, or after one or two glimpses only, a person unseen for longer gets a new number on return."""
RE_ENTRY_S = 5.0
"""With pictures, a person unseen for longer gets a new number on return."""
KEPT_STEPS, BLIND_STEPS = 6.5, 2.5
"""Where few frames are analysed, people are kept for at least so many of them, with pictures and without."""
CUT_COST = 0.5
"""What a link across a cut has against it: there only looks tell who somebody is, and most people are seen again."""
SPARSE_S, SPARSE_COST = 1.0, -1.0
"""Where frames are so far apart, a place tells nothing, and whoever is known is likelier than somebody new. Chosen on
four scenes each of two sets of people, a frame in 1 to 5 s: IDF1 of 0.82 to 0.97 became 0.95 to 0.97."""
MIN_FRAMES = 3
"""Faces seen in fewer frames are as likely a pattern on a wall: no long memory is kept of them."""
NEW_AREA = 800.0
"""Somebody new appears anywhere in so many face areas; with it nearness is weighed against newness."""
TAIL = 3.0
"""Degrees of freedom of Student's t distribution of the place: people start, stop and turn more abruptly than a
normal distribution allows."""
SIZE_SPREAD = 0.15, 0.3
"""Standard deviation of the logarithm of a face's size between frames, and what a second adds."""
ELSEWHERE_COST = 1.5
"""What a person's return anywhere in the picture has against it: only clearly the same looks outweigh this."""
ELSEWHERE_S = 0.3
"""Nobody is elsewhere sooner than this."""
SAME_LOOKS = 0.19
"""Looks that differ so much speak neither for nor against. Root mean square difference of thumbnails; set by 13
people in photographs and the demo clip: 95 % of a person's distances to herself within 5 s are below 0.14, 99 % of
the distances to others above 0.16 and half of them above 0.34; see also results/tracking.json."""
LOOKS_SLOPE = 50.0
"""Log likelihood ratio per unit of distance, from the same distributions."""
LOOKS_LIMITS = -4.5, 8.0
"""No more can looks say: strangers may look alike, and a hand or the light may change a face."""
BLIND_COST = 1.5
"""What a link has against it where there are no pictures to confirm it."""
OTHER_LOOKS, PART_S, PART_LOOKS = 0.25, 0.6, 4
"""Who looks so different for so long, in so many looks at least, is somebody else, however well the place fits: chairs
change hands behind a camera that does not move."""
COVERED_LIMIT = 1.0
"""The upper limit for a face that another one covers in part."""
LATE_FRAMES = 12
"""A new person whose first views were poor, at the picture's edge or half covered, may be recognised within so many."""
LATE_COST = 1.5
"""How much surer late recognition must be: it changes a number already given."""
MAX_COVERED = 0.1
"""A face of which more is shared with another face is covered; it teaches nothing about its looks."""
LOOK_EVERY_S = 0.2
"""A person who is alone is looked at so often; in between a box where it is expected is enough."""
ALONE_IOU = 0.6
"""Overlap of the expected and the found box that leaves no doubt."""
EXPECT_S = 0.5
"""For so long a person unseen is still expected near where the motion led."""
MAX_TRACKS = 1000
"""More people are not kept in mind; a limit for pictures of noise."""


@dataclass(slots=True)
class Track:
    """One person."""

    track_id: int
    motion: Motion
    first_s: float
    looked_s: float
    """When the person's looks were last learned."""
    n_frames: int = 1
    other_s: float = 0.0
    """Since when the person has looked like somebody else."""
    n_other: int = 0
    """So many looks say that."""

    def is_other(self, time_s: float) -> bool:
        """Say whether it is somebody else who stands at the person's place."""
        return self.n_other >= PART_LOOKS and time_s - self.other_s >= PART_S

    def is_kept(self, time_s: float, step_s: float, by_looks: bool) -> bool:
        """Say whether the person may still come back, where frames are so far apart."""
        gap_s = time_s - self.motion.time_s
        usual_s = RE_ENTRY_S if by_looks and self.n_frames >= MIN_FRAMES else MAX_GAP_S
        return gap_s <= max(usual_s, (KEPT_STEPS if by_looks else BLIND_STEPS) * step_s)


class Tracker:
    """Links the faces of successive frames; numbers start at 1 and are never given twice."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.n_people = 0
        self.memory = Memory()
        self.n_breaks = 0
        self.last_s: float | None = None
        self.step_s = 0.0

    def forget(self) -> None:
        """End all tracks: what comes next is unrelated, such as another picture of a folder."""
        self.tracks = []
        self.memory = Memory()
        self.last_s = None

    def update(
        self, faces: Faces, time_s: float, image: Raster | None = None, n_breaks: int = 0, is_blend: bool = False
    ) -> Faces:
        """Return the faces of one frame with their track_id.

        Args:
            faces: detections.
            time_s: presentation time; must not run backwards.
            image: (h, w, 3) uint8 BGR, the frame; without it motion alone decides. Give it for all frames or for none.
            n_breaks: so many times all of the picture has changed; across a change nobody is linked by motion.
            is_blend: whether two shots may be seen at once; nothing is learned from such a frame.
        """
        is_cut, self.n_breaks = n_breaks != self.n_breaks, n_breaks
        if self.last_s is not None:
            self.step_s = time_s - self.last_s
        self.last_s = time_s
        if not is_cut and not is_blend and self._goes_on_alone(faces, time_s):
            [track] = self.tracks
            track.n_frames += 1
            track.motion.update(_to_centres(faces.xyxy)[0], time_s)
            return faces.replace(track_id=np.array([track.track_id], np.int64))
        self._drop(time_s, by_looks=image is not None)
        ids = np.zeros(len(faces), np.int64)
        if len(faces) == 0:
            return faces.replace(track_id=ids)
        looks = None if image is None else describe(image, faces.xyxy)
        is_clear = _find_clear(faces.xyxy, faces.xyxy, is_same=True)
        pairs = assign(self._compute_costs(faces, looks, is_clear, time_s, is_cut))
        if looks is not None:
            self._learn(faces, looks, is_clear & (not is_blend), pairs, time_s)
        boxes = _to_centres(faces.xyxy)
        for i, j in pairs:
            track = self.tracks[j]
            ids[i] = track.track_id
            track.n_frames += 1
            if is_cut:
                track.motion = Motion(*boxes[i], time_s=time_s)
            else:
                track.motion.update(boxes[i], time_s)
        for i in np.flatnonzero(ids == 0).tolist():
            self.n_people += 1
            ids[i] = self.n_people
            self.tracks.append(Track(self.n_people, Motion(*boxes[i], time_s=time_s), time_s, time_s))
        if looks is not None:
            for wrong, right in self._recognise_late(time_s):
                ids[ids == wrong] = right
        return faces.replace(track_id=ids)

    def _goes_on_alone(self, faces: Faces, time_s: float) -> bool:
        """Say whether the one face is the one known person's beyond doubt, so that looks need not be asked."""
        if len(faces) != 1 or len(self.tracks) != 1:
            return False
        [track] = self.tracks
        if track.n_frames <= LATE_FRAMES or not 0 <= time_s - track.looked_s < LOOK_EVERY_S:
            return False
        x, y, _ = track.motion.expect(time_s)
        w, h = track.motion.width, track.motion.height
        x1, y1, x2, y2 = faces.xyxy[0].tolist()
        shared = max(0.0, min(x2, x + w / 2) - max(x1, x - w / 2)) * max(0.0, min(y2, y + h / 2) - max(y1, y - h / 2))
        return bool(shared > ALONE_IOU * (w * h + (x2 - x1) * (y2 - y1) - shared))

    def predict(self, time_s: float) -> NDArray[np.float32]:
        """Return boxes xyxy (m, 4), in pixels, where people seen lately are expected at a time."""
        return _expect_boxes([t for t in self.tracks if time_s - t.motion.time_s <= EXPECT_S], time_s)

    def _drop(self, time_s: float, by_looks: bool) -> None:
        """Forget who has been away for too long."""
        kept = [j for j, t in enumerate(self.tracks) if t.is_kept(time_s, self.step_s, by_looks)]
        if len(kept) > MAX_TRACKS:
            kept = sorted(sorted(kept, key=lambda j: self.tracks[j].motion.time_s)[-MAX_TRACKS:])
        if len(kept) < len(self.tracks):
            self.tracks = [self.tracks[j] for j in kept]
            if by_looks:
                self.memory.keep(kept)

    def _compute_costs(
        self, faces: Faces, looks: Looks | None, is_clear: NDArray[np.bool_], time_s: float, is_cut: bool
    ) -> NDArray[np.float32]:
        """Return log likelihood ratios (n, m) of faces being new people rather than the tracks'; below 0 is a link."""
        if not self.tracks:
            return np.zeros((len(faces), 0), np.float32)
        if is_cut:
            # Without looks nobody is known again.
            costs = np.full((len(faces), len(self.tracks)), np.inf if looks is None else CUT_COST, np.float32)
        else:
            costs = _compute_motion_costs(faces.xyxy, self.tracks, time_s, can_be_elsewhere=looks is not None)
            if looks is not None and self.step_s >= SPARSE_S:
                costs = np.minimum(costs, np.float32(SPARSE_COST))
            if looks is not None and any(is_other := [t.is_other(time_s) for t in self.tracks]):
                costs = np.where(is_other, np.maximum(costs, np.float32(CUT_COST)), costs)
        if looks is not None:
            says = _weigh_looks(self.memory.compare(looks))
            # Looking different means little where somebody else covers the face.
            costs += np.where(is_clear[:, None], says, np.minimum(says, np.float32(COVERED_LIMIT)))
        else:
            costs += np.float32(BLIND_COST)
        # Yielding must not turn a link into a new person where nobody contends.
        yielding = np.minimum(costs + np.float32(LOW_COST), np.float32(-0.01))
        return np.where((faces.score < HIGH_SCORE)[:, None] & (costs < 0), yielding, costs)

    def _learn(
        self, faces: Faces, looks: Looks, is_clear: NDArray[np.bool_], pairs: list[tuple[int, int]], time_s: float
    ) -> None:
        """Remember the looks of faces that nobody covers; called before the tracks move."""
        linked = {j for _, j in pairs}
        hidden = [t for j, t in enumerate(self.tracks) if j not in linked and time_s - t.motion.time_s <= EXPECT_S]
        if hidden:
            is_clear = is_clear & _find_clear(faces.xyxy, _expect_boxes(hidden, time_s))
        clear = [(i, j) for i, j in pairs if is_clear[i]]
        clear = self._leave_out_others(clear, looks, time_s)
        if clear:
            rows = [i for i, _ in clear]
            elapsed_s = [time_s - self.tracks[j].looked_s for _, j in clear]
            for _, j in clear:
                self.tracks[j].looked_s = time_s
            columns = np.array([j for _, j in clear])
            self.memory.update(columns, looks[rows], np.array(elapsed_s, np.float32))
        is_new = np.ones(len(faces), np.bool_)
        is_new[[i for i, _ in pairs]] = False
        if is_new.any():
            new = np.flatnonzero(is_new)
            self.memory.add(looks[new], is_clear[new])

    def _leave_out_others(self, pairs: list[tuple[int, int]], looks: Looks, time_s: float) -> list[tuple[int, int]]:
        """Return the pairs of which something is to be learned; remember which of them look like somebody else."""
        if not pairs:
            return []
        away = self.memory.differ(np.array([j for _, j in pairs]), looks[[i for i, _ in pairs]])
        kept = []
        for (i, j), distance in zip(pairs, away.tolist(), strict=True):
            track = self.tracks[j]
            if distance > OTHER_LOOKS and self.memory.n_views[j] >= PART_LOOKS:
                track.other_s = track.other_s if track.n_other else time_s
                track.n_other, track.looked_s = track.n_other + 1, time_s
            else:
                track.n_other = 0
                kept.append((i, j))
        return kept

    def _recognise_late(self, time_s: float) -> list[tuple[int, int]]:
        """Let new people who turn out to be somebody lost go on as these; return pairs of numbers, new and true."""
        new = [
            j
            for j, t in enumerate(self.tracks)
            if MIN_FRAMES <= t.n_frames <= LATE_FRAMES and t.motion.time_s == time_s and self.memory.n_views[j] > 1
        ]
        if not new:
            return []
        lost = [j for j, t in enumerate(self.tracks) if t.n_frames >= MIN_FRAMES and t.motion.time_s < time_s]
        if not lost:
            return []
        says = _weigh_looks(self.memory.compare(self.memory.recall(new))[:, lost])
        # Nobody is in two places at once.
        ended_s = np.array([self.tracks[j].motion.time_s for j in lost])
        began_s = np.array([self.tracks[j].first_s for j in new])
        says[ended_s[None, :] >= began_s[:, None]] = np.inf
        pairs = []
        for i, k in assign(says + np.float32(ELSEWHERE_COST + LATE_COST)):
            track, known = self.tracks[new[i]], self.tracks[lost[k]]
            pairs.append((track.track_id, known.track_id))
            known.motion, known.n_frames = track.motion, known.n_frames + track.n_frames
            known.looked_s = track.looked_s
            track.n_frames = 0
        if pairs:
            kept = [j for j, t in enumerate(self.tracks) if t.n_frames > 0]
            self.tracks = [self.tracks[j] for j in kept]
            self.memory.keep(kept)
        return pairs


def _weigh_looks(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log likelihood ratios of being somebody else, from distances of looks; 0 where these are unknown."""
    says = np.clip((distances - np.float32(SAME_LOOKS)) * np.float32(LOOKS_SLOPE), *LOOKS_LIMITS)
    return np.asarray(np.nan_to_num(says, nan=0.0), np.float32)


def _to_centres(xyxy: NDArray[np.float32]) -> list[Centre]:
    """Return x, y, width and height of boxes."""
    sizes = xyxy[:, 2:] - xyxy[:, :2]
    rows = np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, np.maximum(sizes, 1)], axis=1).tolist()
    return [(x, y, width, height) for x, y, width, height in rows]


def _expect_boxes(tracks: list[Track], time_s: float) -> NDArray[np.float32]:
    """Return the boxes (m, 4) expected at a time."""
    boxes = []
    for motion in (t.motion for t in tracks):
        x, y, _ = motion.expect(time_s)
        w, h = motion.width / 2, motion.height / 2
        boxes.append((x - w, y - h, x + w, y + h))
    return np.array(boxes, np.float32).reshape(-1, 4)


def _compute_motion_costs(
    xyxy: NDArray[np.float32], tracks: list[Track], time_s: float, can_be_elsewhere: bool
) -> NDArray[np.float32]:
    """Return costs (n, m): the density around the expected place against an even one for somebody new."""
    expected = np.array([(*t.motion.expect(time_s), t.motion.size, time_s - t.motion.time_s) for t in tracks])
    x, y, variance, size, gap_s = expected.T.astype(np.float32)
    variance = variance + np.float32(JITTER**2)
    sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 1)
    centres = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    away = (np.square(centres[:, :1] - x) + np.square(centres[:, 1:] - y)) / (np.square(size) * variance)
    growth = np.log(np.sqrt(sides[:, :1] * sides[:, 1:]) / size)
    spread = SIZE_SPREAD[0] + SIZE_SPREAD[1] * gap_s
    away += np.square(growth / spread)
    costs = (TAIL + 2) / 2 * np.log1p(away / TAIL) + np.log(2 * np.pi * variance / NEW_AREA)
    if can_be_elsewhere:
        elsewhere = np.where(gap_s >= ELSEWHERE_S, np.float32(ELSEWHERE_COST), np.float32(np.inf))
        costs = np.minimum(costs, elsewhere)
    return np.asarray(costs, np.float32)


def _find_clear(xyxy: NDArray[np.float32], others: NDArray[np.float32], is_same: bool = False) -> NDArray[np.bool_]:
    """Say (n,) which boxes are not covered by others (m, 4); where these are the same boxes, nobody covers himself."""
    if is_same and len(xyxy) == 1:
        return np.ones(1, np.bool_)
    low, high = np.maximum(xyxy[:, None, :2], others[:, :2]), np.minimum(xyxy[:, None, 2:], others[:, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    if is_same:
        np.fill_diagonal(shared, 0)
    areas = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    return np.asarray(shared.max(axis=1) <= MAX_COVERED * areas)
