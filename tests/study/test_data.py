"""Import: every form of a dataset gives the same one, every fault is named."""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import EmoscopeError, InputError, OutputError
from emoscope.study.data.dataset import SIDE_PX, Dataset
from emoscope.study.data.describe import describe_dataset
from emoscope.study.data.importers import import_dataset
from emoscope.study.data.synthetic import create_synthetic

HEADERS = {"csv": "emotion,pixels,Usage", "icml": "emotion, Usage, pixels", "quoted": '"Usage","pixels","id","emotion"'}


def write_rows(dataset: Dataset, form: str = "csv") -> list[str]:
    rows = []
    for image, emotion, usage in zip(dataset.pixels, dataset.emotion, dataset.usage, strict=True):
        pixels = " ".join(map(str, image.ravel()))
        cells = {"csv": f"{emotion},{pixels},{usage}", "icml": f"{emotion},{usage},{pixels}"}
        rows.append(cells.get(form, f'"{usage}","{pixels}","x","{emotion}"'))
    return rows


def write_csv(path: Path, dataset: Dataset, form: str = "csv", end: str = "\n") -> Path:
    path.write_bytes(end.join([HEADERS[form], *write_rows(dataset, form), ""]).encode())
    return path


def write_folder(folder: Path, dataset: Dataset) -> Path:
    """Write pictures as Kaggle's copy has them: both test parts in one folder, usage and number in the name."""
    for i, image in enumerate(dataset.pixels):
        usage = str(dataset.usage[i])
        place = folder / ("train" if usage == "Training" else "test") / EMOTIONS[dataset.emotion[i]]
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{usage}_{i}.png"), image)
    return folder


def write_zip(path: Path, folder: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as z:
        for file in sorted(folder.rglob("*"), reverse=True):
            z.write(file, prefix + file.relative_to(folder).as_posix())
        z.writestr("__MACOSX/train/happy/._Training_1.png", b"not a picture")
        z.writestr(prefix + "train/.DS_Store", b"x")
    return path


def zip_file(path: Path, file: Path, inside: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.write(file, inside)
        z.writestr("readme.txt", b"x")
    return path


def assert_same(a: Dataset, b: Dataset) -> None:
    for name in ("pixels", "emotion", "usage", "group"):
        one, other = getattr(a, name), getattr(b, name)
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other, name)
    assert a.sha256 == b.sha256


@pytest.fixture(scope="module")
def faces() -> Dataset:
    return create_synthetic(120, seed=3)


def test_every_form_gives_the_same_dataset(faces: Dataset, tmp_path: Path) -> None:
    csv = write_csv(tmp_path / "fer2013.csv", faces)
    folder = write_folder(tmp_path / "folder", faces)
    faces.save(tmp_path / "saved.npz")
    sources = [
        csv,
        write_csv(tmp_path / "icml_face_data.csv", faces, "icml", "\r\n"),
        write_csv(tmp_path / "quoted.csv", faces, "quoted"),
        folder,
        write_zip(tmp_path / "folder.zip", folder),
        write_zip(tmp_path / "top.zip", folder, "archive/"),
        zip_file(tmp_path / "csv.zip", csv, "challenge/fer2013.csv"),
        tmp_path / "saved.npz",
    ]
    for source in sources:
        assert_same(import_dataset(source), faces)
    assert_same(import_dataset(str(csv)), faces)


def test_real_data_is_the_same_in_every_form(shared: Path, tmp_path: Path) -> None:
    places = {"csv": tmp_path / "fer2013.csv", "icml": tmp_path / "icml_face_data.csv", "folder": tmp_path / "fer2013"}
    for form, place in places.items():
        script = str(shared / "tools" / "fer2013")
        subprocess.run([sys.executable, script, form, str(place), "--rows", "40"], check=True, capture_output=True)
    dataset = import_dataset(places["csv"])
    assert len(dataset) == 120
    assert dataset.usage.tolist() == ["Training"] * 40 + ["PublicTest"] * 40 + ["PrivateTest"] * 40
    assert dataset.pixels[0, 0, :5].tolist() == [70, 80, 82, 72, 58]
    for place in (places["icml"], places["folder"], write_zip(tmp_path / "fer2013.zip", places["folder"])):
        assert_same(import_dataset(place), dataset)


def test_any_folder_of_emotions(tmp_path: Path) -> None:
    colour = np.zeros((96, 96, 3), np.uint8)
    colour[..., 2] = 200  # red in OpenCV's order: grey 0.299 * 200
    for place in ("Validation/Happiness", "private/anger", "test/fear", "train/sadness"):
        (tmp_path / place).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / place / "a.png"), colour)
    (tmp_path / "train/sadness/notes.txt").write_text("not a picture")
    dataset = import_dataset(tmp_path)
    found = [(EMOTIONS[e], str(u)) for e, u in zip(dataset.emotion, dataset.usage, strict=True)]
    assert found == [("happy", "PublicTest"), ("angry", "PrivateTest"), ("fear", "Test"), ("sad", "Training")]
    assert (dataset.pixels == 60).all()
    assert import_dataset(tmp_path / "train").usage.tolist() == [""]


