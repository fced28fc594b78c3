"""Draw one cartoon face: class index and random stream in, grey picture out; emotion moves brows, eyes and mouth."""

import math
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.study.data.dataset import SIDE_PX

Points = NDArray[np.float64]


@dataclass(frozen=True)
class _Expression:
    """What the emotion moves; 0 is the face at rest, about 1 the full expression."""

    brow_raise: float = 0.0
    brow_frown: float = 0.0
    """Inner ends down; negative: up."""
    eye_open: float = 0.0
    mouth_curve: float = 0.0
    """Corners up; negative: down."""
    mouth_open: float = 0.0
    mouth_width: float = 0.0
    sneer: float = 0.0
    """Wrinkled nose and raised upper lip."""
    teeth: float = 0.0


# In the order of EMOTIONS; after the action units of Ekman and Friesen, Facial Action Coding System, 1978.
_EXPRESSIONS = (
    _Expression(brow_raise=-0.5, brow_frown=1.0, eye_open=-0.2, mouth_curve=-0.45, mouth_width=0.1, teeth=0.3),
    _Expression(brow_raise=-0.4, brow_frown=0.5, eye_open=-0.6, mouth_curve=-0.6, mouth_open=0.15, sneer=1.0),
    _Expression(
        brow_raise=0.6, brow_frown=-0.7, eye_open=0.7, mouth_curve=-0.3, mouth_open=0.4, mouth_width=0.35, teeth=0.5
    ),
    _Expression(brow_raise=0.15, eye_open=-0.35, mouth_curve=1.0, mouth_open=0.35, mouth_width=0.5, teeth=1.0),
    _Expression(brow_raise=0.05, brow_frown=-0.9, eye_open=-0.45, mouth_curve=-0.9, mouth_width=-0.2),
    _Expression(brow_raise=1.0, eye_open=0.8, mouth_open=1.0, mouth_width=-0.45),
    _Expression(),
)

_SPREAD = 0.17
"""Standard deviation of every movement: what makes classes overlap."""


def draw_face(emotion: int, rng: np.random.Generator, size_px: int = SIDE_PX) -> NDArray[np.uint8]:
    """Draw one face that fills a square picture.

    Args:
        emotion: class index.
        rng: decides the person, the strength of the expression, pose and light.
        size_px: side of the picture.

    Returns:
        (size_px, size_px) uint8, grey.
    """
    canvas = _Canvas(rng, size_px)
    # Weak expressions are drawn too; from 0.45 on they can be told from a face at rest.
    strength = rng.uniform(0.45, 1.15)
    full = _EXPRESSIONS[emotion]
    moves = {f.name: getattr(full, f.name) * strength + rng.normal(0, _SPREAD) for f in fields(_Expression)}
    expression = _Expression(**moves)
    person = _Person.draw(rng)
    _draw_head(canvas, person)
    _draw_eyes(canvas, person, expression)
    _draw_nose(canvas, person, expression)
    _draw_mouth(canvas, person, expression)
    _draw_hair(canvas, person)
    return _expose(canvas, rng, size_px)


class _Canvas:
    """A supersampled picture on which points of the face's own frame (-1..1, y down) are drawn in its pose."""

    def __init__(self, rng: np.random.Generator, size_px: int) -> None:
        self.side = max(4 * size_px, 192) if size_px <= 256 else 2 * size_px
        self.image = np.full((self.side, self.side), rng.uniform(20, 235), np.uint8)
        angle, scale = rng.normal(0, 0.08), rng.uniform(0.93, 1.12)
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        self._turn = np.array([[cos, -sin], [sin, cos]]) * self.side / 2
        self._shift = (np.array([1.0, 1.03]) + rng.normal(0, 0.03, 2)) * self.side / 2
        self._yaw = rng.normal(0, 0.06)

    def fill(self, points: Points, grey: float, is_inner: bool = True) -> None:
        cv2.fillPoly(self.image, [self._place(points, is_inner)], float(np.clip(grey, 0, 255)), cv2.LINE_AA, 4)

    def stroke(self, points: Points, grey: float, width: float) -> None:
        thickness = max(round(width * self.side / 2), 1)
        placed = self._place(points, True)
        cv2.polylines(self.image, [placed], False, float(np.clip(grey, 0, 255)), thickness, cv2.LINE_AA, 4)

    def _place(self, points: Points, is_inner: bool) -> NDArray[np.int32]:
        """Turn, scale and shift; what lies on the front of the head moves with the head's turn to the side."""
        moved = points.copy()
        if is_inner:
            moved[:, 0] += self._yaw * (1 - 0.5 * moved[:, 0] ** 2)
        return np.round((moved @ self._turn.T + self._shift) * 16).astype(np.int32)


