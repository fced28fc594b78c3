"""Measure head pose and blinks on rendered faces whose angles and blinks are known.

Faces of photographs become reliefs: the points of their mesh with depth, the picture as their skin, and rings around
them that curve away as a head does. These are turned to known angles, drawn, found, cut and read as an analysis does.
How far depth is stretched for yaw (DEPTH_OF_YAW) was chosen on the film's face and those of --chosen-on. A relief's
depth is the mesh's own of the frontal face: this measures how rightly a turn is read, not how long a nose is.
For blinks a face with open eyes is faded into the same person's with closed ones, in films in which the head moves. A
frame counts as closed from 0.7 on, as open below 0.3; a blink of 0.12 to 0.4 s is hit if one is counted until 0.2 s
after its end.
Bar: yaw within 8 and roll within 6 degrees on average up to 45; F1 of blinks 0.9.

The two networks must be in the cache: `emoscope models --fetch`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from common import create_parser, write_result
from emoscope.core.picture import load_picture
from emoscope.core.schema import ATTENTION
from emoscope.core.types import Image
from emoscope.faces.detect import create_detector
from emoscope.faces.mesh import MARGIN, Mesh, compute_angles
from emoscope.faces.upright import Cutter
from emoscope.media.video import load_frames
from emoscope.tables.attention import Eyes

Floats = NDArray[np.float64]
FACE_PX, CANVAS_PX = 200, 512
TURNS = (-45, -30, -15, 0, 15, 30, 45)
VIEWS = (
    *((yaw, 0, 0) for yaw in TURNS),
    *((0, pitch, 0) for pitch in (-30, -15, 15, 30)),
    *((0, 0, roll) for roll in (-45, -30, -15, 15, 30, 45)),
    *((yaw, pitch, roll) for yaw in (-30, 30) for pitch in (-15, 15) for roll in (-20, 20)),
)
"""Yaw, pitch and roll in degrees, as compute_angles gives them."""
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149),
    *(150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The mesh's rim."""
RINGS = ((1.12, 0.2), (1.3, 0.45), (1.5, 0.6))
"""By how much a ring is wider than the rim, and lies behind it in widths of the face: ears, hair, neck."""
RATES = (30, 25, 15, 10)
CLIP_FPS = 24000 / 1001
FILM_S = 20.0
LATE_S = 0.2


@dataclass
class Relief:
    """A face that can be turned."""

    image: Image
    skin: Floats
    """(n, 2) where each point lies in the image."""
    points: Floats
    """(n, 3) upright, the head's middle at 0, FACE_PX wide."""

    def __post_init__(self) -> None:
        self.triangles = Delaunay(self.skin).simplices
        canvas = cv2.resize(self.image, (CANVAS_PX, CANVAS_PX))
        self.canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), 25), np.uint8)

    def draw(self, angles: Sequence[float]) -> Image:
        """Return the face turned by yaw, pitch and roll."""
        placed = self.points @ create_rotation(angles).T + [CANVAS_PX / 2, CANVAS_PX / 2, 0]
        canvas = self.canvas.copy()
        # The farthest first: what is nearer covers it.
        for corners in self.triangles[np.argsort(-placed[self.triangles, 2].mean(1))]:
            draw_triangle(canvas, self.image, self.skin[corners], placed[corners, :2])
        return canvas


