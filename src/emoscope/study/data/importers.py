"""Import FER2013 in its public forms, or other sets of faces, sorted by emotion: a path in, a Dataset out."""

import contextlib
import gzip
import logging
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS, find_emotion
from emoscope.core.errors import InputError
from emoscope.media.sequence import PICTURE_SUFFIXES
from emoscope.study.data.array_files import import_npy, import_npz, import_parquet
from emoscope.study.data.csv_rows import import_csv, reading, show
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.entries import ARCHIVES, Entry, Lister, is_hidden, open_file
from emoscope.study.data.labels import MAPS, Labels
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

RAF_LIST = "list_patition_label.txt"
"""RAF-DB's list of its pictures: a name, which begins with train or test, and a number, on each line."""

MAX_LIST = 1 << 24
Take = Callable[[bytes, str], NDArray[np.uint8] | None]
"""A picture file's content and name in, a grey face (48, 48) out; None leaves the picture out."""

_PREFIXED = re.compile(r"(Training|PublicTest|PrivateTest|Test)_(\d+)", re.ASCII)


def import_dataset(source: str | Path, take: Take | None = None, labels: Labels | None = None) -> Dataset:
    """Read a labelled set of faces; the same images give the same dataset, whatever their form.

    Args:
        source: fer2013.csv, icml_face_data.csv or a CSV like them, also as `.gz`; a folder `train|test/<emotion>/` or
            `<emotion>/`; RAF-DB's folder with its list; a Parquet file with pictures and labels; an npz file, or two
            npy files, with pixels and labels; a zip or tar of any of these, and archives within them.
        take: what finds the face in whole photographs, see FaceTaker; None: each picture is a face.
        labels: what its labels mean, and which are left out.

    Returns:
        Rows in the order of the CSV; pictures by the number in their names where all have one
        (`PublicTest_28710.png`), otherwise by path.

    Raises:
        InputError: names the row or file that is wrong, or all unknown labels; mend it and import again.
    """
    path, labels = Path(source), labels or Labels()
    name = show(source)
    with reading(name):
        is_there = bool(str(source)) and path.exists()
    if not is_there:
        raise InputError(f"there is no file or folder '{name}'; give a CSV, folder or archive of faces")
    with contextlib.ExitStack() as stack:
        lister = Lister(stack)
        if path.is_dir():
            return _import_entries(lister.list_folder(path), name, take, labels)
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
            return _import_entries(lister.list_archive(file, name), name, take, labels)
        return _import_file(file, path.name, name, labels)


def _import_file(file: BinaryIO, file_name: str, name: str, labels: Labels) -> Dataset:
    """Read one file, by its name's ending."""
    ending = file_name.lower().rpartition(".")[2]
    if ending == "npz":
        return import_npz(file, name, labels)
    if ending == "parquet":
        return import_parquet([(file, name, "")], labels)
    if ending == "gz":
        with reading(name):
            file = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
    return import_csv(file, name, labels)


def _import_entries(entries: list[Entry], name: str, take: Take | None, labels: Labels) -> Dataset:
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
            return _import_file(file, chosen[0].path.name, full_name, labels)
    if pictures:
        return _import_pictures(entries, pictures, name, take, labels)
    if (found := _import_arrays(entries, name, labels)) is not None:
        return found
    what = f"{len(csvs)} CSV files ({show(', '.join(str(e.path) for e in csvs[:4]))})" if csvs else "no picture"
    raise InputError(
        f"{name} holds {what}, expected folders such as train/happy with pictures in them, or one fer2013.csv; "
        "name the folder, archive or CSV that holds the faces"
    )


def _import_arrays(entries: list[Entry], name: str, labels: Labels) -> Dataset | None:
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
            return import_parquet(by_ending["parquet"], labels)
        if len(by_ending["npy"]) == 2:
            return import_npy([(file, full_name) for file, full_name, _ in by_ending["npy"]], labels)
        if len(by_ending["npz"]) == 1:
            return import_npz(by_ending["npz"][0][0], by_ending["npz"][0][1], labels)
    return None


def _strip_top(paths: list[PurePosixPath]) -> list[PurePosixPath]:
    """Remove folders around the whole set, as archives often have one or more."""
    while True:
        top = paths[0].parts[0]
        if any(len(path.parts) < 3 or path.parts[0] != top for path in paths):
            return paths
        if top.lower() in SPLIT_FOLDERS or find_emotion(top) is not None:
            return paths
        paths = [PurePosixPath(*path.parts[1:]) for path in paths]