@dataclass(frozen=True)
class _Person:
    """What makes a face someone's."""

    skin: float
    hair: float
    width: float
    chin: float
    fringe: float
    side_hair: float
    eye_x: float
    eye_y: float
    eye_size: float
    brow: float
    nose: float
    mouth_y: float
    mouth_size: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "_Person":
        skin = rng.uniform(95, 220)
        return cls(
            skin=skin,
            # Hair as light as the skin would hide the head's outline.
            hair=rng.uniform(15, skin - 45) if rng.random() < 0.85 else min(skin + 40, 245),
            width=rng.uniform(0.66, 0.82),
            chin=rng.uniform(0.88, 1.02),
            fringe=rng.uniform(-0.78, -0.55),
            side_hair=rng.choice([0.0, 0.0, rng.uniform(0.3, 1.0)]),
            eye_x=rng.uniform(0.3, 0.36),
            eye_y=rng.uniform(-0.2, -0.12),
            eye_size=rng.uniform(0.85, 1.15),
            brow=rng.uniform(0.045, 0.085),
            nose=rng.uniform(0.8, 1.2),
            mouth_y=rng.uniform(0.46, 0.54),
            mouth_size=rng.uniform(0.26, 0.32),
        )


def _ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    angle = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def _arc(left: tuple[float, float], right: tuple[float, float], bend: float, power: float = 1.0) -> Points:
    """Return a curve from left to right whose middle lies `bend` below the straight line (negative: above).

    A power of 1 gives a parabola, 0.5 half an ellipse.
    """
    t = np.linspace(0, 1, 24)
    x = left[0] + (right[0] - left[0]) * t
    y = left[1] + (right[1] - left[1]) * t + bend * (4 * t * (1 - t)) ** power
    return np.stack([x, y], axis=1)


