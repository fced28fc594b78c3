"""Coding: results in, a page out on which a person says of single faces what they see, without knowing the reading."""

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import EmoscopeError, InputError
from emoscope.core.manifest import Manifest, mark_source
from emoscope.core.page_file import describe_place, write_page
from emoscope.core.picture import load_picture
from emoscope.core.schema import BOX
from emoscope.core.types import Image
from emoscope.faces.crop import crop_faces
from emoscope.groups.coded import RecordingFaces, load_recordings
from emoscope.media.video import load_frames
from emoscope.outputs.thumbnails import MARGIN, encode_jpeg
from emoscope.report.page import render
from emoscope.report.wording import write_source_line
from emoscope.tables.columns import stack, to_numpy
from emoscope.tables.rows import NOBODY, read_rows

N_MOMENTS: Final = 60
"""Ten minutes at ten seconds each."""
APART_S: Final = 1.0
"""Two moments of a person are at least so far apart."""
SIZE_PX: Final = 192
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
KEYS: Final = "1234567890abcdefghijklmnopqrstvwxyz"
"""That code the classes, in their order; u is for what cannot be told, and further classes have none."""
STYLES: Final = ("page.css", "coding.css")
SCRIPTS: Final = ("coding.js",)


@dataclass(frozen=True)
class Sample:
    """A face to be coded."""

    recording: int
    row: int
    """Of the recording's faces."""


@dataclass(frozen=True)
class Page:
    """What became of a coding page."""

    moments: int
    recordings: int
    notes: tuple[str, ...]
    """What is not in it, and why."""


def sample_moments(recordings: Sequence[RecordingFaces], usable: Sequence[int], n: int, seed: int) -> list[Sample]:
    """Choose moments evenly over the emotions that were read, and within each over the people of all recordings.

    Args:
        recordings: all of them.
        usable: places in them of those whose pictures can be had.
        n: so many at most.
        seed: of the choice and its order.
    """
    rng = np.random.default_rng(seed)
    waiting: dict[int, dict[tuple[int, int], list[int]]] = {}
    for i in usable:
        recording = recordings[i]
        for row in rng.permutation(len(recording.person)).tolist():
            person = int(recording.person[row])
            if person != NOBODY:
                waiting.setdefault(int(recording.reading[row]), {}).setdefault((i, person), []).append(row)
    times: dict[tuple[int, int], list[float]] = {}
    by_emotion: Counter[int] = Counter()
    chosen: list[Sample] = []
    while waiting and len(chosen) < n:
        emotion = min(waiting, key=lambda e: (by_emotion[e], e))
        people = waiting[emotion]
        key = min(people, key=lambda k: (len(times.get(k, ())), k))
        row = people[key].pop()
        time_s = float(recordings[key[0]].time_s[row])
        if not people[key]:
            del people[key]
        if not people:
            del waiting[emotion]
        if all(abs(time_s - other) >= APART_S for other in times.get(key, ())):
            times.setdefault(key, []).append(time_s)
            by_emotion[emotion] += 1
            chosen.append(Sample(key[0], row))
    # The order must not give away what was read.
    return [chosen[i] for i in rng.permutation(len(chosen)).tolist()]


def find_source(recording: RecordingFaces) -> Path:
    """Return where a recording's source lies: as it was named, or in or beside its result folder.

    Raises:
        InputError: it is not there, is another file by now, or the results do not say where faces are.
    """
    summary, folder = recording.summary, recording.folder
    if summary.settings.anonymous:
        raise InputError(f"{recording.name}: its results are anonymous and do not say where faces are")
    if summary.kind == "live":
        raise InputError(f"{recording.name}: it was read from a camera, of which no picture is kept")
    path = Path(summary.source)
    manifest, is_other = Manifest.load(folder), False
    for place in (path, folder / path.name, folder.resolve().parent / path.name):
        if not path.name or not place.exists():
            continue
        if manifest is None or place.is_dir() or mark_source(place).sha256 == manifest.identity.mark.sha256:
            return place
        is_other = True
    reason = "is another file by now" if is_other else "does not lie where it was analysed, nor beside the results"
    raise InputError(f"{recording.name}: {path.name} {reason}")