def _import_pictures(
    entries: list[Entry], pictures: list[Entry], name: str, take: Take | None, labels: Labels
) -> Dataset:
    listed = _read_raf_list(entries, name)
    items = []
    if listed is None:
        paths = _strip_top([entry.path for entry in pictures])
        for entry, path in zip(pictures, paths, strict=True):
            label, usage, number = _find_label(path, f"{name}/{show(entry.path)}")
            emotion = labels.find(label, show(entry.path), {})
            if emotion is not None:
                items.append((number, path, entry, emotion, usage))
    else:
        for entry, found in _choose_listed(pictures, listed, name, is_aligned=take is None):
            usage = SPLIT_FOLDERS.get(entry.path.name.split("_")[0].lower(), "")
            emotion = labels.find(found, RAF_LIST, MAPS["raf-db"])
            if emotion is not None:
                items.append((None, entry.path, entry, emotion, usage))
    labels.check(name)
    has_numbers = all(item[0] is not None for item in items)
    items.sort(key=lambda item: (item[0] if has_numbers and item[0] is not None else 0, item[1].as_posix()))
    faces, kept = [], []
    for _, _, entry, emotion, usage in items:
        face = _read_picture(entry, f"{name}/{show(entry.path)}", take or decode_face)
        if face is not None:
            faces.append(face)
            kept.append((emotion, usage))
    if not faces:
        raise InputError(
            f"no face was found in the {len(items)} pictures of {name}; leave out --faces if each is a face already"
        )
    emotions, usages = zip(*kept, strict=True)
    return Dataset.create(np.stack(faces), np.array(emotions, np.uint8), np.array(usages))


def _read_raf_list(entries: list[Entry], name: str) -> dict[str, str] | None:
    """Return RAF-DB's labels by picture; None where its list is not there.

    Raises:
        InputError: a line is no name with a label.
    """
    lists = [entry for entry in entries if entry.path.name.lower() == RAF_LIST]
    if not lists:
        return None
    full_name = f"{name}/{show(lists[0].path)}"
    with reading(full_name), lists[0].open() as file:
        text = file.read(MAX_LIST).decode("utf-8", "replace")
    listed = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if words and len(words) != 2:
            raise InputError(f"{full_name}: line {number} is {show(line)[:60]!r}, expected a picture's name and label")
        if words:
            listed[PurePosixPath(words[0]).stem] = words[1]
    return listed


def _choose_listed(
    pictures: list[Entry], listed: dict[str, str], name: str, is_aligned: bool
) -> list[tuple[Entry, str]]:
    """Return one picture of each listed name with its label; warn of names without one and of pictures beside it.

    RAF-DB comes with each picture twice: whole photographs, and the faces cut from them as `NAME_aligned.jpg`.
    """
    chosen: dict[str, Entry] = {}
    n_other = 0
    for entry in pictures:
        key = entry.path.stem.removesuffix("_aligned")
        n_other += key not in listed
        if key in listed and (key not in chosen or (key != entry.path.stem) == is_aligned):
            chosen[key] = entry
    if len(chosen) < len(listed) or n_other:
        log.warning(
            "%s: %d of the %d pictures that %s names are there; %d pictures are not in that list and were passed over",
            *(name, len(chosen), len(listed), RAF_LIST, n_other),
        )
    if not chosen:
        raise InputError(f"{name} has none of the pictures that its {RAF_LIST} names; name the folder that holds both")
    return [(entry, listed[key]) for key, entry in chosen.items()]


def _find_label(path: PurePosixPath, name: str) -> tuple[str, str, int | None]:
    """Return label, usage and number (None without one) by a picture's folders and name."""
    folder, above = path.parent.name, path.parent.parent.name
    if folder.lower() in SPLIT_FOLDERS and above and above.lower() not in SPLIT_FOLDERS:
        folder, above = above, folder
    split = above.lower()
    if not folder or len(path.parts) > 3 or (split and split not in SPLIT_FOLDERS):
        raise InputError(
            f"{name} is not in a folder such as train/happy or happy; "
            f"sort the pictures into train|validation|test, and there into {'|'.join(EMOTIONS)}"
        )
    if match := _PREFIXED.fullmatch(path.stem):
        # Digits beyond 18 are no row number, and Python refuses to convert thousands of them.
        return folder, match[1], int(match[2][:18])
    return folder, SPLIT_FOLDERS.get(split, ""), None


def _read_picture(entry: Entry, name: str, take: Take) -> NDArray[np.uint8] | None:
    """Return a (48, 48) grey picture; None where it is left out."""
    with reading(name), entry.open() as f:
        data = f.read(MAX_PICTURE + 1)
    check_picture(data, name)
    return take(data, name)
