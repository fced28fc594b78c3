"""Other sets of faces: archives, arrays, labels of other words and numbers; hostile archives; how good a network is."""

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from conftest import Command
from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.study.data import csv_rows, entries
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.importers import import_dataset
from emoscope.study.data.labels import Labels
from emoscope.study.data.splits import create_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.recipes.training import TrainConfig


@pytest.fixture(scope="module")
def faces() -> Dataset:
    return create_synthetic(70, seed=5)


def encode(face: np.ndarray) -> bytes:
    return cv2.imencode(".png", face)[1].tobytes()


def write_csv(path: Path, dataset: Dataset) -> Path:
    rows = [
        f"{emotion},{' '.join(map(str, face.ravel()))},{usage}"
        for face, emotion, usage in zip(dataset.pixels, dataset.emotion, dataset.usage, strict=True)
    ]
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]))
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zip_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def draw_files(dataset: Dataset, words: tuple[str, ...] = EMOTIONS, top: str = "") -> dict[str, bytes]:
    parts = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
    return {
        f"{top}{parts[usage]}/{words[label]}/{i:03}.png": encode(face)
        for i, (face, label, usage) in enumerate(
            zip(dataset.pixels, dataset.emotion, dataset.usage.tolist(), strict=True)
        )
    }


def test_fer2013_in_its_public_forms(faces: Dataset, tmp_path: Path) -> None:
    csv = write_csv(tmp_path / "fer2013.csv", faces)
    (tmp_path / "fer2013.csv.gz").write_bytes(gzip.compress(csv.read_bytes()))
    readme = {"fer2013/README": b"x", "fer2013/fer2013.csv": csv.read_bytes()}
    write_tar(tmp_path / "fer2013.tar.gz", readme)
    (tmp_path / "nested.zip").write_bytes(
        zip_bytes({"challenge/fer2013.tar.gz": (tmp_path / "fer2013.tar.gz").read_bytes()})
    )
    for name in ("fer2013.csv.gz", "fer2013.tar.gz", "nested.zip"):
        assert import_dataset(tmp_path / name).sha256 == faces.sha256, name
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "faces.npy", faces.pixels.reshape(len(faces), -1))
    np.save(folder / "labels.npy", np.eye(7)[faces.emotion])
    np.savez(tmp_path / "xy.npz", X=faces.pixels[..., None] / 255, y=faces.emotion.astype(int))
    cells = [{"bytes": encode(face), "path": None} for face in faces.pixels]
    pd.DataFrame({"image": cells, "label": faces.emotion}).to_parquet(tmp_path / "train-00000-of-00001.parquet")
    for name in ("arrays", "xy.npz", "train-00000-of-00001.parquet"):
        read = import_dataset(tmp_path / name)
        np.testing.assert_array_equal(read.pixels, faces.pixels, name)
        np.testing.assert_array_equal(read.emotion, faces.emotion, name)


def test_folders_in_archives_give_a_protocol(faces: Dataset, tmp_path: Path) -> None:
    files = draw_files(faces, top="archive/images/")
    train = {name.split("train/")[1]: data for name, data in files.items() if "train/" in name}
    rest = {name: data for name, data in files.items() if "train/" not in name}
    (tmp_path / "set.zip").write_bytes(zip_bytes({**rest, "archive/images/train.zip": zip_bytes(train)}))
    read = import_dataset(write_tar(tmp_path / "set.tgz", files))
    assert import_dataset(tmp_path / "set.zip").sha256 == read.sha256
    assert sorted(set(read.usage.tolist())) == ["PublicTest", "Test", "Training"]
    split = create_split(read, TrainConfig(protocol="folders", near_copies=True))
    assert [set(read.usage[part].tolist()) for part in vars(split).values()] == [{"Training"}, {"PublicTest"}, {"Test"}]
    two = Dataset.create(read.pixels, read.emotion, np.where(read.usage == "Test", "Test", "Training"))
    split = create_split(two, TrainConfig(protocol="folders", near_copies=True, n_folds=4))
    assert len(split.validation) and set(two.usage[split.validation].tolist()) == {"Training"}
    with pytest.raises(InputError, match="marks no train and test images"):
        create_split(Dataset.create(read.pixels, read.emotion, np.full(len(read), "")), TrainConfig(protocol="folders"))


