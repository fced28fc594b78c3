"""Seed files of each kind, and mutations of them: bit flips, truncation, swapped headers and the like.

Everything follows from (seed, kind, number): a finding is made again by its three words.
"""

import importlib.util
import os
import tempfile
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

KINDS = ("mp4", "webm", "jpg", "png", "gif", "webp")
TRUNCATIONS_THAT_KEEP_THE_INDEX = ("faststart", "webm", "gif", "fragmented")
"""Names of seeds whose index, if they have one, stands in front: what comes before a cut can be read."""


def read_portraits() -> list[NDArray[np.uint8]]:
    """Return public-domain portraits from installed packages, 160 x 120."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None and spec.origin is not None
    face = cv2.imread(str(Path(spec.origin).parent / "data" / "astronaut.png"))[0:300, 80:380]
    return [np.asarray(cv2.resize(face[y : y + 225], (160, 120)), np.uint8) for y in (0, 20, 40)]


def _encode_video(
    frames: list[NDArray[np.uint8]], form: str, codec: str, options: dict[str, str], **container: str
) -> bytes:
    # A real file: the muxer opens it again to put the index in front.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed.{form}"
        _write_video(path, frames, codec, options, container)
        return path.read_bytes()


def _write_video(
    path: Path, frames: list[NDArray[np.uint8]], codec: str, options: dict[str, str], container: dict[str, str]
) -> None:
    with av.open(str(path), "w", options=container) as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for i, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            # A gap in the middle: times are not counted, they are read.
            picture.pts, picture.time_base = i + 5 * (i > 9), Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())


def create_seeds() -> dict[str, dict[str, bytes]]:
    """Return files in memory by kind and name; some have a face, all are small."""
    # SVT-AV1 greets on stderr otherwise.
    os.environ.setdefault("SVT_LOG", "1")
    faces = read_portraits()
    moving = [np.ascontiguousarray(np.roll(faces[i % 3 == 2], 3 * i, axis=1)) for i in range(18)]
    small = [np.ascontiguousarray(image[::2, ::2][:48, :64]) for image in moving]
    picture, fast = faces[0], {"preset": "ultrafast", "g": "8"}
    b_frames = {"preset": "veryfast", "g": "12", "bf": "2"}
    gif = [cv2.resize(image, (96, 72)) for image in moving]

    def encode(suffix: str, image: NDArray[np.uint8], *parameters: int) -> bytes:
        return bytes(cv2.imencode(suffix, image, parameters)[1])

    animation = cv2.Animation()
    animation.frames, animation.durations = gif[:6], np.full(6, 40, np.int32)
    return {
        "mp4": {
            "faststart": _encode_video(moving, "mp4", "libx264", b_frames, movflags="+faststart"),
            "faststart small": _encode_video(small, "mp4", "libx264", fast, movflags="+faststart"),
            "index behind": _encode_video(small, "mp4", "libx264", b_frames),
            "fragmented": _encode_video(small, "mp4", "libx264", fast, movflags="frag_keyframe+empty_moov"),
            "faststart mpeg4": _encode_video(small, "mp4", "mpeg4", {}, movflags="+faststart"),
        },
        "webm": {
            "webm vp8": _encode_video(moving, "webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"}),
            "webm vp9": _encode_video(small, "webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
            "webm av1": _encode_video(small, "webm", "libsvtav1", {"preset": "12"}),
        },
        "jpg": {
            "baseline": encode(".jpg", picture),
            "progressive": encode(".jpg", picture, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
            "grey": encode(".jpg", picture[:, :, 1], cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
        },
        "png": {
            "colour": encode(".png", picture[::2, ::2]),
            "alpha": encode(".png", np.dstack([picture, picture[:, :, 1]])[::2, ::2]),
            "deep": encode(".png", picture[::2, ::2].astype(np.uint16) * 257),
            "animated": bytes(cv2.imencodeanimation(".png", animation)[1]),
        },
        "gif": {
            "gif small": _encode_video(small, "gif", "gif", {}),
            "gif": bytes(cv2.imencodeanimation(".gif", animation)[1]),
        },
        "webp": {
            "still": encode(".webp", picture),
            "animated": bytes(cv2.imencodeanimation(".webp", animation)[1]),
        },
    }


Random = np.random.Generator


def flip_bits(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    for at in random.integers(0, len(data), 2 ** random.integers(0, 7)):
        data[at] ^= 1 << random.integers(0, 8)
    return data


def flip_header_bits(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    for at in random.integers(0, min(len(data), 1024), 2 ** random.integers(0, 4)):
        data[at] ^= 1 << random.integers(0, 8)
    return data


def overwrite_run(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    at, n = random.integers(0, len(data)), int(random.integers(1, 200))
    data[at : at + n] = random.bytes(n)
    return data


def set_extreme_number(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    at = int(random.integers(0, min(len(data), 2048)))
    n = int(random.choice([1, 2, 4, 8]))
    data[at : at + n] = [b"\xff" * n, b"\x7f" + b"\xff" * (n - 1), b"\0" * n, b"\x80" + b"\0" * (n - 1)][
        random.integers(0, 4)
    ]
    return data


def truncate(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    return data[: random.integers(1, len(data))]


def swap_header(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    n = int(2 ** random.integers(2, 10))
    data[:n] = donors[random.integers(0, len(donors))][:n]
    return data


def repeat_block(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    at, n = random.integers(0, len(data)), int(random.integers(1, 2000))
    return data[: at + n] + data[at:]


def remove_block(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    at, n = random.integers(0, len(data)), int(random.integers(1, 500))
    return data[:at] + data[at + n :]


def zero_block(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    at = int(random.integers(0, len(data)))
    n = min(len(data) - at, int(random.integers(1, 500)))
    data[at : at + n] = bytes(n)
    return data


def splice(data: bytearray, random: Random, donors: list[bytes]) -> bytearray:
    donor = donors[random.integers(0, len(donors))]
    return data[: random.integers(1, len(data))] + donor[random.integers(0, len(donor)) :]


MUTATIONS: tuple[Callable[[bytearray, Random, list[bytes]], bytearray], ...] = (
    flip_bits,
    flip_header_bits,
    overwrite_run,
    set_extreme_number,
    truncate,
    truncate,
    swap_header,
    repeat_block,
    remove_block,
    zero_block,
    splice,
)


def mutate(seeds: dict[str, dict[str, bytes]], kind: str, seed: int, number: int) -> tuple[str, str, bytes]:
    """Return the seed's name, the mutation's name and the mutated file."""
    random = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
    name = str(random.choice(list(seeds[kind])))
    change = MUTATIONS[random.integers(0, len(MUTATIONS))]
    donors = [data for files in seeds.values() for data in files.values()]
    data = change(bytearray(seeds[kind][name]), random, donors)
    if kind == "png" and random.integers(0, 2):
        data = _mend_checksums(data)
    return name, change.__name__, bytes(data or b"\0")


def _mend_checksums(data: bytearray) -> bytearray:
    """Make a PNG's chunks valid again, so that the damage gets past the first check."""
    at = 8
    while at + 12 <= len(data):
        n = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + n > len(data):
            break
        data[at + 8 + n : at + 12 + n] = zlib.crc32(data[at + 4 : at + 8 + n]).to_bytes(4, "big")
        at += 12 + n
    return data