def test_csv_without_usage(faces: Dataset, tmp_path: Path) -> None:
    rows = [row.rpartition(",")[0] for row in write_rows(faces)]
    (tmp_path / "own.csv").write_text("\n".join(["\ufeffEmotion ,PIXELS", "", *rows]), encoding="utf-8")
    dataset = import_dataset(tmp_path / "own.csv")
    np.testing.assert_array_equal(dataset.pixels, faces.pixels)
    assert set(dataset.usage.tolist()) == {""}


GOOD = " ".join(["7"] * SIDE_PX**2)
ROW = f"3,{GOOD},Training"


def text(*lines: str) -> Callable[[Path], Path]:
    """Return what writes a CSV of these lines."""

    def write(folder: Path) -> Path:
        (folder / "fer2013.csv").write_text("\n".join(lines) + "\n")
        return folder / "fer2013.csv"

    return write


def files(name: str, *contents: tuple[str, bytes]) -> Callable[[Path], Path]:
    """Return what writes files into a folder, or into a zip if the name says so."""

    def write(folder: Path) -> Path:
        if name.endswith(".zip"):
            with zipfile.ZipFile(folder / name, "w") as z:
                for inside, data in contents:
                    z.writestr(inside, data)
        else:
            (folder / name).mkdir()
            for inside, data in contents:
                (folder / name / inside).parent.mkdir(parents=True, exist_ok=True)
                (folder / name / inside).write_bytes(data)
        return folder / name

    return write


def raw(name: str, data: bytes) -> Callable[[Path], Path]:
    """Return what writes one file."""

    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