def test_labels_of_other_sets(faces: Dataset, tmp_path: Path, emoscope: Command) -> None:
    raf = ("6", "3", "2", "4", "5", "1", "7")
    numbered = write_tar(tmp_path / "raf.tar", draw_files(faces, raf, "DATASET/"), "w")
    code, _, err = emoscope("data", "import", numbered, "-o", tmp_path / "x.npz")
    assert code == 2 and all(f"'{n}' (" in err for n in raf) and "raf-db" in err and not (tmp_path / "x.npz").exists()
    code, _, err = emoscope("data", "import", numbered, "--map", "raf-db", "-o", tmp_path / "x.npz")
    assert code == 0, err
    assert sorted(Dataset.load(tmp_path / "x.npz").emotion.tolist()) == sorted(faces.emotion.tolist())
    # As the publisher packs it: a list, and aligned pictures.
    listed = {f"basic/Image/aligned/train_{i:05}_aligned.jpg": encode(face) for i, face in enumerate(faces.pixels)}
    lines = "".join(f"train_{i:05}.jpg {raf[label]}\n" for i, label in enumerate(faces.emotion))
    packed = write_tar(tmp_path / "list.tar", {**listed, "basic/EmoLabel/list_patition_label.txt": lines.encode()}, "w")
    read = import_dataset(packed)
    np.testing.assert_array_equal(read.emotion, faces.emotion)
    assert set(read.usage.tolist()) == {"Training"}
    files = {
        **draw_files(faces, tuple(f"{i}_{e}" for i, e in enumerate(EMOTIONS))),
        "train/Contempt/a.png": encode(faces.pixels[0]),
    }
    eight = write_tar(tmp_path / "eight.tar", {k: v for k, v in files.items() if "disgust" not in k}, "w")
    code, out, _ = emoscope("data", "import", eight, "--skip", "contempt", "-o", tmp_path / "eight.npz")
    assert code == 0 and "1 images were left out by --skip" in out and "no image of disgust in Training" in out
    assert emoscope("data", "import", eight, "--map", "contempt=disgust", "-o", tmp_path / "mapped.npz")[0] == 0
    code, _, err = emoscope("data", "import", eight, "--map", "contempt", "--map", "a=b", "-o", tmp_path / "y.npz")
    assert code == 2 and "'contempt', 'a=b'" in err


