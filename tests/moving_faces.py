"""Ground truth for tracking: real faces moved along known paths with crossings, exits and gaps, and scores against it.

A `Scene` gives, for any time, the picture, the true boxes and numbers, and detections with the faults of a detector.
Everything random comes from its seed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from emoscope.core.types import Faces, Image

SIZE_WH = 960, 540
BLOCK_S = 6.0
"""In each block one pair crosses, one person leaves and comes back, one face is hidden behind a sign for a while."""
SLOTS_X = [85 + 158 * i for i in range(6)]
"""Where people stand; there is one place more than people."""
LEAVE_S = 0.8
"""How long it takes to walk out of the picture, or in."""
MIN_INSIDE, MIN_VISIBLE = 0.6, 0.4
"""Shares of a face that must lie inside the picture and be uncovered for it to count as there."""

Boxes = NDArray[np.float32]


@dataclass(frozen=True)
class Cutout:
    """A person with soft edges."""

    image: NDArray[np.float32]
    """(h, w, 4) premultiplied BGR and opacity 0..1."""
    box: tuple[float, float, float, float]
    """The face in it."""


def cut_out(image: Image, box: tuple[float, float, float, float], width_px: int = 64) -> Cutout:
    """Cut a person out, head and shoulders, and scale so that the face is `width_px` wide."""
    scale = width_px / (box[2] - box[0])
    image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    x1, y1, x2, y2 = (v * scale for v in box)
    w, h = x2 - x1, y2 - y1
    left, top = max(0, int(x1 - 0.45 * w)), max(0, int(y1 - 0.5 * h))
    part = image[top : int(y2 + 0.9 * h), left : int(x2 + 0.45 * w)]
    x, y = (x1 + x2) / 2 - left, (y1 + y2) / 2 - top
    mask = np.zeros(part.shape[:2], np.float32)
    cv2.ellipse(mask, (int(x), int(y - 0.08 * h)), (int(0.66 * w), int(0.82 * h)), 0, 0, 360, 1, -1)
    shoulders = [(x - 0.4 * w, y + 0.4 * h), (x + 0.4 * w, y + 0.4 * h), (x + w, y + 1.5 * h), (x - w, y + 1.5 * h)]
    cv2.fillPoly(mask, [np.array(shoulders, np.int32)], 1)
    alpha = cv2.GaussianBlur(mask, (0, 0), 2)[..., None]
    return Cutout(np.concatenate([part * alpha, alpha], axis=2).astype(np.float32), (x - w / 2, y - h / 2, w, h))


def make_five(astronaut: Image, hopper: Image) -> list[Cutout]:
    """Make five people who look clearly different from two portraits: as they are, and recoloured."""
    a, b = (178.0, 63.0, 268.0, 176.0), (183.0, 120.0, 353.0, 333.0)
    mirrored = np.ascontiguousarray(hopper[:, ::-1, ::-1])
    width = hopper.shape[1]
    green = np.clip(astronaut[..., [1, 2, 0]] * np.array([0.9, 1.0, 0.6]), 0, 255).astype(np.uint8)
    negative = 255 - hopper
    return [
        cut_out(astronaut, a),
        cut_out(hopper, b),
        cut_out(mirrored, (width - b[2], b[1], width - b[0], b[3])),
        cut_out(green, a),
        cut_out(negative, b),
    ]


def cut_out_group(group: Image) -> list[Cutout]:
    """Cut the five people out of the photograph multi_face.jpg."""
    boxes = [
        (216, 62, 306, 175),
        (314, 236, 409, 359),
        (434, 219, 514, 314),
        (531, 305, 631, 436),
        (686, 289, 789, 423),
    ]
    return [cut_out(group, box) for box in boxes]


@dataclass
class Actor:
    """One person's way: places at times, straight lines between them, and absences."""

    times: list[float]
    places: list[tuple[float, float]]
    hidden: list[tuple[float, float]] = field(default_factory=list)
    """Spans of time behind a sign."""
    sway: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Phases of the small movements that nobody is without."""

    def go(self, time_s: float, x: float, y: float) -> None:
        """Be at a place at a time."""
        self.times.append(time_s)
        self.places.append((x, y))

    def wait(self, time_s: float) -> None:
        """Stay where one is until a time."""
        self.go(max(time_s, self.times[-1]), *self.places[-1])

    def find(self, time_s: float) -> tuple[float, float, float]:
        """Return the face's centre and its scale."""
        x, y = (float(np.interp(time_s, self.times, [p[k] for p in self.places])) for k in (0, 1))
        a, b, c = self.sway
        return x + 5 * np.sin(1.3 * time_s + a), y + 4 * np.sin(2.1 * time_s + b), 1 + 0.08 * np.sin(0.5 * time_s + c)


