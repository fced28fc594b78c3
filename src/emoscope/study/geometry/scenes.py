"""Scenes: faces without pictures around them in; made-up pictures with known faces in them out.

FER2013 has real faces and no pictures, so pictures are made: a background, people of which only the face is real, and
things that are no faces under the same masks, so that no seam gives a face away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError

Grey = NDArray[np.uint8]
Spot = tuple[float, float, float, float]
"""x, y, side and turn of a face."""

SIDE_PX = 192
"""Side of a scene."""
FACE_PX = (11.0, 150.0)
"""Smallest and largest face, drawn evenly on a logarithmic scale."""
BOX_PER_FACE = 1 / 0.97
"""A detector's box of a face over FER2013's square of it; results/crop_margin.json."""
MAX_TRIES = 8
BACKGROUND_PX = 1024
"""Larger backgrounds are reduced to this: a scene shows a piece of one at a quarter of it."""
PATCH = 96
"""People are drawn at this side, their faces 48 px wide in it, and shrunk or enlarged into the scene."""


@dataclass(frozen=True)
class Scene:
    """A picture and its faces."""

    image: Grey
    """(SIDE_PX, SIDE_PX)."""
    faces: NDArray[np.float32]
    """(n, 4): centre x and y, side of the box, in pixels; radians by which the face is turned, clockwise."""


def load_backgrounds(places: Sequence[Path]) -> list[Grey]:
    """Load pictures without faces.

    Args:
        places: files and folders of pictures.

    Raises:
        InputError: there is none.
    """
    files = [f for place in places for f in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    pictures = [cv2.imread(str(f), cv2.IMREAD_GRAYSCALE) for f in files if f.is_file()]
    found = [_reduce(np.asarray(p, np.uint8)) for p in pictures if p is not None and min(p.shape) >= 64]
    if places and not found:
        raise InputError(f"there is no picture in {', '.join(map(str, places))}; name other places of backgrounds")
    return found


def _reduce(picture: Grey) -> Grey:
    scale = BACKGROUND_PX / max(picture.shape)
    return (
        picture
        if scale >= 1
        else np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    )


def create_scene(faces: Grey, backgrounds: list[Grey], rng: np.random.Generator) -> Scene:
    """Make a picture.

    Args:
        faces: (n, 48, 48) to choose from.
        backgrounds: pictures without faces; there may be none.
        rng: the only randomness.
    """
    image = create_background(backgrounds, rng).astype(np.float32)
    people: list[tuple[Spot, bool]] = []
    n_faces, n_others = rng.choice(6, p=(0.1, 0.3, 0.25, 0.15, 0.1, 0.1)), rng.integers(0, 4)
    for is_face in (*[True] * n_faces, *[False] * n_others):
        spot = _find_place([taken for taken, _ in people], rng)
        people += [] if spot is None else [(spot, is_face)]
    # From above downwards: who stands lower stands in front, so that no shoulders cover a face.
    for spot, is_face in sorted(people, key=lambda person: person[0][1]):
        face = faces[rng.integers(len(faces))] if is_face else _create_no_face(faces, backgrounds, rng)
        _paint_person(image, face, spot, rng)
    boxes = [(x, y, side * BOX_PER_FACE, turn) for (x, y, side, turn), is_face in people if is_face]
    return Scene(_photograph(image, rng), np.array(boxes, np.float32).reshape(-1, 4))


def create_background(backgrounds: list[Grey], rng: np.random.Generator) -> Grey:
    """Return a piece of a picture, or a drawn texture (SIDE_PX, SIDE_PX)."""
    if backgrounds and rng.random() < 0.75:
        picture = backgrounds[rng.integers(len(backgrounds))]
        h, w = picture.shape
        side = int(min(h, w) * rng.uniform(0.2, 1.0))
        y, x = rng.integers(h - side + 1), rng.integers(w - side + 1)
        piece = cv2.resize(picture[y : y + side, x : x + side], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        return np.asarray(piece[:, ::-1] if rng.random() < 0.5 else piece, np.uint8)
    cells = int(2 ** rng.uniform(1, 6))
    noise = rng.normal(rng.uniform(40, 210), rng.uniform(2, 70), (cells, cells)).astype(np.float32)
    smooth = cv2.resize(noise, (SIDE_PX, SIDE_PX), interpolation=int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_CUBIC])))
    return np.clip(smooth, 0, 255).astype(np.uint8)


def _find_place(taken: Sequence[Spot], rng: np.random.Generator) -> Spot | None:
    """Return x, y, side and turn of a face that covers no other; the picture's edge may cut it a little."""
    for _ in range(MAX_TRIES):
        side = float(np.exp(rng.uniform(*np.log(FACE_PX))))
        x, y = rng.uniform(0.3 * side, SIDE_PX - 0.3 * side, 2) if 0.6 * side < SIDE_PX else (SIDE_PX / 2,) * 2
        # Most people hold their head upright.
        turn = rng.normal(0, 0.25) if rng.random() < 0.8 else rng.uniform(-1.0, 1.0)
        if all(max(abs(x - a), abs(y - b)) > 0.6 * (side + s) for a, b, s, _ in taken):
            return float(x), float(y), side, float(turn)
    return None