PNG = cv2.imencode(".png", np.arange(SIDE_PX**2, dtype=np.uint8).reshape(SIDE_PX, SIDE_PX))[1].tobytes()
JPEG = cv2.imencode(".jpg", np.arange(SIDE_PX**2, dtype=np.uint8).reshape(SIDE_PX, SIDE_PX))[1].tobytes()
HEADER = HEADERS["csv"]
BAD = {
    "nothing there": (lambda folder: folder / "absent.csv", ["no file or folder", "absent.csv"]),
    "no name": (lambda folder: "", ["no file or folder"]),
    "long name": (lambda folder: folder / ("x" * 5000), ["cannot read"]),
    "device": (lambda folder: Path("/dev/null"), ["neither a file nor a folder"]),
    "empty file": (raw("fer2013.csv", b""), ["empty file"]),
    "blank file": (raw("fer2013.csv", b"\n\n"), ["no columns emotion and pixels"]),
    "binary": (raw("x.csv", bytes(range(256)) * 9), ["no columns emotion and pixels"]),
    "endless line": (raw("x.csv", f"{HEADER}\n{'1 ' * 40_000}".encode()), ["line 2", "2,304"]),
    "picture": (raw("face.png", PNG), ["no columns emotion and pixels"]),
    "other csv": (text("pixels,Usage", GOOD), ["no columns emotion and pixels", "pixels, usage"]),
    "no header": (text(ROW), ["no columns emotion and pixels"]),
    "double column": (text("emotion,pixels,pixels", ROW), ["each once"]),
    "header only": (text(HEADER), ["no rows"]),
    "few pixels": (text(HEADER, ROW, "", ROW, f"3,{GOOD[2:]},Training"), ["row 3", "line 5", "2,303", "2,304"]),
    "many pixels": (text(HEADER, f"3,7 {GOOD},Training"), ["row 1", "2,305"]),
    "no pixels": (text(HEADER, ROW, "3,,Training"), ["row 2", "0 pixels"]),
    "bright pixel": (text(HEADER, ROW, f"3,256{GOOD[1:]},Training"), ["row 2", "'256' as pixel 1"]),
    "huge pixel": (text(HEADER, f"3,{'9' * 5000}{GOOD[1:]},Training"), ["row 1", "as pixel 1"]),
    "negative pixel": (text(HEADER, f"3,{GOOD[:-1]}-7,Training"), ["row 1", "'-7' as pixel 2304"]),
    "fraction": (text(HEADER, f"3,7.0{GOOD[1:]},Training"), ["row 1", "'7.0'"]),
    "sum": (text(HEADER, f"3,{GOOD[:-3]}7+7,Training"), ["row 1", "'7+7'"]),
    "tabs": (text(HEADER, ROW.replace("7 7", "7\t7")), ["row 1", "separated by blanks"]),
    "word": (text(HEADER, f"3,x{GOOD[1:]},Training"), ["row 1", "'x'"]),
    "labels": (
        text(HEADER, ROW, f"7,{GOOD},Training", f"bored,{GOOD},Training", f"7,{GOOD},Training"),
        ["'7' (2, first in row 2", "'bored' (1, first in row 3", "--map '7'=neutral", "--skip '7'"],
    ),
    "usage": (text(HEADER, f"3,{GOOD},Trainin"), ["row 1", "usage 'Trainin'", "PrivateTest"]),
    "no usage": (text(HEADER, f"3,{GOOD},"), ["row 1", "usage ''"]),
    "columns": (text(HEADER, ROW, f"3,{GOOD}"), ["row 2", "2 columns", "3"]),
    "quote": (text(HEADER, f'3,"7{GOOD},Training', ROW), ["row 1"]),
    "empty folder": (files("faces"), ["no picture"]),
    "no emotions": (files("faces", ("a.png", PNG)), ["faces/a.png", "not in a folder"]),
    "unknown emotion": (
        files("faces", ("train/happy/a.png", PNG), ("train/bored/b.png", PNG)),
        ["'bored' (1, first train/bored/b.png)"],
    ),
    "unknown split": (files("faces", ("train/sad/a.png", PNG), ("fold1/sad/b.png", PNG)), ["fold1/sad/b.png"]),
    "deep folder": (files("faces", ("sad/a.png", PNG), ("train/sad/x/b.png", PNG)), ["train/sad/x/b.png"]),
    "no picture": (files("faces", ("sad/a.png", PNG), ("sad/b.png", b"text")), ["sad/b.png", "damaged"]),
    "empty picture": (files("faces", ("sad/b.png", b"")), ["sad/b.png", "empty"]),
    "cut png": (files("faces", ("sad/b.png", PNG[:-40])), ["sad/b.png", "cut short"]),
    "cut jpeg": (files("faces", ("sad/b.jpg", JPEG[:-40])), ["sad/b.jpg", "cut short"]),
    "picture's name": (files("faces", ("sad/a\nb\x1b.png", b"")), ["sad/a b?.png"]),
    "picture in zip": (files("x.zip", ("sad/b.png", PNG[:100])), ["x.zip/sad/b.png", "cut short"]),
    "row in zip": (files("x.zip", ("fer2013.csv", f"{HEADER}\n{ROW}\n9,,".encode())), ["x.zip/fer2013.csv", "row 2"]),
    "two csvs": (files("x.zip", ("a.csv", b"x"), ("b.csv", b"x")), ["2 CSV files (a.csv, b.csv)"]),
    "empty zip": (files("x.zip"), ["no picture"]),
    "broken zip": (raw("x.zip", b"PK\x03\x04 and no more"), ["broken zip"]),
    "npz": (raw("x.npz", b"PK\x03\x04 and no more"), ["no npz with pixels"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case: str, tmp_path: Path) -> None:
    write, words = BAD[case]
    source = write(tmp_path)  # type: ignore[no-untyped-call]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        import_dataset(source)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message
    assert "; " in message or "give " in message
    assert sorted(tmp_path.rglob("*")) == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(0, 11), at=st.floats(0, 1), junk=st.sampled_from([*"x.-+;'\u00e9,", "256 ", "cut"]))
def test_damaged_row_is_always_reported(faces: Dataset, tmp_path: Path, row: int, at: float, junk: str) -> None:
    rows = write_rows(faces)[:12]
    place = 1 + int(at * (len(rows[row]) - 2))
    rows[row] = rows[row][:place] if junk == "cut" else rows[row][:place] + junk + rows[row][place:]
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    with pytest.raises(InputError, match=rf"row {row + 1} \(line {row + 2}\)"):
        import_dataset(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8), cut=st.floats(0, 1))
