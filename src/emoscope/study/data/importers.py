"""Import FER2013 in its public forms, or other sets of faces, sorted by emotion: a path in, a Dataset out."""

import contextlib
import gzip
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import find_class
from emoscope.core.errors import InputError
from emoscope.faces.crop import CROP_MARGIN
from emoscope.media.sequence import PICTURE_SUFFIXES
from emoscope.study.data.array_files import import_npy, import_npz, import_parquet
from emoscope.study.data.collector import Collector
from emoscope.study.data.csv_rows import import_csv, reading, show
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.entries import ARCHIVES, Entry, Lister, is_hidden, open_file
from emoscope.study.data.label_lists import Listed, read_lists
from emoscope.study.data.labels import Labels
from emoscope.study.data.picture_files import MAX_PICTURE, check_picture, decode_face

log = logging.getLogger(__name__)

KNOWN_CSVS = ("fer2013.csv", "icml_face_data.csv", "fer2013.csv.gz", "icml_face_data.csv.gz")
"""The names under which FER2013 was published; such a file decides how a folder or archive is read."""

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".tif", ".tiff")
"""Files with other endings (read-me files, thumbnails' databases) are passed over."""

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training", "train_set", "train_class"), "Training"),
    **dict.fromkeys(("public", "publictest"), "PublicTest"),
    **dict.fromkeys(("val", "valid", "validation", "val_set", "valid_class", "dev"), "PublicTest"),
    **dict.fromkeys(("private", "privatetest"), "PrivateTest"),
    **dict.fromkeys(("test", "testing", "test_set", "test_class"), "Test"),
}
"""Usage by the name of the folder above the emotions; Kaggle's copy keeps both test parts in `test`."""

Take = Callable[[bytes, str], NDArray[np.uint8] | None]
"""A picture file's content and name in, a grey face (h, w) out; None leaves the picture out."""

_PREFIXED = re.compile(r"(Training|PublicTest|PrivateTest|Test)_(\d+)", re.ASCII)


def import_dataset(
    source: str | Path, take: Take | None = None, labels: Labels | None = None, collector: Collector | None = None
) -> Dataset:
    """Read a labelled set of faces; the same images give the same dataset, whatever their form.

    Args:
        source: fer2013.csv, icml_face_data.csv or a CSV like them, also as `.gz`; a folder `train|test/<emotion>/` or
            `<emotion>/`; the folders of RAF-DB, ExpW and CK+ with the files of their labels; a Parquet file
            with pictures and labels; an npz file, or two npy files, with pixels and labels; a zip or tar of any of
            these, and archives within them.
        take: what finds the face in whole photographs, see FaceTaker; None: each picture is a face.
        labels: what its labels mean, and which are left out.
        collector: the same, and who is on the pictures and to what size they are brought; stands for `labels`.

    Returns:
        Rows in the order of the CSV; pictures by the number in their names where all have one
        (`PublicTest_28710.png`), otherwise by path.

    Raises:
        InputError: names the row or file that is wrong, or all unknown labels; mend it and import again.
    """
    path, collector = Path(source), Collector(labels) if collector is None else collector
    name = show(source)
    with reading(name):
        is_there = bool(str(source)) and path.exists()
    if not is_there:
        raise InputError(f"there is no file or folder '{name}'; give a CSV, folder or archive of faces")
    with contextlib.ExitStack() as stack:
        lister = Lister(stack)
        if path.is_dir():
            return _import_entries(lister.list_folder(path), name, take, collector)
        if not path.is_file():
            raise InputError(f"{name} is neither a file nor a folder; give a CSV, folder or archive of faces")
        is_archive = path.name.lower().endswith(ARCHIVES)
        if take and not is_archive:
            raise InputError(
                f"{name} holds faces that are cut already; leave out --faces, or name a folder of photographs"
            )
        if path.stat().st_size == 0:
            raise InputError(f"{name} is an empty file, expected a CSV, an archive or an npz of faces; fetch it again")
        with reading(name):
            file = stack.enter_context(open_file(path))
        if is_archive:
            return _import_entries(lister.list_archive(file, name), name, take, collector)
        return _import_file(file, path.name, name, collector)


