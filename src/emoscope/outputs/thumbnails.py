"""Thumbnails: frames with their results in, a few small faces per person out, spread over the person's time."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Frame, Image
from emoscope.faces.crop import crop_faces
from emoscope.outputs import blur as hide

MARGIN = 0.4
"""Share of the box's longer side that the picture adds to it: hair and chin tell more than the bare face."""
FIRST_INTERVAL_S = 0.5
"""Least time between two pictures of a person, as long as there are few."""
SAMPLES = 7
"""Values that are left across a blurred face: one more than in video, where a face also moves."""
QUALITY = 85
"""Of the JPEG files: about 3 KB each."""


@dataclass
class _Person:
    n_seen: int = 0
    last_s: float = -np.inf
    interval_s: float = FIRST_INTERVAL_S
    pictures: list[tuple[float, bytes]] = field(default_factory=list)
    """Time and JPEG file."""


class ThumbnailKeeper:
    """Keeps faces of every person in bounded memory, whatever the length of the video."""

    def __init__(
        self, blur: bool, exclude: bool = False, max_per_person: int = 40, max_people: int = 50, size_px: int = 96
    ) -> None:
        """Begin without faces.

        Args:
            blur: hide who the people are; clear faces are not kept even in memory.
            exclude: show no face that is beyond what the model was measured to read.
            max_per_person: when a person has more, every other goes and new ones come half as often.
            max_people: so many are saved, those that were seen most.
            size_px: side of the pictures.
        """
        self.blur, self.exclude, self.size_px = blur, exclude, size_px
        self.max_per_person, self.max_people = max_per_person, max_people
        self.people: dict[int, _Person] = {}

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Take the next frame; only faces whose time has come are cut out."""
        ids, unreadable = result.faces.track_id, result.faces.unreadable
        if ids is None:
            return
        is_shown = ~unreadable if self.exclude and unreadable is not None else np.ones(len(ids), np.bool_)
        present = set(ids.tolist())
        boxes = hide.limit_boxes(result.faces.xyxy[is_shown], frame.size_wh)
        for track_id, box in zip(ids[is_shown].tolist(), boxes, strict=True):
            person = self._find(track_id, present)
            if person is None:
                continue
            person.n_seen += 1
            if result.time_s < person.last_s + person.interval_s:
                continue
            person.last_s = result.time_s
            person.pictures.append((result.time_s, self._encode(frame.image, box)))
            if len(person.pictures) > self.max_per_person:
                person.pictures = person.pictures[::2]
                person.last_s = person.pictures[-1][0]
                person.interval_s *= 2

    def save(self, folder: Path) -> list[Path]:
        """Write thumbnails/p0001-000012.345s.jpg (person 1 at 12.345 s) and so on into a folder; return the files."""
        chosen = sorted(self.people, key=lambda i: (-self.people[i].n_seen, i))[: self.max_people]
        place = folder / "thumbnails"
        files = []
        for track_id in sorted(chosen):
            for time_s, data in self.people[track_id].pictures:
                place.mkdir(parents=True, exist_ok=True)
                files.append(place / name_face_file(track_id, time_s))
                files[-1].write_bytes(data)
        return files

    def _find(self, track_id: int, present: set[int]) -> _Person | None:
        """Return the person's pictures; None for somebody new when there is no room."""
        if track_id not in self.people:
            # Twice as many as are saved: who is new may yet be seen more than who came before.
            if len(self.people) >= 2 * self.max_people:
                absent = [i for i in self.people if i not in present]
                if not absent:
                    return None
                # Of those seen least the latest goes.
                del self.people[min(absent, key=lambda i: (self.people[i].n_seen, -i))]
            self.people[track_id] = _Person()
        return self.people[track_id]

    def _encode(self, image: Image, box: NDArray[np.float64]) -> bytes:
        [crop] = crop_faces(image, box[None].astype(np.float32), MARGIN)
        if self.blur:
            # The whole picture: who stands beside is nobody else's business either.
            crop = hide.blur(crop, round(SAMPLES * (1 + MARGIN)))
        shrinks = crop.shape[0] > self.size_px
        size_wh = self.size_px, self.size_px
        small = cv2.resize(crop, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        return encode_jpeg(np.asarray(small, np.uint8))


def name_face_file(track_id: int, time_s: float) -> str:
    """Return the name of a person's picture at a time: p0001-000012.345s.jpg."""
    return f"p{track_id:04d}-{time_s:010.3f}s.jpg"


def encode_jpeg(image: Image) -> bytes:
    """Return an image as a JPEG file."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