def load_faces(recording: RecordingFaces, source: Path, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield small pictures of faces of a recording: row and JPEG; those that cannot be had again are left out."""
    boxes, numbers, files = _find_boxes(recording)
    order = sorted(rows, key=lambda row: (recording.time_s[row], row))
    if recording.summary.kind == "pictures":
        for row in order:
            try:
                yield row, _cut(load_picture(Path(files[row])), boxes[row])
            except EmoscopeError:
                continue
        return
    wanted = [(int(numbers[row]), float(recording.time_s[row])) for row in order]
    for i, image in load_frames(source, wanted):
        yield order[i], _cut(image, boxes[order[i]])


def _find_boxes(recording: RecordingFaces) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """Return each face's box, frame and file."""
    parts = [rows.faces for rows in read_rows(recording.table, BOX)]
    boxes = np.concatenate([stack(part, BOX) for part in parts])
    numbers = np.concatenate([to_numpy(part["frame"]) for part in parts])
    return boxes, numbers, [file for part in parts for file in part["source"].to_pylist()]


def _cut(image: Image, box: NDArray[np.float64]) -> bytes:
    [crop] = crop_faces(image, box[None].astype(np.float32), MARGIN)
    kind = cv2.INTER_AREA if crop.shape[0] > SIZE_PX else cv2.INTER_CUBIC
    return encode_jpeg(np.asarray(cv2.resize(crop, (SIZE_PX, SIZE_PX), interpolation=kind), np.uint8))


def write_coding_page(
    root: Path, path: Path, coder: str, n: int = N_MOMENTS, seed: int = 0, overwrite: bool = False
) -> Page:
    """Write a page on which a person codes moments blind; what it saves is what load_codes() reads.

    Args:
        root: a result folder, or the folder above several.
        path: the HTML file.
        coder: the name of the person, and of the file that the page saves.
        n: moments.
        seed: of the choice; coders who are to be compared need the same.
        overwrite: whether a coding page of other results may be replaced.

    Raises:
        InputError: there are no results, no picture of them can be had, or the name is none for a file.
        OutputError: the place cannot be written, or something else is there.
    """
    if not NAME.fullmatch(coder):
        raise InputError(f"{coder!r} is no name for a coder's file; use up to 40 letters, digits, - and _")
    recordings = load_recordings(root)
    sources: dict[int, Path] = {}
    notes = []
    for i, recording in enumerate(recordings):
        try:
            sources[i] = find_source(recording)
        except InputError as e:
            notes.append(str(e))
    if not sources:
        raise InputError(f"no picture can be had: {'; '.join(notes[:8])}; lay the recordings beside their results")
    samples = sample_moments(recordings, [*sources], n, seed)
    faces: dict[Sample, bytes] = {}
    for i, source in sources.items():
        rows = [sample.row for sample in samples if sample.recording == i]
        faces |= {Sample(i, row): face for row, face in load_faces(recordings[i], source, rows)} if rows else {}
    if not faces:
        raise InputError(f"no picture of {root} can be had again; lay the recordings beside their results as they were")
    if missing := len(samples) - len(faces):
        notes.append(f"{missing} moments could not be found again in their recordings")
    moments = [
        {
            "recording": recordings[s.recording].name,
            "time_s": round(float(recordings[s.recording].time_s[s.row]), 6),
            "person": int(recordings[s.recording].person[s.row]),
            "face": base64.b64encode(faces[s]).decode(),
        }
        for s in samples
        if s in faces
    ]
    place, classes = describe_place(root, path), recordings[0].table.classes
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    content: dict[str, Any] = {
        "coder": coder,
        "name": root.resolve().name,
        "source_line": write_source_line(root.resolve().name),
        "emotions": classes,
        "keys": dict(zip(classes, KEYS, strict=False)),
        "series": {},
        "moments": {"coder": coder, "of": f"{digest}-{seed}-{len(moments)}", "all": moments},
        "n": len(moments),
    }
    write_page(path, render("coding.html.j2", content, scripts=SCRIPTS, styles=STYLES), "coding", place, overwrite)
    return Page(len(moments), len({m["recording"] for m in moments}), tuple(notes))
