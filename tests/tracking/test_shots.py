"""Shot and reverse shot: heads at one place, shots of any length, cut hard or blended; each person keeps a number."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import pytest

from emoscope.core.types import Faces, Image
from emoscope.media.shots import CutFinder
from emoscope.tracking.track import Tracker

SIZE_WH = 320, 180
BOX = np.array([[120, 50, 180, 130]], np.float32)
FPS = 25


@pytest.fixture(scope="module")
def people(portrait: Image) -> list[Image]:
    hopper = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    assert hopper is not None
    scenes = []
    for image, (x1, y1, x2, y2), ground in (
        (portrait, (178, 63, 268, 176), (90, 120, 60)),
        (np.asarray(hopper, np.uint8), (183, 120, 353, 333), (60, 60, 110)),
    ):
        # The face comes to lie on BOX.
        matrix = np.array(
            [[60 / (x2 - x1), 0, 120 - 60 * x1 / (x2 - x1)], [0, 80 / (y2 - y1), 50 - 80 * y1 / (y2 - y1)]]
        )
        scenes.append(np.asarray(cv2.warpAffine(image, matrix, SIZE_WH, borderValue=ground), np.uint8))
    return scenes


def film(people: list[Image], length: int, blend: int) -> Iterator[tuple[int, Image]]:
    """Yield who is seen, -1 for a blend, and the picture; six shots with a little noise and movement."""
    noises = np.random.default_rng(0).normal(0, 2, (8, SIZE_WH[1], SIZE_WH[0], 3)).astype(np.float32)
    for k in range(6 * length):
        shot, at = divmod(k, length)
        share = (at + 1) / (blend + 1) if shot and at < blend else 1.0
        picture = people[shot % 2] * share + people[(shot + 1) % 2] * (1 - share)
        moved = np.roll(picture.astype(np.float32), round(2 * np.sin(k / 5)), axis=1) + noises[k % 8]
        # That a blend is over shows one frame later.
        yield -1 if shot and blend and at <= blend else shot % 2, np.clip(moved, 0, 255).astype(np.uint8)


def follow(people: list[Image], length: int, blend: int, every: int = 1) -> tuple[set[tuple[int, int]], list[int]]:
    """Return the pairs of person and number, and the frames at which a shot begins."""
    cuts, tracker = CutFinder(), Tracker()
    pairs, begins = set(), []
    for k, (person, image) in enumerate(film(people, length, blend)):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
        if cuts.add(frame):
            begins.append(k)
        if k % every:
            continue
        faces = tracker.update(Faces(BOX, np.ones(1, np.float32)), k / FPS, image, cuts.n_breaks, cuts.is_blend)
        assert faces.track_id is not None
        if person >= 0:
            pairs.add((person, int(faces.track_id[0])))
    return pairs, begins


@pytest.mark.parametrize("length", [12, 17, 25, 40])
def test_hard_cuts(length: int, people: list[Image]) -> None:
    pairs, begins = follow(people, length, 0)
    assert begins == [i * length for i in range(1, 6)]
    assert pairs == {(0, 1), (1, 2)}


@pytest.mark.parametrize(("length", "blend"), [(24, 5), (40, 8), (40, 12)])
def test_blends(length: int, blend: int, people: list[Image]) -> None:
    pairs, begins = follow(people, length, blend)
    # One frame after the blend at the latest: only there it shows that it is over.
    assert len(begins) == 5 and all(0 <= k - i * length <= blend + 1 for i, k in enumerate(begins, 1))
    assert pairs == {(0, 1), (1, 2)}


@pytest.mark.parametrize("every", [12, 50])
def test_few_frames(every: int, people: list[Image]) -> None:
    assert follow(people, 80, 0, every)[0] == {(0, 1), (1, 2)}


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


def test_by_way_of_black(people: list[Image]) -> None:
    """The black between may count as a shot."""
    shares = [*[1.0] * 20, *np.linspace(1, 0, 10), *np.linspace(0, 1, 10), *[1.0] * 20]
    begins = find_cuts((people[k >= 30] * share).astype(np.uint8) for k, share in enumerate(shares))
    assert 39 <= begins[-1] <= 41 and len(begins) <= 2