def test_archives_are_hostile(faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = encode(faces.pixels[0])
    outside = write_tar(tmp_path / "a.tar", {"../../../evil/happy/a.png": picture, "/abs/happy/b.png": picture}, "w")
    with pytest.raises(InputError, match="is not in a folder such as"):
        import_dataset(outside)
    assert sorted(path.name for path in tmp_path.parent.rglob("evil*")) == []
    with tarfile.open(tmp_path / "link.tar", "w") as archive:
        link = tarfile.TarInfo("happy/a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(InputError, match="holds no picture"):
        import_dataset(tmp_path / "link.tar")
    monkeypatch.setattr(entries, "MAX_UNPACKED", 1 << 20)
    (tmp_path / "bomb.zip").write_bytes(zip_bytes({"a.tar.gz": gzip.compress(bytes(1 << 22))}))
    with pytest.raises(InputError, match="unpacks to more than"):
        import_dataset(tmp_path / "bomb.zip")
    write_tar(tmp_path / "bomb.tar.gz", {"happy/a.png": bytes(1 << 22)})
    with pytest.raises(InputError, match="unpacks to more than"):
        import_dataset(tmp_path / "bomb.tar.gz")
    nested = zip_bytes({"happy/a.png": picture})
    for _ in range(entries.MAX_ARCHIVES + 1):
        nested = zip_bytes({"a.zip": nested})
    (tmp_path / "deep.zip").write_bytes(nested)
    with pytest.raises(InputError, match="more than 64 archives; unpack"):
        import_dataset(tmp_path / "deep.zip")
    monkeypatch.setattr(csv_rows, "MAX_IMAGES", 10)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(write_csv(tmp_path / "r.csv", faces).read_bytes()))
    with pytest.raises(InputError, match="more than 10 rows"):
        import_dataset(tmp_path / "rows.csv.gz")
    monkeypatch.setattr(entries, "MAX_FILES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        import_dataset(write_tar(tmp_path / "many.tar", {f"happy/{i}.png": picture for i in range(5)}, "w"))
    for name in ("x.tar.gz", "x.tar", "x.zip", "x.tar.xz"):
        (tmp_path / name).write_bytes(b"\x1f\x8bno archive at all" * 40)
        with pytest.raises(InputError, match=r"cannot read|is a broken zip"):
            import_dataset(tmp_path / name)
    for name in ("x.parquet", "x.npz"):
        (tmp_path / name).write_bytes(b"PAR1 no more")
        with pytest.raises(InputError, match="is no "):
            import_dataset(tmp_path / name)


def test_unknown_labels_are_counted_whatever_they_are() -> None:
    labels = Labels()
    for label in ("\n\x1b" * 40, "x" * 5000, *map(str, range(7, 60))):
        labels.find(label, "there")
    with pytest.raises(InputError) as caught:
        labels.check("set")
    assert "and 43 more" in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 1500


def test_how_good_is_it_on_my_pictures(faces: Dataset, tmp_path: Path, emoscope: Command) -> None:
    files = {name: data for name, data in draw_files(faces).items() if "disgust" not in name}
    assert emoscope("data", "import", write_tar(tmp_path / "set.tar", files, "w"), "-o", tmp_path / "mine.npz")[0] == 0
    command = ("evaluate", "--data", tmp_path / "mine.npz", "--model", "fast", "--split")
    n = {
        split: json.loads(emoscope(*command, split, "--json")[1])["n"]
        for split in ("all", "train", "validation", "test")
    }
    assert n["all"] == len(files) == n["train"] + n["validation"] + n["test"]
    code, out, _ = emoscope(*command, "all")
    assert code == 0 and "(95 %: " in out and "no image of disgust: macro F1 is the mean over the others" in out
    figures = json.loads(emoscope(*command, "all", "--json")[1])
    f1 = [row["f1"] for name, row in figures["per_class"].items() if name != "disgust"]
    low, high = figures["interval_95"]["macro_f1"]
    assert figures["macro_f1"] == pytest.approx(np.mean(f1)) and low <= figures["macro_f1"] <= high
    unmarked = Dataset.create(faces.pixels, faces.emotion, np.full(len(faces), ""), faces.group)
    unmarked.save(tmp_path / "unmarked.npz")
    code, _, err = emoscope("evaluate", "--data", tmp_path / "unmarked.npz", "--split", "test")
    assert code == 2 and "marks no test images; choose --split all" in err


def test_arrays_are_hostile(faces: Dataset, tmp_path: Path, emoscope: Command) -> None:
    def promise(shape: tuple[int, ...]) -> bytes:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return header.getvalue()

    marks = faces.emotion.astype(int)
    np.savez(tmp_path / "columns.npz", X=faces.pixels, y=marks[:, None][:, :0])
    np.savez(tmp_path / "sides.npz", X=np.zeros((5, 0, 0), np.uint8), y=marks[:5])
    for name, shape in (("many", (10**9, 48, 48)), ("more", (10**30, 48, 48))):
        (tmp_path / f"{name}.npz").write_bytes(zip_bytes({"X.npy": promise(shape), "y.npy": promise((3,))}))
    png = bytearray(encode(faces.pixels[0]))
    png[16:24] = (10**5).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    jpg = cv2.imencode(".jpg", faces.pixels[0])[1].tobytes()
    for name, columns in {
        "unlabelled": {"image": [encode(faces.pixels[0])]},
        "giant": {"image": [bytes(png)], "label": [0]},
        "cut": {"image": [jpg[:-40]], "label": [0]},
    }.items():
        pd.DataFrame(columns).to_parquet(tmp_path / f"{name}.parquet")
    for source in sorted(tmp_path.iterdir()):
        code, _, err = emoscope("data", "import", source, "-o", tmp_path / "out.npz")
        assert code == 2 and err.count("\n") == 1 and not (tmp_path / "out.npz").exists(), (source.name, code, err)


def test_whole_numbers_of_0_and_1_are_asked_about(faces: Dataset, tmp_path: Path, emoscope: Command) -> None:
    black_and_white = (faces.pixels > 127).astype(np.uint8)
    np.savez(tmp_path / "bits.npz", X=black_and_white, y=faces.emotion.astype(int))
    code, _, err = emoscope("data", "import", tmp_path / "bits.npz", "-o", tmp_path / "out.npz")
    assert code == 2 and "the whole numbers 0 and 1" in err and err.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()
    # Both advices are followed.
    for name, pixels in (("bytes", 255 * black_and_white), ("decimal", black_and_white.astype(np.float32))):
        np.savez(tmp_path / f"{name}.npz", X=pixels, y=faces.emotion.astype(int))
        assert emoscope("data", "import", tmp_path / f"{name}.npz", "-o", tmp_path / f"{name}-out.npz")[0] == 0
        assert (Dataset.load(tmp_path / f"{name}-out.npz").pixels == 255 * black_and_white).all()


def test_numbers_in_parquet_are_whole_or_shares_of_white(faces: Dataset, tmp_path: Path) -> None:
    for name, pixels in (("shares", faces.pixels / 255), ("floats", faces.pixels * 1.0), ("near", faces.pixels + 1e-6)):
        cells = np.minimum(pixels, 255).reshape(len(faces), -1).tolist()
        pd.DataFrame({"pixels": cells, "emotion": faces.emotion}).to_parquet(tmp_path / f"{name}.parquet")
        np.testing.assert_array_equal(import_dataset(tmp_path / f"{name}.parquet").pixels, faces.pixels, name)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--map", "0=happy", "--map", "0=sad"), "say different things of '0'"),
        (("--map", "0=happy", "--skip", "0"), "say different things of '0'"),
        (("--skip", "hapy"), "has no image of --skip 'hapy'"),
        (("--map", "suprise=surprise"), "has no image of --map 'suprise'"),
        ([word for i in range(7) for word in ("--skip", str(i))], "all 70 images of"),
    ],
)
def test_words_about_labels_that_cannot_hold(
    faces: Dataset, tmp_path: Path, emoscope: Command, words: tuple[str, ...], expected: str
) -> None:
    code, _, err = emoscope("data", "import", write_csv(tmp_path / "x.csv", faces), *words, "-o", tmp_path / "o.npz")
    assert code == 2 and expected in err and not (tmp_path / "o.npz").exists()
    labels = Labels(("raf-db", "1=sad"))
    assert labels.find("1", "") == EMOTIONS.index("sad") and labels.find("2", "") == EMOTIONS.index("fear")


def test_raf_db_with_whole_photographs_beside_its_faces(
    faces: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut = {f"aligned/train_{i}_aligned.jpg": encode(face) for i, face in enumerate(faces.pixels[:9])}
    whole = {f"original/train_{i}.jpg": encode(np.zeros((200, 300), np.uint8)) for i in range(9)}
    lines = "".join(f"train_{i}.jpg 4\n" for i in range(10))
    files = {**cut, **whole, "other.jpg": encode(faces.pixels[0]), "list_patition_label.txt": lines.encode()}
    read = import_dataset(write_tar(tmp_path / "raf.tar", files, "w"))
    np.testing.assert_array_equal(read.pixels, faces.pixels[:9])
    assert "9 of the 10 faces" in caplog.text and "1 pictures are not in that list" in caplog.text
