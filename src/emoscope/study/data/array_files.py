"""Faces as arrays: npz, npy and Parquet files in, a Dataset out."""

import json
from collections.abc import Collection
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.study.data.collector import Collector
from emoscope.study.data.csv_rows import MAX_IMAGES, show
from emoscope.study.data.dataset import SIDE_PX, USAGES, Dataset
from emoscope.study.data.picture_files import check_picture, decode_face

FACES: Final = ("pixels", "X", "x", "images", "image", "data", "faces", "img")
MARKS: Final = ("emotion", "y", "Y", "labels", "label", "emotions", "expression")
"""Names of arrays and columns, as public copies have them."""


def import_npz(file: BinaryIO, name: str, collector: Collector) -> Dataset:
    """Read an npz file with pixels (n, h, w) and labels (n,), perhaps also usage (n,)."""
    try:
        with np.load(file, allow_pickle=False) as z:
            faces, marks = (z[key] for key in _find_names(z.files))
            usage = z["usage"] if "usage" in z else np.full(len(faces), "")
            names = list(z.files)
            column = next((n for n in names if n.lower() == collector.people.column.strip().lower()), None)
            person = z[column] if column else None
    # Bytes that were made up bring the readers to errors of every kind.
    except Exception as e:
        raise _explain(name, show(e)[:120]) from e
    if person is None:
        collector.people.find_column(names, name)
    return _create(faces, marks, usage, name, collector, person)


def import_npy(files: list[tuple[BinaryIO, str]], collector: Collector) -> Dataset:
    """Read two npy files, faces and labels, in any order."""
    arrays = []
    for file, name in files:
        try:
            arrays.append(np.lib.format.read_array(file, allow_pickle=False))
        except Exception as e:
            raise _explain(name, show(e)[:120]) from e
    # One row of labels, or one column per class, is less than any picture.
    arrays.sort(key=lambda array: array.size)
    return _create(arrays[1], arrays[0], np.full(len(arrays[1]) if arrays[1].ndim else 0, ""), files[0][1], collector)


def _find_names(names: Collection[str]) -> tuple[str, str]:
    """Return what faces and labels are called.

    Raises:
        ValueError: none of the names means faces, or none labels, or one stands twice.
    """
    found = [[key for key in keys if key in names] for keys in (FACES, MARKS)]
    if not all(found) or any(list(names).count(keys[0]) > 1 for keys in found):
        raise ValueError(f"it has {', '.join(names) or 'nothing'}")
    return found[0][0], found[1][0]


def _explain(name: str, reason: str) -> InputError:
    return InputError(
        f"{name} is no npz with pixels (n, h, w), emotion (n,) and usage (n,) ({reason}); "
        "give a CSV, folder or archive of faces"
    )


def _create(
    faces: NDArray[Any],
    marks: NDArray[Any],
    usage: NDArray[Any],
    name: str,
    collector: Collector,
    person: NDArray[Any] | None = None,
) -> Dataset:
    faces = faces[..., 0] if faces.ndim == 4 and faces.shape[-1] == 1 else faces
    if faces.ndim == 2 and faces.shape[1] == SIDE_PX**2:
        faces = faces.reshape(-1, SIDE_PX, SIDE_PX)
    # One column per class.
    marks = marks.argmax(axis=1) if marks.ndim == 2 and marks.shape[1] > 1 and marks.dtype.kind in "iufb" else marks
    marks = marks[:, 0] if marks.ndim == 2 and marks.shape[1] == 1 else marks
    is_like = faces.ndim == 3 and faces.dtype.kind in "iuf" and marks.shape == usage.shape == faces.shape[:1]
    if not is_like or marks.dtype.kind not in "iuU" or usage.dtype.kind != "U" or not faces.size:
        raise _explain(
            name, f"they are {faces.dtype} {faces.shape}, {marks.dtype} {marks.shape} and {usage.dtype} {usage.shape}"
        )
    if unknown := sorted(set(np.unique(usage).tolist()) - set(USAGES)):
        raise InputError(f"{name} has the usages {show(unknown)[:80]}, expected {', '.join(filter(None, USAGES))}")
    if person is not None and person.shape != marks.shape:
        raise _explain(name, f"its people are {person.dtype} {person.shape}")
    labels = collector.labels
    emotion = [labels.find(str(mark), f"in row {row}") for row, mark in enumerate(marks.tolist(), start=1)]
    labels.check(name)
    kept = np.array([label is not None for label in emotion])
    values = faces[kept]
    if values.dtype.kind != "f" and values.max(initial=0) == 1:
        raise InputError(
            f"{name}: all pixels are the whole numbers 0 and 1, expected 0 to 255, or decimal numbers from 0 to 1; "
            "multiply them by 255, or save them as decimal numbers, and import it again"
        )
    if values.dtype != np.uint8:
        values = _convert(values)
        if values is None:
            raise _explain(name, "its pixels are not 0 to 255, or 0 to 1")
    rows = np.flatnonzero(kept).tolist()
    for face, row in zip(values, rows, strict=True):
        label = emotion[row]
        assert label is not None
        # What is not equal to itself is NaN: a gap, and no person of that name.
        who = None if person is None or person[row] != person[row] else str(person[row])
        collector.add(face, label, str(usage[row]), who, row)
    return collector.finish(name)


