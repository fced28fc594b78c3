"""Import FER2013 in all its public forms, or any folder or zip sorted by emotion: a path in, a Dataset out."""

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS, find_emotion
from emoscope.core.errors import InputError
from emoscope.core.headers import is_cut_off
from emoscope.faces.preprocess import resize, to_grey
from emoscope.media.sequence import PICTURE_SUFFIXES
from emoscope.study.data.csv_rows import FAULTS, import_csv, reading, show
from emoscope.study.data.dataset import SIDE_PX, Dataset

KNOWN_CSVS = ("fer2013.csv", "icml_face_data.csv")
"""The names under which FER2013 was published; such a file decides how a folder or zip is read."""

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".tif", ".tiff")
"""Files with other endings (read-me files, thumbnails' databases) are passed over."""

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "Training"),
    **dict.fromkeys(("public", "publictest", "val", "valid", "validation"), "PublicTest"),
    **dict.fromkeys(("private", "privatetest"), "PrivateTest"),
    "test": "Test",
}
"""Usage by the name of the folder above the emotions; Kaggle's copy keeps both test parts in `test`."""

MAX_PICTURE = 1 << 26
"""Bytes; a file that holds or unpacks to more is no picture of a face."""

MAX_DEPTH = 4
"""Folders below the source in which pictures are looked for; two are needed, and links may form a ring."""

Take = Callable[[bytes, str], NDArray[np.uint8] | None]
"""A picture file's content and name in, a grey face (48, 48) out; None leaves the picture out."""

_PREFIXED = re.compile(r"(Training|PublicTest|PrivateTest|Test)_(\d+)", re.ASCII)


@dataclass(frozen=True)
class _Entry:
    """A file in a folder or in a zip."""

    path: PurePosixPath
    open: Callable[[], BinaryIO]


def import_dataset(source: str | Path, take: Take | None = None) -> Dataset:
    """Read a labelled set of faces; the same images give the same dataset, whatever their form.

    Args:
        source: fer2013.csv, icml_face_data.csv or a CSV like them; a folder `train|test/<emotion>/` or `<emotion>/`;
            a zip of either; an npz file with pixels, emotion and usage.
        take: what finds the face in whole photographs, see FaceTaker; None: each picture is a face.

    Returns:
        Rows in the order of the CSV; pictures by the number in their names where all have one
        (`PublicTest_28710.png`), otherwise by path.

    Raises:
        InputError: names the row or file that is wrong; mend it and import again.
    """
    path = Path(source)
    name = show(source)
    with reading(name):
        is_there = bool(str(source)) and path.exists()
        is_zip = path.is_file() and zipfile.is_zipfile(path)
    if not is_there:
        raise InputError(f"there is no file or folder '{name}'; give the path of a CSV, folder or zip of faces")
    if path.is_dir():
        return _import_entries(_list_folder(path), name, take)
    if not path.is_file():
        raise InputError(f"{name} is neither a file nor a folder; give the path of a CSV, folder or zip of faces")
    if take and path.suffix.lower() != ".zip":
        raise InputError(f"{name} holds faces that are cut already; leave out --faces, or name a folder of photographs")
    if path.stat().st_size == 0:
        raise InputError(f"{name} is an empty file, expected a CSV, a zip or an npz of faces; fetch it again")
    if path.suffix.lower() == ".npz":
        return _import_npz(path, name)
    if is_zip:
        return _import_zip(path, name, take)
    if path.suffix.lower() == ".zip":
        raise InputError(f"{name} is a broken zip (it has no table of contents); fetch or pack it again")
    with reading(name):
        file = path.open("rb")
    with file:
        return import_csv(file, name)


def _raise(error: OSError) -> None:
    raise error


def _list_folder(folder: Path) -> list[_Entry]:
    entries = []
    # os.walk passes over folders that it may not read; a class would be missing without a word.
    with reading(show(folder)):
        for root, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
            below = PurePosixPath(Path(root).relative_to(folder).as_posix())
            if len(below.parts) >= MAX_DEPTH:
                folders.clear()
            entries += [_Entry(below / name, partial(_open_file, Path(root, name))) for name in names]
    return entries


def _open_file(path: Path) -> BinaryIO:
    return path.open("rb")


def _import_zip(path: Path, name: str, take: Take | None) -> Dataset:
    with contextlib.ExitStack() as stack:
        with reading(name):
            archive = stack.enter_context(zipfile.ZipFile(path))
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if any(info.flag_bits & 1 for info in infos):
            raise InputError(f"{name} is protected by a password; pack it again without one")
        entries = [
            _Entry(PurePosixPath(info.filename.replace("\\", "/").lstrip("/")), partial(_open_member, archive, info))
            for info in infos
        ]
        return _import_entries(entries, name, take)


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    # The archive's own readline with a limit goes byte by byte.
    return io.BufferedReader(archive.open(info), 1 << 18)  # type: ignore[type-var]