class Scene:
    """Five people in front of a wall."""

    def __init__(self, people: list[Cutout], duration_s: float = 60.0, seed: int = 0) -> None:
        """Decide who goes where; 60 s are 10 crossings, 10 exits and 10 hidden faces."""
        self.people = people
        self.duration_s = duration_s
        self.rng = np.random.default_rng(seed)
        wall = cv2.resize(
            self.rng.integers(90, 140, (9, 16, 3), dtype=np.uint8), SIZE_WH, interpolation=cv2.INTER_CUBIC
        )
        self.wall = np.asarray(wall, np.uint8)
        self.noise = self.rng.normal(0, 4, (SIZE_WH[1] + 400, SIZE_WH[0], 1)).astype(np.float32)
        self.slots = list(range(len(people)))
        sways = self.rng.uniform(0, 6.3, (len(people), 3))
        self.actors = [
            Actor([0.0], [self._place(i)], sway=(float(s[0]), float(s[1]), float(s[2]))) for i, s in enumerate(sways)
        ]
        self.order: list[list[int]] = []
        for block in range(round(duration_s / BLOCK_S)):
            self._plan(block)

    def _place(self, slot: int) -> tuple[float, float]:
        return SLOTS_X[slot], 215 + 40 * (slot % 2)

    def _plan(self, block: int) -> None:
        """Plan one block: two neighbours cross, another leaves and returns, a third is hidden."""
        start = block * BLOCK_S
        ranked = sorted(range(len(self.people)), key=lambda i: self.slots[i])
        k = int(self.rng.integers(len(ranked) - 1))
        a, b = ranked[k], ranked[k + 1]
        others = self.rng.permutation([i for i in ranked if i not in (a, b)]).tolist()
        self._cross(a, b, start + 1.5, block)
        self._leave(others[0], start + 0.5, block)
        self.actors[others[1]].hidden.append((start + 2, start + 2 + float(self.rng.uniform(0.4, 1.2))))
        self.order.append(self.rng.permutation(len(self.people)).tolist())

    def _cross(self, a: int, b: int, start_s: float, block: int) -> None:
        """Let two people pass each other; every third time they stop behind each other, then turn back."""
        turns_back, pause_s = block % 3 == 2, 0.7 if block % 3 == 2 else 0.0
        (xa, ya), (xb, yb) = self._place(self.slots[a]), self._place(self.slots[b])
        if not turns_back:
            self.slots[a], self.slots[b] = self.slots[b], self.slots[a]
        for i, dx in ((a, -8.0), (b, 8.0)):
            actor = self.actors[i]
            actor.wait(start_s)
            actor.go(start_s + 0.8, (xa + xb) / 2 + dx, (ya + yb) / 2)
            actor.wait(start_s + 0.8 + pause_s)
            actor.go(start_s + 1.6 + pause_s, *self._place(self.slots[i]))

    def _leave(self, i: int, start_s: float, block: int) -> None:
        """Let one person go out below and come back 1 to 3 s later; every other time at the free place."""
        actor = self.actors[i]
        actor.wait(start_s)
        x, _ = actor.places[-1]
        away_s = float(self.rng.uniform(1, 3))
        actor.go(start_s + LEAVE_S, x, SIZE_WH[1] + 120)
        if block % 2:
            [self.slots[i]] = set(range(len(SLOTS_X))) - set(self.slots)
        x, y = self._place(self.slots[i])
        actor.go(start_s + LEAVE_S + away_s, x, SIZE_WH[1] + 120)
        actor.go(start_s + 2 * LEAVE_S + away_s, x, y)

    def _arrange(self, time_s: float) -> list[tuple[int, tuple[float, float, float], bool]]:
        """Return everybody from back to front: index, centre and scale, and whether a sign hides the face."""
        order = self.order[min(int(time_s // BLOCK_S), len(self.order) - 1)]
        hidden = [any(a <= time_s < b for a, b in actor.hidden) for actor in self.actors]
        return [(i, self.actors[i].find(time_s), hidden[i]) for i in order]

    def _find_box(self, i: int, place: tuple[float, float, float]) -> Boxes:
        x, y, scale = place
        _, _, w, h = self.people[i].box
        return np.array([x - w * scale / 2, y - h * scale / 2, x + w * scale / 2, y + h * scale / 2], np.float32)

    def tell(self, time_s: float) -> tuple[NDArray[np.int64], Boxes, Boxes]:
        """Return who is to be seen: numbers (n,) from 1, boxes (n, 4), visible shares (n,)."""
        arranged = self._arrange(time_s)
        boxes = [self._find_box(i, place) for i, place, _ in arranged]
        found = []
        for k, ((i, _, is_hidden), box) in enumerate(zip(arranged, boxes, strict=True)):
            x, y = np.meshgrid(np.linspace(box[0], box[2], 9), np.linspace(box[1], box[3], 9))
            inside = (x >= 0) & (y >= 0) & (x < SIZE_WH[0]) & (y < SIZE_WH[1])
            free = inside.copy()
            for x1, y1, x2, y2 in boxes[k + 1 :]:
                free &= (x < x1) | (x > x2) | (y < y1) | (y > y2)
            if not is_hidden and inside.mean() >= MIN_INSIDE and free.mean() >= MIN_VISIBLE:
                found.append((i + 1, box, free.mean()))
        found.sort(key=lambda f: f[0])
        ids = np.array([f[0] for f in found], np.int64)
        shares = np.array([f[2] for f in found], np.float32)
        return ids, np.array([f[1] for f in found], np.float32).reshape(-1, 4), shares

    def render(self, time_s: float) -> Image:
        """Paint the picture: everybody tilts a little, the light on them goes up and down, the camera is noisy."""
        canvas = self.wall.copy()
        light = float(1 + 0.15 * np.sin(0.4 * time_s))
        noise = self.noise[int(time_s * 1000) % 397 :]
        for i, (x, y, scale), is_hidden in self._arrange(time_s):
            person = self.people[i]
            left, top, w, h = person.box
            tilt = 6 * np.sin(0.9 * time_s + self.actors[i].sway[2])
            matrix = cv2.getRotationMatrix2D((left + w / 2, top + h / 2), tilt, scale)
            height, width = person.image.shape[0] + 24, person.image.shape[1] + 24
            corner_x, corner_y = int(x - (left + w / 2)) - 12, int(y - (top + h / 2)) - 12
            matrix[:, 2] += x - (left + w / 2) - corner_x, y - (top + h / 2) - corner_y
            x1, y1 = max(corner_x, 0), max(corner_y, 0)
            x2, y2 = min(corner_x + width, SIZE_WH[0]), min(corner_y + height, SIZE_WH[1])
            if x1 >= x2 or y1 >= y2:
                continue
            part = cv2.warpAffine(person.image, matrix, (width, height))
            part = part[y1 - corner_y : y2 - corner_y, x1 - corner_x : x2 - corner_x]
            alpha = part[..., 3:]
            painted = canvas[y1:y2, x1:x2] * (1 - alpha) + part[..., :3] * light + noise[y1:y2, x1:x2] * alpha
            canvas[y1:y2, x1:x2] = cv2.convertScaleAbs(np.maximum(painted, 0))
            if is_hidden:
                cv2.rectangle(canvas, (int(x - 45), int(y - 50)), (int(x + 45), int(y + 60)), (70, 110, 150), -1)
        return canvas

    def detect(self, time_s: float, miss: float = 0.05, jitter: float = 0.03, false: float = 0.02) -> Faces:
        """Return detections as a detector gives them: boxes that jitter, misses, one box for two, false faces."""
        _, truth, shares = self.tell(time_s)
        rng = self.rng
        boxes, scores = [], []
        for box, share in sorted(zip(truth, shares, strict=True), key=lambda f: -f[1]):
            w = box[2] - box[0]
            box = box + rng.normal(0, jitter * w, 4).astype(np.float32)
            is_double = any(compute_iou(box, other) > 0.4 for other in boxes)
            if not is_double and rng.random() >= miss + (1 - share) / 2:
                boxes.append(box)
                scores.append(min(1, rng.normal(0.92, 0.03) - 0.2 * (1 - share)))
        if rng.random() < false:
            x, y, w = rng.uniform(0, SIZE_WH[0] - 80), rng.uniform(0, SIZE_WH[1] - 80), rng.uniform(30, 80)
            boxes.append(np.array([x, y, x + w, y + 1.25 * w], np.float32))
            scores.append(rng.uniform(0.7, 0.85))
        return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def compute_iou(a: Boxes, b: Boxes) -> float:
    """Return intersection over union of two boxes."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, float(w)) * max(0.0, float(h))
    return shared / float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


Seen = tuple[NDArray[np.int64], Boxes]
"""Numbers and boxes of one frame."""


def score(truth: list[Seen], found: list[Seen], min_iou: float = 0.5) -> dict[str, float]:
    """Return IDF1 and the number of id switches.

    IDF1 (Ristani et al., 2016) pairs each true person with at most one number over the whole recording, so that most
    boxes agree; a switch (CLEAR MOT, Bernardin & Stiefelhagen, 2008) is a person found under another number than last.
    """
    together: dict[tuple[int, int], int] = {}
    last: dict[int, int] = {}
    switches = 0
    for (true_ids, true_boxes), (ids, boxes) in zip(truth, found, strict=True):
        iou = np.array([[compute_iou(a, b) for b in boxes] for a in true_boxes]).reshape(len(true_ids), len(ids))
        for i, j in zip(*np.nonzero(iou >= min_iou), strict=True):
            pair = int(true_ids[i]), int(ids[j])
            together[pair] = together.get(pair, 0) + 1
        # As the measure asks, what was paired in the last frame stays paired where it still fits.
        kept = np.array([[last.get(int(a)) == int(b) for b in ids] for a in true_ids]).reshape(iou.shape)
        for i, j in zip(*linear_sum_assignment(np.where(iou >= min_iou, -iou - 10 * kept, 1000)), strict=True):
            if iou[i, j] >= min_iou:
                person = int(true_ids[i])
                switches += last.get(person, int(ids[j])) != int(ids[j])
                last[person] = int(ids[j])
    people, numbers = sorted({a for a, _ in together}), sorted({b for _, b in together})
    table = np.array([[together.get((a, b), 0) for b in numbers] for a in people], ndmin=2)
    agree = table[linear_sum_assignment(-table)].sum() if table.size else 0
    n_true, n_found = sum(len(ids) for ids, _ in truth), sum(len(ids) for ids, _ in found)
    return {"idf1": float(2 * agree / max(n_true + n_found, 1)), "switches": switches, "numbers": len(numbers)}


def follow(scene: Scene, times: list[float], update: Callable[[Faces, float], Faces]) -> tuple[list[Seen], list[Seen]]:
    """Track a scene's detections; return what is true and what was found."""
    truth, found = [], []
    for time_s in times:
        ids, boxes, _ = scene.tell(time_s)
        truth.append((ids, boxes))
        faces = update(scene.detect(time_s), time_s)
        assert faces.track_id is not None
        found.append((faces.track_id, faces.xyxy))
    return truth, found