def _create_no_face(faces: Grey, backgrounds: list[Grey], rng: np.random.Generator) -> Grey:
    """Return (48, 48) that looks like skin and has edges like a face, and is none."""
    face = faces[rng.integers(len(faces))]
    kind = rng.integers(5)
    if kind == 0:
        tiles = face.reshape(4, 12, 4, 12).transpose(0, 2, 1, 3).reshape(16, 12, 12)
        return rng.permutation(tiles).reshape(4, 4, 12, 12).transpose(0, 2, 1, 3).reshape(48, 48)
    if kind == 1:
        return np.asarray(255 - face, np.uint8)
    if kind == 2:
        return np.asarray(cv2.GaussianBlur(face, (0, 0), rng.uniform(6, 12)), np.uint8)
    if kind == 3:
        # Half a face twice: an ear or a cheek.
        half = face[:, :24] if rng.random() < 0.5 else face[:, 24:]
        return np.hstack([half, half])
    return np.asarray(cv2.resize(create_background(backgrounds, rng), (48, 48), interpolation=cv2.INTER_AREA), np.uint8)


def _paint_person(image: NDArray[np.float32], face: Grey, spot: Spot, rng: np.random.Generator) -> None:
    """Draw head, neck and shoulders around a face into a scene."""
    x, y, side, turn = spot
    patch, mask = _draw_person(face[:, ::-1] if rng.random() < 0.5 else face, rng)
    scale = side / 48
    matrix = cv2.getRotationMatrix2D(((PATCH - 1) / 2, (PATCH - 1) / 2), -np.degrees(turn), scale)
    matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + (x - PATCH / 2, y - PATCH / 2)])
    if scale < 1:
        # What is shrunk must be softened before, or edges flicker as no lens makes them.
        patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), 0.45 / scale), np.float32)
    size = image.shape[1], image.shape[0]
    painted = cv2.warpAffine(patch, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)
    image += share * (painted - image)
    if rng.random() < 0.12:
        _cover(image, x, y, side, rng)


def _draw_person(face: Grey, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a person (PATCH, PATCH) whose face is in the middle, and how much of each pixel is theirs."""
    middle, skin = PATCH // 2, float(np.median(face))
    patch = np.full((PATCH, PATCH), skin, np.float32)
    mask = np.zeros((PATCH, PATCH), np.float32)
    if rng.random() < 0.75:
        cloth, hair = rng.uniform(5, 250, 2)
        shoulders = middle + int(rng.uniform(24, 34))
        wide = int(rng.uniform(30, 60))
        for part in (patch, mask):
            tone = cloth if part is patch else 1.0
            cv2.ellipse(part, (middle, shoulders + 22), (wide, 22), 0, 180, 360, float(tone), -1)
            cv2.rectangle(part, (middle - wide, shoulders + 22), (middle + wide, PATCH), float(tone), -1)
        neck = int(rng.uniform(8, 14))
        for part, tone in ((patch, skin * rng.uniform(0.6, 1.0)), (mask, 1.0)):
            cv2.rectangle(part, (middle - neck, middle), (middle + neck, shoulders + 6), float(tone), -1)
        top = int(rng.uniform(0, 6))
        axes = int(rng.uniform(22, 32)), int(rng.uniform(26, 36))
        for part, tone in ((patch, hair), (mask, 1.0)):
            cv2.ellipse(part, (middle, middle - top), axes, 0, 0, 360, float(tone), -1)
    # The face itself, under masks of many shapes: an oval, or nearly the square that FER2013 shows.
    rows, columns = (np.mgrid[:48, :48] - 23.5) / 24
    power = rng.uniform(2, 6)
    wide, high = rng.uniform(0.75, 1.0, 2)
    distance = (np.abs(columns / wide) ** power + np.abs(rows / high) ** power) ** (1 / power)
    oval = np.clip((1 - distance) / rng.uniform(0.05, 0.35), 0, 1).astype(np.float32)
    inner = slice(middle - 24, middle + 24)
    patch[inner, inner] += oval * (face.astype(np.float32) - patch[inner, inner])
    mask[inner, inner] = np.maximum(mask[inner, inner], oval)
    return patch, np.asarray(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.4, 1.5)), np.float32)


def _cover(image: NDArray[np.float32], x: float, y: float, side: float, rng: np.random.Generator) -> None:
    """Paint a band over less than half of a face: a hand, a cup, somebody's shoulder."""
    angle = rng.uniform(0, 2 * np.pi)
    centre = int(x + 0.5 * side * np.cos(angle)), int(y + 0.5 * side * np.sin(angle))
    axes = max(1, int(side * rng.uniform(0.15, 0.35))), max(1, int(side * rng.uniform(0.15, 0.35)))
    cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0, 255)), -1)


def _photograph(image: NDArray[np.float32], rng: np.random.Generator) -> Grey:
    """Light, soften, add noise and compress a scene, as cameras do."""
    if rng.random() < 0.5:
        # Light from one side.
        ramp = np.linspace(rng.uniform(0.5, 1), rng.uniform(0.5, 1), image.shape[1], dtype=np.float32)
        image = image * (ramp if rng.random() < 0.5 else ramp[:, None])
    light = 255 * (np.clip(image, 0, 255) / 255) ** float(np.exp(rng.normal(0, 0.35)))
    light = (light - 128) * float(rng.uniform(0.5, 1.15)) + 128 + float(rng.normal(0, 20))
    if rng.random() < 0.35:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(0.4, 1.6)), np.float32)
    if rng.random() < 0.5:
        light = light + rng.normal(0, rng.uniform(1, 12), light.shape).astype(np.float32)
    return np.clip(light, 0, 255).astype(np.uint8)
