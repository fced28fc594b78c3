"""Sequences: a folder of numbered pictures in, a film's frames in the order of their numbers out."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emoscope.core.errors import InputError
from emoscope.core.headers import is_cut_off
from emoscope.core.manifest import find_files
from emoscope.core.picture import load_picture
from emoscope.core.timecode import Span
from emoscope.core.types import Frame
from emoscope.media.shots import CutFinder

if TYPE_CHECKING:
    from emoscope.media.source import Source

PICTURE_SUFFIXES: Final = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".png",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".webp",
        ".jp2",
        ".pbm",
        ".pgm",
        ".ppm",
        ".pnm",
        ".avif",
        ".heic",
        ".heif",
        ".hif",
    ]
)
MAX_HOLES_SAID: Final = 3
"""Holes that a message names one by one."""


def find_sequence(folder: Path) -> list[Path]:
    """Return a folder's pictures in the order of the last number in their names: frame2 before frame10.

    Raises:
        InputError: it is no folder, holds no pictures, or the numbers are not one after the other.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of numbered pictures; leave out --sequence, or name a folder")
    files = [p for p in find_files(folder)[0] if p.parent == folder and not p.name.startswith(".")]
    pictures = [p for p in files if p.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        raise InputError(f"the folder {folder} holds no pictures; expected numbered ones, such as frame1.png")
    numbered: dict[int, Path] = {}
    for path in pictures:
        found = re.search(r"(\d+)\D*$", path.stem, re.ASCII)
        if found is None:
            raise InputError(f"{path} has no number in its name; move it out of the folder, or number it")
        number = int(found[1])
        if number in numbered:
            raise InputError(
                f"{numbered[number]} and {path.name} have the same number; keep one sequence only in the folder"
            )
        numbered[number] = path
    numbers = sorted(numbered)
    if holes := [(a + 1, b - 1) for a, b in itertools.pairwise(numbers) if b - a > 1]:
        said = [f"{a}" if a == b else f"{a} to {b}" for a, b in holes[:MAX_HOLES_SAID]]
        more = f" and {len(holes) - MAX_HOLES_SAID} more times" if len(holes) > MAX_HOLES_SAID else ""
        raise InputError(
            f"the pictures in {folder} have the numbers {numbers[0]} to {numbers[-1]}, but {', '.join(said)}{more} "
            "is missing; add what is missing, or number them anew without a hole"
        )
    return [numbered[number] for number in numbers]


def read_sequence(source: "Source", fps: float) -> Iterator[Frame]:
    """Yield the frames of a sequence; a picture that cannot be read is a gap.

    Args:
        source: its pictures are read; what is found is noted there.
        fps: pictures per second.

    Raises:
        InputError: none can be read, or there are none in the time that was asked for.
    """
    from av import VideoFrame

    cuts, given_s = CutFinder(), None
    source.frame_rate, source.length_s = fps, len(source.pictures) / fps
    for index, path in enumerate(source.pictures):
        time_s, end_s = index / fps, (index + 1) / fps
        if source.stop.is_set() or (source.end_s is not None and time_s >= source.end_s):
            break
        source.frames_read, source.duration_s = index + 1, end_s
        if time_s < source.start_s:
            continue
        try:
            image = load_picture(path)
        except InputError as e:
            source.problems.append(str(e))
            source.add_unread(Span(time_s, end_s), 1 / fps)
            continue
        if is_cut_off(path):
            source.problems.append(f"{path} is cut off; what is there of the picture was analysed")
        if cuts.add(VideoFrame.from_ndarray(image, format="bgr24")) and given_s is not None:
            source.cuts.append(time_s)
        if source.every.is_due(index, time_s, given_s):
            given_s = time_s
            shot = len(source.cuts) + 1
            yield Frame(image, index, time_s, source.label, shot, cuts.n_breaks, cuts.is_blend)
    if given_s is None and not source.stop.is_set():
        if source.problems:
            raise InputError(f"{source.label}: none of its pictures can be read; first: {source.problems[0]}")
        raise source.explain_nothing(0.0)
