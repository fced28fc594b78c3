"""Sets whose labels stand in files of their own, RAF-DB, ExpW and CK+: entries in, pictures with labels out."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from emoscope.core.errors import InputError
from emoscope.study.data.csv_rows import reading, show
from emoscope.study.data.entries import Entry
from emoscope.study.data.labels import MAPS

log = logging.getLogger(__name__)

RAF_LIST: Final = "list_patition_label.txt"
"""RAF-DB's list of its pictures: a name, which begins with train or test, and a number, on each line."""
EXPW_LIST: Final = "label.lst"
"""ExpW's: image_name face_id_in_image face_box_top face_box_left face_box_right face_box_bottom face_box_confidence
expression_label, on each line."""
CK_LABEL: Final = re.compile(r"(S\d+)_(\d+)_\d+_emotion", re.ASCII)
"""CK+'s files of one number each, named as the peak frame of a sequence is: S005_001_00000011_emotion.txt."""
MAX_LIST: Final = 1 << 24
MAX_LABEL: Final = 100
"""Bytes of a file that holds one number."""
MAX_FACES: Final = 2_000_000


@dataclass(frozen=True)
class Listed:
    """A face of a list."""

    entry: Entry
    label: str
    numbers: Mapping[str, str]
    """What numbers mean in it."""
    place: str
    """Where its label stands."""
    person: str | None = None
    box: tuple[int, int, int, int] | None = None
    """Left, top, right and bottom, where the picture shows more than the face."""


def read_lists(entries: list[Entry], pictures: list[Entry], name: str, is_aligned: bool) -> list[Listed] | None:
    """Return the faces that a set's own files name; None where it has no such files.

    Args:
        entries: all files.
        pictures: those of them that are pictures.
        name: of the source, for messages.
        is_aligned: whether faces that were cut already are wanted, where a set has both.

    Raises:
        InputError: a file is none of its kind, or none of the pictures is there.
    """
    raf = [entry for entry in entries if entry.path.name.lower() == RAF_LIST]
    if raf:
        return _read_raf(raf[0], pictures, name, is_aligned)
    expw = [entry for entry in entries if entry.path.name.lower() == EXPW_LIST]
    if expw:
        if not is_aligned:
            raise InputError(f"{name}: its {EXPW_LIST} says where each face is; leave out --faces")
        return _read_expw(expw[0], pictures, name)
    peaks = [entry for entry in entries if entry.path.suffix.lower() == ".txt" and CK_LABEL.fullmatch(entry.path.stem)]
    return _read_ck(peaks, pictures, name, is_aligned) if peaks else None


def _read_text(entry: Entry, name: str, limit: int = MAX_LIST) -> str:
    full_name = f"{name}/{show(entry.path)}"
    with reading(full_name), entry.open() as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InputError(f"{full_name} is larger than {limit} bytes, and no list of labels; name another source")
    return data.decode("utf-8", "replace")


def _read_raf(file: Entry, pictures: list[Entry], name: str, is_aligned: bool) -> list[Listed]:
    """Return one picture of each listed name; RAF-DB comes with each as a photograph, and cut as NAME_aligned.jpg."""
    listed = {}
    for number, line in enumerate(_read_text(file, name).splitlines(), start=1):
        words = line.split()
        if words and len(words) != 2:
            raise InputError(
                f"{name}/{show(file.path)}: line {number} is {show(line)[:60]!r}, expected a picture's name and label"
            )
        if words:
            listed[PurePosixPath(words[0]).stem] = words[1]
    chosen: dict[str, Entry] = {}
    n_other = 0
    for entry in pictures:
        key = entry.path.stem.removesuffix("_aligned")
        n_other += key not in listed
        if key in listed and (key not in chosen or (key != entry.path.stem) == is_aligned):
            chosen[key] = entry
    _tell(len(chosen), len(listed), n_other, RAF_LIST, name)
    return [Listed(entry, listed[key], MAPS["raf-db"], RAF_LIST) for key, entry in chosen.items()]


def _read_expw(file: Entry, pictures: list[Entry], name: str) -> list[Listed]:
    """Return the faces of ExpW's photographs, several of one where it shows several people."""
    by_name = {entry.path.name: entry for entry in pictures}
    found, used, n_lines = [], set(), 0
    for number, line in enumerate(_read_text(file, name, 4 * MAX_LIST).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        # Names with blanks are names still: the other seven words stand behind.
        numbers = words[-7:]
        if len(words) < 8 or not all(re.fullmatch(r"-?\d+", word) for word in numbers[:5]):
            raise InputError(
                f"{name}/{show(file.path)}: line {number} is {show(line)[:60]!r}, expected image_name face_id top left "
                "right bottom confidence label"
            )
        n_lines += 1
        if n_lines > MAX_FACES:
            raise InputError(f"{name}/{show(file.path)} has more than {MAX_FACES:,} lines, which is no set of faces")
        image = " ".join(words[:-7])
        top, left, right, bottom = (int(word[:9]) for word in numbers[1:5])
        if image not in by_name:
            continue
        used.add(image)
        place = f"in line {number} of {EXPW_LIST}"
        found.append(Listed(by_name[image], numbers[6], MAPS["expw"], place, box=(left, top, right, bottom)))
    _tell(len(found), n_lines, len(by_name.keys() - used), EXPW_LIST, name)
    return found


def _read_ck(files: list[Entry], pictures: list[Entry], name: str, is_aligned: bool) -> list[Listed]:
    """Return the peak frames of CK+'s labelled sequences; who is on them stands in their names."""
    by_stem = {entry.path.stem: entry for entry in pictures}
    found = []
    for file in sorted(files, key=lambda entry: entry.path.as_posix()):
        match = CK_LABEL.fullmatch(file.path.stem)
        stem = file.path.stem.removesuffix("_emotion")
        if match is None or stem not in by_stem:
            continue
        text = _read_text(file, name, MAX_LABEL).strip()
        # Written as 3.0000000e+00.
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if value not in range(1000):
            raise InputError(f"{name}/{show(file.path)} holds {show(text)[:40]!r}, expected one whole number")
        found.append(Listed(by_stem[stem], str(int(value)), MAPS["ck+"], show(file.path), match[1]))
    log.info("%s: the peak frames of %d labelled sequences; their other frames have no label", name, len(found))
    if is_aligned and found:
        log.warning("%s: CK+ as it is published shows more than faces; --faces finds and cuts them", name)
    _tell(len(found), len(files), 0, "files *_emotion.txt", name)
    return found


def _tell(n_found: int, n_listed: int, n_other: int, what: str, name: str) -> None:
    """Warn of labels without a picture and of pictures without a label."""
    if n_found < n_listed or n_other:
        log.warning(
            "%s: %d of the %d faces that %s names are there; %d pictures are not in that list and were passed over",
            *(name, n_found, n_listed, what, n_other),
        )
    if not n_found:
        raise InputError(f"{name} has none of the pictures that its {what} names; name the folder that holds both")