def _import_file(file: BinaryIO, file_name: str, name: str, collector: Collector) -> Dataset:
    """Read one file, by its name's ending."""
    ending = file_name.lower().rpartition(".")[2]
    if ending == "npz":
        return import_npz(file, name, collector)
    if ending == "parquet":
        return import_parquet([(file, name, "")], collector)
    if ending == "gz":
        with reading(name):
            file = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
    return import_csv(file, name, collector)


def _import_entries(entries: list[Entry], name: str, take: Take | None, collector: Collector) -> Dataset:
    """Read the one CSV, the arrays, or else the pictures, of a folder or archive."""
    entries = [entry for entry in entries if not is_hidden(entry.path)]
    csvs = [e for e in entries if e.path.name.lower().endswith((".csv", ".csv.gz"))]
    known = [e for e in csvs if e.path.name.lower() in KNOWN_CSVS]
    pictures = [e for e in entries if e.path.suffix.lower() in (PICTURE_SUFFIXES if take else PICTURES)]
    chosen = known if len(known) == 1 else [] if pictures or take else csvs
    if len(chosen) == 1:
        full_name = f"{name}/{show(chosen[0].path)}"
        with reading(full_name):
            file = chosen[0].open()
        with file:
            return _import_file(file, chosen[0].path.name, full_name, collector)
    if pictures:
        return _import_pictures(entries, pictures, name, take, collector)
    if (found := _import_arrays(entries, name, collector)) is not None:
        return found
    what = f"{len(csvs)} CSV files ({show(', '.join(str(e.path) for e in csvs[:4]))})" if csvs else "no picture"
    raise InputError(
        f"{name} holds {what}, expected folders such as train/happy with pictures in them, or one fer2013.csv; "
        "name the folder, archive or CSV that holds the faces"
    )


def _import_arrays(entries: list[Entry], name: str, collector: Collector) -> Dataset | None:
    """Read Parquet files, two npy files or one npz; None where there are none."""
    with contextlib.ExitStack() as stack:
        by_ending: dict[str, list[tuple[BinaryIO, str, str]]] = {"parquet": [], "npy": [], "npz": []}
        for entry in sorted(entries, key=lambda e: e.path.as_posix()):
            if (found := by_ending.get(entry.path.suffix.lower()[1:])) is None or len(found) >= 1000:
                continue
            full_name = f"{name}/{show(entry.path)}"
            with reading(full_name):
                # Parquet's files are named train-00000-of-00001.
                part = re.split(r"[-_.]", entry.path.name.lower())[0]
                found.append((stack.enter_context(entry.open()), full_name, SPLIT_FOLDERS.get(part, "")))
        if by_ending["parquet"]:
            return import_parquet(by_ending["parquet"], collector)
        if len(by_ending["npy"]) == 2:
            return import_npy([(file, full_name) for file, full_name, _ in by_ending["npy"]], collector)
        if len(by_ending["npz"]) == 1:
            return import_npz(by_ending["npz"][0][0], by_ending["npz"][0][1], collector)
    return None


def _strip_top(paths: list[PurePosixPath], classes: tuple[str, ...]) -> list[PurePosixPath]:
    """Remove folders around the whole set, as archives often have one or more."""
    while True:
        top = paths[0].parts[0]
        if any(len(path.parts) < 3 or path.parts[0] != top for path in paths):
            return paths
        if top.lower() in SPLIT_FOLDERS or find_class(top, classes) is not None:
            return paths
        paths = [PurePosixPath(*path.parts[1:]) for path in paths]