def _convert(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Return pixels that are 0 to 255, or shares of white, as bytes; None where they are neither."""
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or values.min(initial=0) < 0:
        return None
    values = values * 255 if values.dtype.kind == "f" and values.max(initial=0) <= 1 else values
    return np.rint(values).astype(np.uint8) if values.max(initial=0) <= 255 else None


def import_parquet(files: list[tuple[BinaryIO, str, str]], collector: Collector) -> Dataset:
    """Read Parquet files with a column of pictures (bytes, as Hugging Face's sets have them) and one of labels.

    Args:
        files: open file, its name for messages, and usage, of each.
        collector: what the labels mean, unless the file says so itself.
    """
    import pyarrow.parquet as pq

    labels = collector.labels
    for file, name, usage in files:
        try:
            table = pq.ParquetFile(file)
            columns = table.schema_arrow.names
            image, mark = _find_names(columns)
            words = _find_words(table.schema_arrow.metadata or {}, mark)
            if table.metadata.num_rows > MAX_IMAGES:
                raise ValueError(f"it has {table.metadata.num_rows} rows")
            row = 0
            column = collector.people.find_column(columns, name)
            for batch in table.iter_batches(
                256, columns=list(dict.fromkeys([image, mark, *([column] if column else [])]))
            ):
                people = batch.column(column).to_pylist() if column else [None] * batch.num_rows
                cells = zip(batch.column(image).to_pylist(), batch.column(mark).to_pylist(), people, strict=True)
                for cell, value, person in cells:
                    row += 1
                    label = labels.find(words.get(str(value), str(value)), f"in row {row} of {name}")
                    if label is not None:
                        face = _decode(cell, f"in row {row} of {name}")
                        collector.add(face, label, usage, None if person is None else str(person), row - 1)
        except InputError:
            raise
        except Exception as e:
            raise InputError(
                f"{name} is no Parquet file with a column of pictures ({', '.join(FACES[:4])}) and one of labels "
                f"({', '.join(MARKS[:4])}) ({show(e)[:120]}); give a CSV, folder or archive of faces"
            ) from e
    labels.check(files[0][1])
    if not len(collector):
        raise InputError(f"{files[0][1]} has no rows, expected one per image; fetch the file again")
    return collector.finish(files[0][1])


def _find_words(metadata: dict[bytes, bytes], column: str) -> dict[str, str]:
    """Return the words of numbered labels, as Hugging Face's files tell them; empty where they do not."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
        return {str(i): str(word) for i, word in enumerate(names)}
    except (KeyError, TypeError, ValueError):
        return {}


def _decode(cell: Any, name: str) -> NDArray[np.uint8]:
    """Return the face of a cell: a picture file's bytes, or FER2013's pixels as text or numbers."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if isinstance(data, bytes):
        check_picture(data, name)
        return decode_face(data, name)
    if isinstance(data, str | list):
        values = np.array(data.split(), np.float64) if isinstance(data, str) else np.array(data)
        # Whole numbers that are written as others are no shares of white, as dark as they may be.
        is_whole = values.dtype.kind == "f" and not (values % 1).any()
        pixels = _convert(values.astype(np.int64) if is_whole else values) if values.size == SIDE_PX**2 else None
        if pixels is not None:
            return pixels.reshape(SIDE_PX, SIDE_PX)
    raise InputError(f"the picture {name} is none that can be decoded; replace or remove it")