def _draw_head(canvas: _Canvas, person: _Person) -> None:
    if person.side_hair:
        canvas.fill(_ellipse(0, -0.1, person.width + 0.16, 0.75 + 0.3 * person.side_hair), person.hair, False)
    canvas.fill(_ellipse(0, 1.1, 0.4, 0.5), person.skin * 0.75, False)
    for side in (-1, 1):
        canvas.fill(_ellipse(side * person.width, -0.05, 0.1, 0.18), person.skin * 0.88, False)
    angle = np.linspace(0, 2 * math.pi, 80, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    # Narrower towards the chin than an ellipse.
    x = person.width * x * np.where(y > 0, 1 - 0.22 * y**2, 1)
    canvas.fill(np.stack([x, y * np.where(y > 0, person.chin, 0.95)], axis=1), person.skin, False)


def _draw_hair(canvas: _Canvas, person: _Person) -> None:
    angle = np.linspace(1.1 * math.pi, 1.9 * math.pi, 40)
    top = np.stack([(person.width + 0.06) * np.cos(angle), 1.05 * np.sin(angle)], axis=1)
    line = _arc((top[-1, 0], top[-1, 1]), (top[0, 0], top[0, 1]), person.fringe - top[0, 1], 0.4)
    canvas.fill(np.concatenate([top, line]), person.hair, False)


def _draw_eyes(canvas: _Canvas, person: _Person, move: _Expression) -> None:
    half = 0.15 * person.eye_size
    opening = np.clip(0.085 * (1 + 0.95 * move.eye_open), 0.018, 0.17) * person.eye_size
    for side in (-1.0, 1.0):
        x, y = side * person.eye_x, person.eye_y
        lid = person.skin * 0.3
        upper = _arc((x - half, y), (x + half, y), -opening * 1.1)
        lower = _arc((x + half, y), (x - half, y), opening * 0.9)
        outline = np.concatenate([upper, lower])
        canvas.fill(outline, 245)
        # The iris is cut off by the lids.
        iris = _ellipse(x, y - 0.1 * opening, 0.075 * person.eye_size, 0.075 * person.eye_size)
        iris[:, 1] = np.clip(iris[:, 1], y - opening, y + opening * 0.85)
        canvas.fill(iris, 25)
        canvas.stroke(upper, lid, 0.03)
        canvas.stroke(lower, person.skin * 0.6, 0.015)
        raised = y - 0.24 - 0.13 * move.brow_raise
        inner = (x - side * half * 1.05, raised + 0.1 * move.brow_frown)
        outer = (x + side * half * 1.45, raised - 0.06 * move.brow_frown + 0.02)
        left, right = sorted((inner, outer))
        brow = _arc(left, right, -0.035 - 0.03 * max(move.brow_raise, 0))
        canvas.stroke(brow, min(person.hair, person.skin * 0.5), person.brow)
    if move.brow_frown > 0.35:
        for side in (-1.0, 1.0):
            crease = _arc((side * 0.05, person.eye_y - 0.28), (side * 0.05, person.eye_y - 0.14), 0)
            canvas.stroke(crease, person.skin * 0.72, 0.02)


def _draw_nose(canvas: _Canvas, person: _Person, move: _Expression) -> None:
    half, y = 0.1 * person.nose, 0.2 - 0.04 * move.sneer
    shade = person.skin * 0.68
    canvas.stroke(_arc((-half, y), (half, y), 0.05), shade, 0.03)
    canvas.stroke(np.array([[-half * 0.5, -0.1], [-half * 0.8, y - 0.04]]), person.skin * 0.85, 0.025)
    if move.sneer > 0.4:
        for side in (-1.0, 1.0):
            for i in range(2):
                left, right = sorted(((side * 0.03, -0.08 + 0.08 * i), (side * 0.14, -0.14 + 0.08 * i)))
                canvas.stroke(_arc(left, right, 0), shade, 0.022)
            fold = np.array([[side * half * 1.5, y - 0.03], [side * 0.3, y + 0.2]])
            canvas.stroke(fold, shade, 0.028)


def _draw_mouth(canvas: _Canvas, person: _Person, move: _Expression) -> None:
    half = person.mouth_size * (1 + 0.5 * move.mouth_width)
    y = person.mouth_y - 0.05 * move.sneer
    curve = 0.13 * move.mouth_curve
    opening = 0.34 * max(move.mouth_open, 0) + 0.06 * max(move.teeth, 0) * (move.mouth_open < 0.2)
    left, right = (-half, y - curve), (half, y - curve)
    # A smile pulls the lower lip, a frown the upper one.
    power = 1 - 0.5 * float(np.clip(2 * move.mouth_open, 0, 1))
    upper = _arc(left, right, curve * 1.3 - 0.3 * opening - 0.05 * max(move.sneer, 0), power)
    lower = _arc(left, right, curve * 1.6 + 0.7 * opening, power)
    lip = person.skin * 0.5
    if opening > 0.03:
        outline = np.concatenate([upper, lower[::-1]])
        canvas.fill(outline, 30)
        if move.teeth > 0.25:
            edge = upper.copy()
            edge[:, 1] = np.minimum(upper[:, 1] + 0.45 * np.clip(opening, 0.07, 0.16), lower[:, 1])
            canvas.fill(np.concatenate([upper, edge[::-1]]), 240)
        canvas.stroke(lower, lip, 0.035)
    canvas.stroke(upper, lip * 0.8, 0.04)
    shadow = _arc((-half * 0.5, y + 0.17 + 0.5 * opening), (half * 0.5, y + 0.17 + 0.5 * opening), 0.02)
    canvas.stroke(shadow, person.skin * 0.85, 0.025)
    if move.mouth_curve > 0.5:
        for side in (-1.0, 1.0):
            fold = np.array([[side * 0.22, 0.16], [side * (half + 0.08), y - curve - 0.04]])
            canvas.stroke(fold, person.skin * 0.78, 0.025)


def _expose(canvas: _Canvas, rng: np.random.Generator, size_px: int) -> NDArray[np.uint8]:
    """Add light from one side, contrast, blur and noise; reduce to the final size."""
    image = cv2.resize(canvas.image, (size_px, size_px), interpolation=cv2.INTER_AREA).astype(np.float64)
    angle, depth = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.35)
    ramp = np.linspace(-1, 1, size_px)
    light = 1 + depth * (math.cos(angle) * ramp[None, :] + math.sin(angle) * ramp[:, None]) / math.sqrt(2)
    exposed = 128 + (image * light - 128) * rng.uniform(0.65, 1.1) + rng.normal(0, 12)
    # Blur is in pixels of a 48 px face, so that larger drawings look the same.
    blurred = cv2.GaussianBlur(exposed, (0, 0), rng.uniform(0.2, 0.7) * size_px / SIDE_PX)
    noisy = blurred + rng.normal(0, rng.uniform(2, 7), exposed.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)