def _import_pictures(
    entries: list[Entry], pictures: list[Entry], name: str, take: Take | None, collector: Collector
) -> Dataset:
    labels, people = collector.labels, collector.people
    if people.column:
        raise InputError(f"{name} holds pictures and no table with columns; say who is on them by --persons FILE")
    listed = read_lists(entries, pictures, name, is_aligned=take is None)
    items = list(_list_sorted(pictures, name, labels) if listed is None else _list_listed(listed, labels))
    labels.check(name)
    has_numbers = all(item.number is not None for item in items)
    items.sort(key=lambda item: (item.number if has_numbers and item.number is not None else 0, item.path.as_posix()))
    for item in items:
        full_name = f"{name}/{show(item.entry.path)}"
        face = _read_picture(item.entry, full_name, take or decode_face)
        if face is not None and item.box is not None:
            face = _cut(face, item.box, full_name)
        if face is not None:
            person = people.find(item.entry.path, name) if people.file is not None else item.person
            collector.add(face, item.emotion, item.usage, person, -1 if item.number is None else item.number)
    if not len(collector):
        raise InputError(
            f"no face was found in the {len(items)} pictures of {name}; leave out --faces if each is a face already"
        )
    return collector.finish(name)


def _list_sorted(pictures: list[Entry], name: str, labels: Labels) -> "Iterator[_Item]":
    """Yield pictures whose folders say their labels."""
    paths = _strip_top([entry.path for entry in pictures], labels.classes)
    for entry, path in zip(pictures, paths, strict=True):
        label, usage, number = _find_label(path, f"{name}/{show(entry.path)}", labels.classes)
        emotion = labels.find(label, show(entry.path), {})
        if emotion is not None:
            yield _Item(number, path, entry, emotion, usage)


def _list_listed(listed: Iterable[Listed], labels: Labels) -> "Iterator[_Item]":
    """Yield pictures whose labels a file says."""
    for one in listed:
        usage = SPLIT_FOLDERS.get(one.entry.path.name.split("_")[0].lower(), "")
        emotion = labels.find(one.label, one.place, one.numbers)
        if emotion is not None:
            yield _Item(None, one.entry.path, one.entry, emotion, usage, one.person, one.box)


class _Item(NamedTuple):
    """A picture that is wanted."""

    number: int | None
    path: PurePosixPath
    entry: Entry
    emotion: int
    usage: str
    person: str | None = None
    box: tuple[int, int, int, int] | None = None


def _cut(picture: NDArray[np.uint8], box: tuple[int, int, int, int], name: str) -> NDArray[np.uint8]:
    """Return the square around a face's box, with the margin that an analysis adds, as far as the picture reaches.

    Raises:
        InputError: the box lies outside.
    """
    left, top, right, bottom = box
    h, w = picture.shape
    if right <= left or bottom <= top or left >= w or top >= h or right <= 0 or bottom <= 0:
        raise InputError(f"the face's box {box} lies outside of the picture {name} ({w} x {h}); remove its line")
    side = max(right - left, bottom - top) * (1 + CROP_MARGIN)
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    x1, y1, x2, y2 = max(0, round(x)), max(0, round(y)), min(w, round(x + side)), min(h, round(y + side))
    return picture[y1:y2, x1:x2]


def _find_label(path: PurePosixPath, name: str, classes: tuple[str, ...]) -> tuple[str, str, int | None]:
    """Return label, usage and number (None without one) by a picture's folders and name."""
    folder, above = path.parent.name, path.parent.parent.name
    if folder.lower() in SPLIT_FOLDERS and above and above.lower() not in SPLIT_FOLDERS:
        folder, above = above, folder
    split = above.lower()
    if not folder or len(path.parts) > 3 or (split and split not in SPLIT_FOLDERS):
        raise InputError(
            f"{name} is not in a folder such as train/happy or happy; "
            f"sort the pictures into train|validation|test, and there into {'|'.join(classes)}"
        )
    if match := _PREFIXED.fullmatch(path.stem):
        # Digits beyond 18 are no row number, and Python refuses to convert thousands of them.
        return folder, match[1], int(match[2][:18])
    return folder, SPLIT_FOLDERS.get(split, ""), None


def _read_picture(entry: Entry, name: str, take: Take) -> NDArray[np.uint8] | None:
    """Return a grey picture (h, w); None where it is left out."""
    with reading(name), entry.open() as f:
        data = f.read(MAX_PICTURE + 1)
    check_picture(data, name)
    return take(data, name)