def create_rotation(angles: Sequence[float]) -> Floats:
    """Return the matrix that turns an upright head to yaw, pitch and roll as compute_angles tells them."""
    yaw, pitch, roll = np.radians(angles) * [-1, -1, 1]
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def draw_triangle(canvas: Image, image: Image, source: Floats, target: Floats) -> None:
    """Draw a triangle of an image, unless it shows its back or lies outside."""
    if np.linalg.det(source[1:] - source[0]) * np.linalg.det(target[1:] - target[0]) <= 0:
        return
    x, y, w, h = cv2.boundingRect(target.astype(np.float32))
    x, y, w, h = x - 1, y - 1, w + 2, h + 2
    if x < 0 or y < 0 or x + w > canvas.shape[1] or y + h > canvas.shape[0]:
        return
    matrix = cv2.getAffineTransform(source.astype(np.float32), (target - [x, y]).astype(np.float32))
    patch = cv2.warpAffine(image, matrix, (w, h), borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((h, w), np.uint8)
    cv2.fillConvexPoly(mask, np.rint((target - [x, y]) * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    canvas[y : y + h, x : x + w][mask > 0] = patch[mask > 0]


class Reader:
    """Finds and reads the largest face of a picture, as an analysis does."""

    def __init__(self) -> None:
        self.detector, self.cutter, self.mesh = create_detector("yunet", CANVAS_PX).detector, Cutter(0.0, {}), Mesh()

    def read(self, image: Image) -> Floats | None:
        """Return the values of schema.ATTENTION; None where no face is found."""
        faces = self.detector.detect(image, 1)
        if not len(faces):
            return None
        faces = self.mesh.measure(image, self.cutter.cut(image, faces)[0])
        assert faces.attention is not None
        return np.asarray(faces.attention[(faces.xyxy[:, 2] - faces.xyxy[:, 0]).argmax()])

    def find_reliefs(self, image: Image) -> Iterator[Relief]:
        """Yield the faces of a picture."""
        for x1, y1, x2, y2 in self.detector.detect(image, 1).xyxy.astype(int):
            margin = x2 - x1
            part = image[max(y1 - margin, 0) : y2 + margin, max(x1 - margin, 0) : x2 + margin]
            scale = 2 * FACE_PX / (x2 - x1)
            yield self.create_relief(
                np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
            )

    def create_relief(self, image: Image) -> Relief:
        """Make a relief of a picture's best face."""
        box = self.detector.detect(image, 1).xyxy[0]
        # A square that the crop takes as it is, so that points are easily placed in the picture.
        side = max(box[2] - box[0], box[3] - box[1]) * (1 + MARGIN) * 0.8
        middle = (box[:2] + box[2:]) / 2
        x, y = np.rint(middle - side / 2).astype(int)
        x, y = max(x, 0), max(y, 0)
        crop = image[y : y + int(side), x : x + int(side)]
        crop = crop[: min(crop.shape[:2]), : min(crop.shape[:2])]
        scale = crop.shape[0] / 192
        small = np.asarray(cv2.resize(crop, (192, 192), interpolation=cv2.INTER_AREA))
        points = self.mesh.find_points(small)[0]
        upright = (points - points.mean(0)) @ create_rotation(compute_angles(points))
        upright *= FACE_PX / np.linalg.norm(upright[454] - upright[234])
        skin = points[:, :2] * scale + [x, y]
        parts, places = [skin], [upright]
        rim, rim_middle = upright[list(OVAL)], upright[list(OVAL)].mean(0)
        for wider, behind in RINGS:
            parts.append(skin[list(OVAL)].mean(0) + wider * (skin[list(OVAL)] - skin[list(OVAL)].mean(0)))
            places.append(
                rim_middle + (rim - rim_middle) * [min(wider, 1.2), wider, 1] + np.eye(3)[2] * behind * FACE_PX
            )
        return Relief(image, np.concatenate(parts), np.concatenate(places))


def measure_views(reader: Reader, reliefs: Sequence[Relief]) -> dict[str, Any]:
    """Return the errors of yaw, pitch and roll over all views, and of yaw and roll by angle."""
    errors: dict[tuple[int, int, int], list[Floats]] = {view: [] for view in VIEWS}
    for view in VIEWS:
        for relief in reliefs:
            found = reader.read(relief.draw(view))
            if found is not None and not np.isnan(found[0]):
                errors[view].append(found[:3] - view)
    everything = np.abs(np.concatenate([values for values in errors.values() if values]))
    names = list(ATTENTION)[:3]
    return {
        "faces": len(reliefs),
        "views": len(reliefs) * len(VIEWS),
        "read": len(everything) / (len(reliefs) * len(VIEWS)),
        "mean_error_deg": dict(zip(names, everything.mean(0).round(2).tolist(), strict=True)),
        "p95_error_deg": dict(zip(names, np.percentile(everything, 95, axis=0).round(2).tolist(), strict=True)),
        "yaw_error_by_yaw": {yaw: average(np.abs([e[0] for e in errors[yaw, 0, 0]])) for yaw in TURNS},
        "yaw_bias_by_yaw": {yaw: average(np.array([e[0] for e in errors[yaw, 0, 0]])) for yaw in TURNS},
        "roll_error_by_roll": {roll: average(np.abs([e[2] for e in errors[(0, 0, roll)]])) for roll in TURNS if roll},
    }


def average(values: Floats) -> float | None:
    return round(float(values.mean()), 2) if len(values) else None


def load_pairs(clip: Path, pairs: Sequence[tuple[int, int]]) -> list[tuple[Image, Image]]:
    """Return frames of a film in which the same person's eyes are open and closed, by their numbers."""
    numbers = sorted({number for pair in pairs for number in pair})
    wanted = [(number, number / CLIP_FPS) for number in numbers]
    images = {numbers[i]: image for i, image in load_frames(clip, wanted)}
    return [(images[opened], images[closed]) for opened, closed in pairs]


def measure_blinks(reader: Reader, pairs: Sequence[tuple[Image, Image]]) -> dict[str, Any]:
    """Return F1 of closed frames and of blinks at several frame rates, of pictures with open and with closed eyes."""
    fps = max(RATES)
    times = np.arange(round(FILM_S * fps)) / fps
    frames, found, n_blinks = np.zeros(3, int), {rate: np.zeros(3, int) for rate in RATES}, 0
    for i, pair in enumerate(pairs):
        opened, closed = (next(reader.find_reliefs(image)) for image in pair)
        rng = np.random.default_rng(i)
        starts = np.cumsum(rng.uniform(1.0, 4.0, 40))
        starts = starts[starts < FILM_S - 1]
        lengths = rng.uniform(0.12, 0.4, len(starts))
        # Down in a third of the time, up in the rest, as lids do.
        at = (times - starts[:, None]) / lengths[:, None]
        share = np.interp(at, [0, 0.3, 0.45, 1], [0, 1, 1, 0], 0, 0).max(0)
        sway = np.column_stack([12 * np.sin(times / 3), 6 * np.sin(times / 2 + 1), 5 * np.sin(times / 4)])
        told = [reader.read(fade(opened, closed, angles, c)) for angles, c in zip(sway, share, strict=True)]
        is_closed = np.array([np.nan if values is None else values[5] for values in told])
        sure = ~np.isnan(is_closed) & ((share < 0.3) | (share > 0.7))
        frames += count(is_closed[sure] == 1, share[sure] > 0.7)
        for rate in RATES:
            chosen = np.unique(np.arange(0, len(times), fps / rate).astype(int))
            found[rate] += match(find_blinks(times[chosen], is_closed[chosen]), starts, starts + lengths)
        n_blinks += len(starts)
    return {
        "films": len(pairs),
        "seconds_each": FILM_S,
        "blinks": n_blinks,
        "f1_of_closed_frames": f1(frames),
        "f1_of_blinks_by_fps": {rate: f1(found[rate]) for rate in RATES},
    }


def fade(opened: Relief, closed: Relief, angles: Sequence[float], share: float) -> Image:
    """Return a frame between open and closed eyes."""
    image = opened.draw(angles)
    if share:
        image = np.asarray(cv2.addWeighted(closed.draw(angles), share, image, 1 - share, 0), np.uint8)
    return image


def count(said: NDArray[np.bool_], true: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return hits, false alarms and misses."""
    return np.array([(said & true).sum(), (said & ~true).sum(), (~said & true).sum()])


def f1(counts: NDArray[np.int64]) -> float:
    hits, false, missed = counts.tolist()
    return round(2 * hits / max(2 * hits + false + missed, 1), 4)


def find_blinks(times: Floats, is_closed: Floats) -> list[float]:
    """Return when blinks were counted."""
    eyes, blinks = Eyes(max_step_s=1.0), []
    for time_s, value in zip(times.tolist(), is_closed.tolist(), strict=True):
        before = eyes.n_blinks
        eyes.add(time_s, 0.0, value)
        blinks += [time_s] * (eyes.n_blinks - before)
    return blinks


def match(found: Sequence[float], starts: Floats, ends: Floats) -> NDArray[np.int64]:
    """Return hits, false alarms and misses; a blink is told in the first frame in which the eyes are open again."""
    hits = [any(start < time_s < end + LATE_S for time_s in found) for start, end in zip(starts, ends, strict=True)]
    return np.array([sum(hits), max(len(found) - sum(hits), 0), len(hits) - sum(hits)])


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("pictures", type=Path, nargs="+", help="photographs of people who look into the camera")
    parser.add_argument("--chosen-on", type=Path, nargs="+", required=True, help="the same, of other people")
    parser.add_argument("--clip", type=Path, required=True, help="a film of one person")
    parser.add_argument("--pairs", nargs="+", required=True, metavar="OPEN,CLOSED", help="numbers of frames")
    arguments = parser.parse_args()
    numbers = [(int(a), int(b)) for a, _, b in (pair.partition(",") for pair in arguments.pairs)]
    pairs = load_pairs(arguments.clip, numbers)
    reader = Reader()
    seen = [pairs[0][0], *map(load_picture, arguments.chosen_on)]
    parts = {"unseen": map(load_picture, arguments.pictures), "chosen_on": seen}
    views = {
        part: measure_views(reader, [relief for picture in pictures for relief in reader.find_reliefs(picture)])
        for part, pictures in parts.items()
    }
    write_result("attention", {"views": views, "blinks": measure_blinks(reader, pairs)})


if __name__ == "__main__":
    main()
