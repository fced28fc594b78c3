"""Faces and heat maps for the report: a result's folder in, data URIs within a budget of bytes out."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from emoscope.tables.curation import Curation

MAX_BYTES = 2_000_000
"""The report's size for ten minutes of video, pictures included."""
FILE_NAME = re.compile(r"p(\d+)-(\d+(?:\.\d+)?)s\.jpg")
JPEG = b"\xff\xd8\xff"
"""How a file begins that is one."""
VIDEO = "annotated.mp4"


@dataclass(frozen=True)
class Picture:
    """One inlined picture."""

    track_id: int
    time_s: float
    data: str
    """JPEG in base64."""

    @property
    def uri(self) -> str:
        """The picture as an address that needs no file."""
        return f"data:image/jpeg;base64,{self.data}"


@dataclass(frozen=True)
class Images:
    """What lies beside the report."""

    thumbnails: dict[int, list[Picture]] = field(default_factory=dict)
    """By track_id, in the order of time."""
    explanations: dict[int, list[Picture]] = field(default_factory=dict)
    videos: tuple[tuple[str, str], ...] = ()
    """What each video is called and its address, from the report: the recording itself, the annotated one."""
    n_left_out: int = 0
    """Pictures that lie there and were left out for the report's size."""


def find_videos(folder: Path, source: str) -> tuple[tuple[str, str], ...]:
    """Find what a report in this folder can play: the recording, in the folder or beside it, and annotated.mp4.

    Args:
        folder: where the report will lie.
        source: the recording's path as it was given. A file of its name that is another one is left alone.
    """
    path = Path(source)
    found: list[tuple[str, str]] = []
    for place, address in ((folder, ""), (folder.resolve().parent, "../")):
        beside = place / path.name
        is_it = path.name and beside.is_file() and (not path.is_file() or path.samefile(beside))
        if is_it and not found:
            found.append(("Recording", address + quote(path.name)))
    if (folder / VIDEO).is_file():
        found.append(("Annotated", VIDEO))
    return tuple(found)


def load_images(folder: Path | None, n_bytes: int) -> Images:
    """Read a result's thumbnails and heat maps, as many as fit.

    Args:
        folder: where the report will lie; None for a report that stands alone.
        n_bytes: how much they may add to the document. Where they are more, they are thinned evenly over time.
    """
    if folder is None:
        return Images()
    # Heat maps are few and were asked for one by one: they come first.
    explanations, left, n_dropped = _load(folder / "explanations", n_bytes)
    thumbnails, _, n_dropped_too = _load(folder / "thumbnails", left)
    return Images(thumbnails, explanations, n_left_out=n_dropped + n_dropped_too)


def select_images(images: Images, people: Curation) -> Images:
    """Return the pictures by the person that they count as, without those that count nowhere."""

    def select(pictures: Mapping[int, list[Picture]]) -> dict[int, list[Picture]]:
        found: dict[int, list[Picture]] = {}
        for picture in (one for own in pictures.values() for one in own):
            whose, time_s = np.array([picture.track_id]), np.array([picture.time_s])
            if people.find_counted(whose, time_s)[0]:
                found.setdefault(int(people.rename(whose)[0]), []).append(picture)
        return {track_id: sorted(own, key=lambda picture: picture.time_s) for track_id, own in found.items()}

    return replace(images, thumbnails=select(images.thumbnails), explanations=select(images.explanations))


def find_nearest(pictures: Mapping[int, list[Picture]], track_id: int, time_s: float) -> Picture | None:
    """Return a person's picture nearest to a time, if there is any."""
    return min(pictures.get(track_id, ()), key=lambda picture: abs(picture.time_s - time_s), default=None)


def _load(folder: Path, n_bytes: int) -> tuple[dict[int, list[Picture]], int, int]:
    """Return the pictures by person, the bytes left and how many were left out."""
    matches = [(FILE_NAME.fullmatch(path.name), path) for path in sorted(folder.glob("*.jpg"))]
    files = [(float(match[2]), int(match[1]), path) for match, path in matches if match and _is_picture(path)]
    sizes = [4 * -(-path.stat().st_size // 3) + 40 for *_, path in files]
    by_person: dict[int, list[int]] = {}
    for i in sorted(range(len(files)), key=lambda i: files[i][:2]):
        by_person.setdefault(files[i][1], []).append(i)
    step = 1
    kept = _thin(by_person, step)
    # One of two, one of three ... of each person's, so that what stays is spread over time and over people.
    while kept and sum(sizes[i] for i in kept) > n_bytes:
        step += 1
        kept = _thin(by_person, step) if step <= len(files) else kept[:-1]
    pictures: dict[int, list[Picture]] = {}
    for i in kept:
        time_s, track_id, path = files[i]
        data = base64.b64encode(path.read_bytes()).decode()
        pictures.setdefault(track_id, []).append(Picture(track_id, time_s, data))
    return pictures, n_bytes - sum(sizes[i] for i in kept), len(files) - len(kept)


def _is_picture(path: Path) -> bool:
    """Return whether a file is a JPEG that lies there: reports are handed on, links may lead to whatever is private."""
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(JPEG)) == JPEG


def _thin(by_person: Mapping[int, list[int]], step: int) -> list[int]:
    return [i for indices in by_person.values() for i in indices[::step]]
