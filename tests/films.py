"""Made-up films and pictures for tests and benchmarks: turned in every way, and cut between two people at one place."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import PIL.Image
import pillow_heif
import skimage

from emoscope.core.types import Faces, Image
from emoscope.media.shots import CutFinder
from emoscope.tracking.track import Tracker

FOUR = np.zeros((48, 64, 3), np.uint8)
"""A picture, BGR, with four corners of their own: blue, green, red and black."""
FOUR[:24, :32], FOUR[:24, 32:], FOUR[24:, :32] = (250, 20, 20), (20, 250, 20), (20, 20, 250)
CORNERS = {1: "bgrk", 2: "gbkr", 3: "krgb", 4: "rkbg", 5: "brgk", 6: "rbkg", 7: "kgrb", 8: "gkbr"}
"""Upper left, upper right, lower left and lower right as they are shown, by orientation (CIPA DC-008, 4.6.4)."""
MATRICES = {
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
}  # fmt: skip
"""The display matrices that show the same (ISO/IEC 14496-12, 8.3.2): a, b, c, d."""


def name_corners(image: Image) -> str:
    """Return what stands where of FOUR's corners."""
    y, x = image.shape[0] // 6, image.shape[1] // 6
    corners = [image[y, x], image[y, -x], image[-y, x], image[-y, -x]]
    return "".join("k" if corner.max() < 128 else "bgr"[int(corner.argmax())] for corner in corners)


def write_turned(path: Path, orientation: int) -> None:
    """Write FOUR as a picture of this EXIF orientation."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    picture = PIL.Image.fromarray(np.ascontiguousarray(FOUR[:, :, ::-1]))
    if path.suffix == ".heic":
        pillow_heif.from_pillow(picture).save(str(path), exif=exif.tobytes(), quality=95)
    else:
        picture.save(path, exif=exif)


def write_film(
    path: Path, first_s: float = 0.0, n: int = 25, codec: str = "libx264", every: int = 5, between: int = 0
) -> Path:
    """Write FOUR, moving, n frames, 25 per second, a key frame every so many, so many B-frames between others."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options={"g": str(every), "bf": str(between)})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(n):
            picture = av.VideoFrame.from_ndarray(np.roll(FOUR, 3 * i, axis=1), format="bgr24")
            picture.pts, picture.time_base = round(first_s * 25) + i, Fraction(1, 25)
            out.mux(stream.encode(picture.reformat(format="yuv420p")))
        out.mux(stream.encode())
    return path


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Overwrite the display matrix of an mp4 or mov file of one track."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    a, b, c, d = (v << 16 for v in matrix)
    data[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    path.write_bytes(data)


def remux_film(path: Path, to: Path) -> Path:
    """Copy the packets into another container, with all that is said of the stream."""
    with av.open(str(path)) as container, av.open(str(to), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return to


SIZE_WH = 320, 180
BOX = np.array([[120, 50, 180, 130]], np.float32)
"""Where the face of whoever is shown lies."""
FPS = 25


def load_two() -> list[Image]:
    """Return pictures of two people, each in front of a wall of their own."""
    astronaut = Path(skimage.__file__).parent / "data" / "astronaut.png"
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    scenes = []
    for path, (x1, y1, x2, y2), ground in (
        (astronaut, (178, 63, 268, 176), (90, 120, 60)),
        (hopper, (183, 120, 353, 333), (60, 60, 110)),
    ):
        # The face comes to lie on BOX.
        matrix = np.array(
            [[60 / (x2 - x1), 0, 120 - 60 * x1 / (x2 - x1)], [0, 80 / (y2 - y1), 50 - 80 * y1 / (y2 - y1)]]
        )
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        scenes.append(np.asarray(cv2.warpAffine(image, matrix, SIZE_WH, borderValue=ground), np.uint8))
    return scenes


def play_shots(people: list[Image], length: int, blend: int) -> Iterator[tuple[int, Image]]:
    """Yield who is seen, -1 for a blend, and the picture; six shots with a little noise and movement."""
    noises = np.random.default_rng(0).normal(0, 2, (8, SIZE_WH[1], SIZE_WH[0], 3)).astype(np.float32)
    for k in range(6 * length):
        shot, at = divmod(k, length)
        share = (at + 1) / (blend + 1) if shot and at < blend else 1.0
        picture = people[shot % 2] * share + people[(shot + 1) % 2] * (1 - share)
        moved = np.roll(picture.astype(np.float32), round(2 * np.sin(k / 5)), axis=1) + noises[k % 8]
        # That a blend is over shows one frame later.
        yield -1 if shot and blend and at <= blend else shot % 2, np.clip(moved, 0, 255).astype(np.uint8)


def follow_shots(
    people: list[Image], length: int, blend: int, every: int = 1
) -> tuple[set[tuple[int, int]], list[int]]:
    """Return the pairs of person, -1 for a blend, and number, and the frames at which a shot begins."""
    cuts, tracker = CutFinder(), Tracker()
    pairs, begins = set(), []
    for k, (person, image) in enumerate(play_shots(people, length, blend)):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
        if cuts.add(frame):
            begins.append(k)
        if k % every:
            continue
        faces = tracker.update(Faces(BOX, np.ones(1, np.float32)), k / FPS, image, cuts.n_breaks, cuts.is_blend)
        assert faces.track_id is not None
        pairs.add((person, int(faces.track_id[0])))
    return pairs, begins


def are_two(pairs: set[tuple[int, int]]) -> bool:
    """Say whether each person has one number, and nobody else has any."""
    return {number for _, number in pairs} == {1, 2} and pairs.isdisjoint({(0, 2), (1, 1)})