def test_damaged_zip_raises_our_error_only(tmp_path: Path, damage: list[tuple[float, int]], cut: float) -> None:
    """Whatever bytes of a zip are wrong: a dataset or an error with one line, nothing else."""
    path = files("x.zip", ("train/sad/Training_1.png", PNG), ("train/happy/b.jpg", JPEG))(tmp_path)
    data = bytearray(path.read_bytes())
    for at, value in damage:
        data[int(at * (len(data) - 1))] = value
    path.write_bytes(data[: int(cut * len(data))] if cut < 0.3 else data)
    try:
        import_dataset(path)
    except EmoscopeError as e:
        assert "\n" not in str(e)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "icml", "folder"])
def test_all_of_fer2013_is_the_same_in_every_form(form: str, shared: Path, tmp_path: Path) -> None:
    source = tmp_path / ("faces" if form == "folder" else "faces.csv")
    subprocess.run([sys.executable, str(shared / "tools" / "fer2013"), form, str(source)], check=True)
    dataset = import_dataset(source)
    # The publisher's pixels, then pixels, labels and usages together.
    assert hashlib.sha256(dataset.pixels.tobytes()).hexdigest().startswith("a6a14cc065d21296871cdb0b91d9ff0f")
    assert dataset.sha256 == "98528e0542824fb9e88772f14b5a0328cf4a76d9849639e3a03881d1df5f1e93"
    facts = describe_dataset(dataset)
    assert list(facts["classes"].values()) == [4953, 547, 5121, 8989, 6077, 4002, 6198]
    duplicates = list(facts["duplicates"].values())
    assert duplicates[:6] == [1516, 3369, 1853, 57, 557, 288]


ODD: dict[str, dict[str, object]] = {
    "emotion is int64": {"emotion": np.full(14, -1)},
    "emotion is float64": {"emotion": np.full(14, np.nan)},
    "emotion is <U1": {"emotion": np.array(["a"] * 14)},
    "emotion is bool": {"emotion": np.zeros(14, bool)},
    "usage is float64": {"usage": np.zeros(14)},
    "usages": {"usage": np.array(["x" * 5000] * 14)},
    "group is float64": {"group": np.full(14, np.nan)},
    "pixels are uint8 ()": {"pixels": np.uint8(3)},
    "groups are not those of identical images": {"group": np.zeros(14, np.int32)},
    "is not a dataset of emoscope": {"pixels": "(" * 3000},
}


@pytest.mark.parametrize("words", ODD)
def test_files_of_odd_arrays_are_refused_in_a_line(words: str, tmp_path: Path) -> None:
    arrays = dict(np.load(create_synthetic(14).save(tmp_path / "faces.npz")))
    [(name, value)] = ODD[words].items()
    if isinstance(value, str):
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {value}".encode()
        with zipfile.ZipFile(tmp_path / "odd.npz", "w") as file:
            file.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    else:
        np.savez(tmp_path / "odd.npz", **{**arrays, name: value})
    with pytest.raises(InputError) as caught:
        Dataset.load(tmp_path / "odd.npz")
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_dataset_replaces_only_itself(tmp_path: Path) -> None:
    path, other = tmp_path / "faces.npz", create_synthetic(14)
    arrays = dict(np.load(create_synthetic(7).save(tmp_path / "others.npz")))
    (tmp_path / "text.npz").write_text("mine")
    np.savez(tmp_path / "notes.npz", **arrays, notes=np.arange(9))
    np.savez(tmp_path / "named.npz", **dict.fromkeys(arrays, np.arange(9)))
    (tmp_path / "link.npz").symlink_to("others.npz")
    for name in ("text", "notes", "named", "link"):
        before = (tmp_path / f"{name}.npz").read_bytes()
        with pytest.raises(OutputError, match="is no dataset that emoscope wrote"):
            other.save(tmp_path / f"{name}.npz", overwrite=True)
        assert (tmp_path / f"{name}.npz").read_bytes() == before
    assert (tmp_path / "link.npz").is_symlink()
    for _ in range(2):
        create_synthetic(7).save(path)
    with pytest.raises(OutputError, match=r"is another dataset \(7 images\).* --overwrite"):
        other.save(path)
    assert len(Dataset.load(path)) == 7
    assert len(Dataset.load(other.save(path, overwrite=True))) == 14
