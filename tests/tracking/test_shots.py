"""Shot and reverse shot: heads at one place, shots of any length, cut hard or blended; each person keeps a number."""

from collections.abc import Callable, Iterable

import av
import cv2
import numpy as np
import pytest

from emoscope.core.types import Image
from emoscope.media.shots import CutFinder
from films import SIZE_WH, are_two, follow_shots, load_two


@pytest.fixture(scope="module")
def people() -> list[Image]:
    return load_two()


@pytest.mark.parametrize("length", [12, 17, 25, 40])
def test_hard_cuts(length: int, people: list[Image]) -> None:
    pairs, begins = follow_shots(people, length, 0)
    assert begins == [i * length for i in range(1, 6)]
    assert are_two(pairs)


@pytest.mark.parametrize(("length", "blend"), [(24, 5), (28, 8), (40, 8), (48, 8), (40, 12)])
def test_blends(length: int, blend: int, people: list[Image]) -> None:
    pairs, begins = follow_shots(people, length, blend)
    # One frame after the blend at the latest: only there it shows that it is over.
    assert len(begins) == 5 and all(0 <= k - i * length <= blend + 1 for i, k in enumerate(begins, 1))
    assert are_two(pairs)


@pytest.mark.parametrize("every", [12, 50])
def test_few_frames(every: int, people: list[Image]) -> None:
    assert are_two(follow_shots(people, 80, 0, every)[0])


def find_cuts(pictures: Iterable[Image]) -> list[int]:
    cuts = CutFinder()
    frames = (av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p") for picture in pictures)
    return [k for k, frame in enumerate(frames) if cuts.add(frame)]


def move(picture: Image, x: float, ground: Image | None = None) -> Image:
    """A picture moved to the right, over another one or over itself again."""
    matrix = np.array([[1, 0, x], [0, 1, 0]])
    if ground is None:
        return cv2.warpAffine(picture, matrix, SIZE_WH, borderMode=cv2.BORDER_WRAP)
    there = cv2.warpAffine(np.full_like(picture, 255), matrix, SIZE_WH) > 127
    return np.where(there, cv2.warpAffine(picture, matrix, SIZE_WH), ground)


EASED = [*[0.0] * 20, *[0.5 - 0.5 * np.cos(np.pi * k / 25) for k in range(26)], *[1.0] * 20]
"""Still, then from 0 to 1 within a second as people and cameras move, then still."""


@pytest.mark.parametrize("kind", ["somebody comes in", "the camera pans", "it grows dark", "the camera nears"])
def test_what_is_no_cut(kind: str, people: list[Image]) -> None:
    make: Callable[[float], Image] = {
        "somebody comes in": lambda at: move(people[0], SIZE_WH[0] * (1 - 0.6 * at), people[1]),
        "the camera pans": lambda at: move(people[0], 150 * at),
        "it grows dark": lambda at: (people[0] * (1 - 0.5 * at)).astype(np.uint8),
        "the camera nears": lambda at: cv2.warpAffine(
            people[0], cv2.getRotationMatrix2D((150.0, 90.0), 0, 1 + 0.8 * at), SIZE_WH, borderMode=cv2.BORDER_REFLECT
        ),
    }[kind]
    noise = np.random.default_rng(0).normal(0, 2, (180, 320, 3))
    assert find_cuts(np.clip(make(at) + noise, 0, 255).astype(np.uint8) for at in EASED) == []


@pytest.mark.parametrize("kind", ["somebody sways", "the camera is on its way"])
def test_movement_is_no_cut(kind: str, portrait: Image) -> None:
    shown, grey = portrait[:360], np.full((360, 640, 3), 90, np.uint8)
    ways = [20 * np.sin(k / 8) for k in range(75)] if kind == "somebody sways" else [10.0 * k for k in range(8)]
    pictures = []
    for x in ways:
        picture = grey.copy()
        picture[:, 30 + round(x) : 542 + round(x)] = shown
        pictures.append(picture)
    assert find_cuts(pictures) == []


def test_by_way_of_black(people: list[Image]) -> None:
    """The black between may count as a shot."""
    shares = [*[1.0] * 20, *np.linspace(1, 0, 10), *np.linspace(0, 1, 10), *[1.0] * 20]
    begins = find_cuts((people[k >= 30] * share).astype(np.uint8) for k, share in enumerate(shares))
    assert 39 <= begins[-1] <= 41 and len(begins) <= 2