def _import_entries(entries: list[_Entry], name: str, take: Take | None) -> Dataset:
    """Read the one CSV, or else the pictures, of a folder or zip."""
    entries = [e for e in entries if not any(part.startswith(".") or part == "__MACOSX" for part in e.path.parts)]
    csvs = [e for e in entries if e.path.suffix.lower() == ".csv"]
    known = [e for e in csvs if e.path.name.lower() in KNOWN_CSVS]
    pictures = [e for e in entries if e.path.suffix.lower() in (PICTURE_SUFFIXES if take else PICTURES)]
    chosen = known if len(known) == 1 else [] if pictures or take else csvs
    if len(chosen) == 1:
        full_name = f"{name}/{show(chosen[0].path)}"
        with reading(full_name):
            file = chosen[0].open()
        with file:
            return import_csv(file, full_name)
    if pictures:
        return _import_pictures(pictures, name, take)
    what = f"{len(csvs)} CSV files ({show(', '.join(str(e.path) for e in csvs[:4]))})" if csvs else "no picture"
    raise InputError(
        f"{name} holds {what}, expected folders such as train/happy with pictures in them, or one fer2013.csv; "
        "name the folder, zip or CSV that holds the faces"
    )


def _strip_top(paths: list[PurePosixPath]) -> list[PurePosixPath]:
    """Remove a folder around the whole set, as archives often have one."""
    top = paths[0].parts[0]
    if any(len(path.parts) < 3 or path.parts[0] != top for path in paths):
        return paths
    if top.lower() in SPLIT_FOLDERS or find_emotion(top) is not None:
        return paths
    return [PurePosixPath(*path.parts[1:]) for path in paths]


def _import_pictures(entries: list[_Entry], name: str, take: Take | None) -> Dataset:
    items = []
    paths = _strip_top([entry.path for entry in entries])
    for entry, path in zip(entries, paths, strict=True):
        emotion, usage, number = _find_label(path, f"{name}/{show(entry.path)}")
        items.append((number, path, entry, emotion, usage))
    has_numbers = all(item[0] is not None for item in items)
    items.sort(key=lambda item: (item[0] if has_numbers and item[0] is not None else 0, item[1].as_posix()))
    pixels, labels = [], []
    for _, _, entry, emotion, usage in items:
        face = _read_picture(entry, f"{name}/{show(entry.path)}", take or _decode_face)
        if face is not None:
            pixels.append(face)
            labels.append((emotion, usage))
    if not pixels:
        raise InputError(
            f"no face was found in the {len(items)} pictures of {name}; leave out --faces if each is a face already"
        )
    emotions, usages = zip(*labels, strict=True)
    return Dataset.create(np.stack(pixels), np.array(emotions, np.uint8), np.array(usages))


def _find_label(path: PurePosixPath, name: str) -> tuple[int, str, int | None]:
    """Return class index, usage and number (None without one) by a picture's folders and name."""
    folder = path.parent.name
    split = path.parent.parent.name.lower()
    if not folder or len(path.parts) > 3 or (split and split not in SPLIT_FOLDERS):
        raise InputError(
            f"{name} is not in a folder such as train/happy or happy; "
            f"sort the pictures into train|validation|test, and there into {'|'.join(EMOTIONS)}"
        )
    emotion = find_emotion(folder)
    if emotion is None:
        raise InputError(
            f"{name}: the folder '{show(folder)}' is no known emotion, expected {', '.join(EMOTIONS)}; "
            "rename or remove it"
        )
    if match := _PREFIXED.fullmatch(path.stem):
        # Digits beyond 18 are no row number, and Python refuses to convert thousands of them.
        return emotion, match[1], int(match[2][:18])
    return emotion, SPLIT_FOLDERS.get(split, ""), None


def _read_picture(entry: _Entry, name: str, take: Take) -> NDArray[np.uint8] | None:
    """Return a (48, 48) grey picture; None where it is left out."""
    with reading(name), entry.open() as f:
        data = f.read(MAX_PICTURE + 1)
    # OpenCV fills up a file that was cut short with grey, without a word.
    reason = "too big" if len(data) > MAX_PICTURE else "empty" if not data else "cut short" if is_cut_off(data) else ""
    if reason:
        raise InputError(f"the picture {name} cannot be decoded ({reason}); replace or remove it")
    return take(data, name)


def _decode_face(data: bytes, name: str) -> NDArray[np.uint8]:
    image = None
    with contextlib.suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    if image is None:
        raise InputError(f"the picture {name} cannot be decoded (damaged or no picture); replace or remove it")
    return resize(to_grey(np.asarray(image, np.uint8)), SIDE_PX)


def _import_npz(path: Path, name: str) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as z:
            pixels, emotion, usage = z["pixels"], z["emotion"], z["usage"]
        if pixels.dtype != np.uint8 or emotion.dtype.kind not in "iu" or usage.dtype.kind != "U":
            raise ValueError("its arrays are not uint8 pixels, integer emotion and text usage")
        if emotion.size and not 0 <= emotion.min() <= emotion.max() < len(EMOTIONS):
            raise ValueError(f"its emotions are {emotion.min()}..{emotion.max()}, expected 0..6")
    except (*FAULTS, KeyError, TypeError, AttributeError) as e:
        raise InputError(
            f"{name} is no npz with pixels (n, 48, 48), emotion (n,) and usage (n,) ({show(e)[:120]}); "
            "give a CSV, folder or zip of faces"
        ) from e
    return Dataset.create(pixels, emotion.astype(np.uint8), usage)
