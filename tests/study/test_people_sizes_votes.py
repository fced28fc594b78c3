"""What an import keeps beside faces and labels: who is who, faces' own size, raters' votes; lists of other sets."""

import csv
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from conftest import Command
from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.cartoon import draw_face
from emoscope.study.data.collector import Collector
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.importers import import_dataset
from emoscope.study.data.labels import Labels
from emoscope.study.data.people import People
from emoscope.study.data.splits import create_split
from emoscope.study.data.votes import EMOTIONS_VOTED, NONE, apply_votes
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.batches import Augmentation, create_batch
from emoscope.study.training.images import find_shares
from emoscope.study.training.own_faces import choose_split
from emoscope.study.training.train import train

N_PEOPLE = 12
CLASSES = ("happy", "sad", "neutral")


def draw_people(folder: Path) -> Path:
    """Draw each of some people with each of three expressions four times, and say who is who beside them."""
    rows = ["image,person"]
    for person in range(N_PEOPLE):
        for label in CLASSES:
            (folder / "faces" / label).mkdir(parents=True, exist_ok=True)
            for i in range(4):
                name = f"{person}_{label}_{i}.png"
                face = draw_face(EMOTIONS.index(label), np.random.default_rng([person, i, EMOTIONS.index(label)]))
                cv2.imwrite(str(folder / "faces" / label / name), face)
                rows.append(f"{name},p{person}")
    (folder / "persons.csv").write_text("\n".join(rows))
    return folder / "faces"


def split_people(dataset: Dataset, config: TrainConfig) -> list[set[int]]:
    assert dataset.person is not None
    split = create_split(dataset, config)
    return [set(dataset.person[part].tolist()) for part in (split.train, split.validation, split.test)]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    folder = tmp_path_factory.mktemp("people")
    source = draw_people(folder)
    return source, import_dataset(source, collector=Collector(people=People(file=folder / "persons.csv")))


@pytest.mark.parametrize("near_copies", [True, False])
def test_a_person_stands_on_one_side(people: tuple[Path, Dataset], near_copies: bool) -> None:
    _, dataset = people
    assert dataset.person is not None and len(np.unique(dataset.person)) == N_PEOPLE
    # Drawn faces are near-copies of each other; here people are what is looked at.
    apart = np.arange(len(dataset), dtype=np.int32)
    dataset = Dataset.create(dataset.pixels, dataset.emotion, dataset.usage, apart, person=dataset.person)
    seen: set[int] = set()
    chosen = choose_split(dataset)
    assert chosen == {"protocol": "random", "n_folds": 5}
    for fold in range(5):
        config = TrainConfig(protocol="random", n_folds=5, fold=fold, near_copies=near_copies)
        train_people, validation, test = split_people(dataset, config)
        assert train_people and validation and test
        assert not (train_people & validation or train_people & test or validation & test)
        seen |= validation
    assert seen | test == set(range(N_PEOPLE))
    # The test can fail: without people the same protocol puts them on both sides.
    plain = Dataset.create(dataset.pixels, dataset.emotion, dataset.usage, apart)
    split = create_split(plain, TrainConfig(protocol="random", n_folds=5, near_copies=near_copies))
    assert set(dataset.person[split.train].tolist()) & set(dataset.person[split.test].tolist())


def test_marked_parts_lose_people_of_the_test(people: tuple[Path, Dataset]) -> None:
    _, dataset = people
    usage = np.array((["Training"] * 6 + ["PublicTest", "Test"]) * (len(dataset) // 8))
    apart = np.arange(len(dataset), dtype=np.int32)
    # In 16 pieces, so that people are in several parts but not all in the test.
    person = np.arange(len(dataset), dtype=np.int32) // 3
    marked = Dataset.create(dataset.pixels, dataset.emotion, usage, apart, person=person)
    parts = split_people(marked, TrainConfig(protocol="folders", near_copies=True))
    assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    everybody = Dataset.create(dataset.pixels, dataset.emotion, usage, apart, person=np.zeros(len(usage), np.int32))
    with pytest.raises(InputError, match="of the people, of the test"):
        create_split(everybody, TrainConfig(protocol="folders", near_copies=True))


def test_people_are_kept_and_said(people: tuple[Path, Dataset], emoscope: Command, tmp_path: Path) -> None:
    source, dataset = people
    persons, data = source.parent / "persons.csv", tmp_path / "x.npz"
    code, out, stderr = emoscope("data", "import", source, "--persons", persons, "-o", data)
    assert code == 0 and f"{N_PEOPLE} people, who stand on one side of every split\n" in out, stderr
    loaded = Dataset.load(data)
    assert loaded.sha256 == dataset.sha256 and np.array_equal(loaded.person, dataset.person)
    assert loaded.sha256 != import_dataset(source).sha256
    code, out, _ = emoscope("data", "show", data, "--json")
    assert code == 0 and json.loads(out)["people"] == N_PEOPLE
    # The same of a table.
    rows = [["emotion", "pixels", "Who"]]
    rows += [
        [str(e), " ".join(map(str, face.ravel())), f"p{p}" if p else ""]
        for face, e, p in zip(dataset.pixels, dataset.emotion, dataset.person, strict=True)
    ]
    with (tmp_path / "own.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    code, out, stderr = emoscope(
        "data", "import", tmp_path / "own.csv", "--person-column", "who", "-o", data, "--overwrite"
    )
    assert code == 0 and f"{N_PEOPLE - 1} people" in out and "12 pictures are of nobody known" in out, stderr
    person = Dataset.load(data).person
    assert person is not None and len(np.unique(person)) == N_PEOPLE - 1 + 12


def test_wrong_words_about_people(people: tuple[Path, Dataset], emoscope: Command, tmp_path: Path) -> None:
    source, _ = people
    data = tmp_path / "x.npz"
    (tmp_path / "other.csv").write_text("image,person\nnobody.png,a\n")
    (tmp_path / "columns.csv").write_text("picture,who\na.png,a\n")
    (tmp_path / "twice.csv").write_text("image,person\na.png,a\na.png,b\n")
    cases = {
        ("--persons", tmp_path / "other.csv"): "names none of the pictures",
        ("--persons", tmp_path / "columns.csv"): "expected a CSV file with the columns image and person",
        ("--persons", tmp_path / "twice.csv"): "line 3 gives a.png to another person",
        ("--persons", tmp_path / "none.csv"): "cannot read",
        ("--person-column", "who"): "say who is on them by --persons FILE",
        ("--person-column", "who", "--persons", tmp_path / "other.csv"): "name one of them",
    }
    for options, message in cases.items():
        code, _, stderr = emoscope("data", "import", source, *options, "-o", data)
        assert code == 2 and message in stderr and stderr.count("\n") == 1, (options, stderr)
        assert not data.exists()


def test_pictures_of_one_name_are_told_apart_by_their_paths(emoscope: Command, tmp_path: Path) -> None:
    for label in CLASSES:
        (tmp_path / "wrapped" / "a  set" / label).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "wrapped" / "a  set" / label / "0.png"), draw_face(3, np.random.default_rng(0)))
    persons, data = tmp_path / "persons.csv", tmp_path / "x.npz"
    persons.write_text("image,person\n0.png,anna\n")
    words = ("data", "import", tmp_path / "wrapped", "--persons", persons, "-o", data)
    code, _, stderr = emoscope(*words)
    assert code == 2 and "several pictures 0.png, such as a set/happy/0.png and a set/neutral/0.png" in stderr
    # The paths that the message told, and other ways to say which.
    for paths in (
        ("a  set/happy/0.png", "a  set/neutral/0.png"),
        ("./happy/0.png", "neutral\\0.png"),
        (f"{tmp_path}/wrapped/a  set/happy/0.png", f"{tmp_path}/wrapped/a  set/neutral/0.png"),
    ):
        persons.write_text("image,person\n" + "".join(f"{path},anna\n" for path in paths))
        code, out, stderr = emoscope(*words, "--overwrite")
        assert code == 0 and "1 people" in out, stderr
        assert Dataset.load(data).person.tolist() == [0, 0, 1]  # type: ignore[union-attr]


def test_gaps_are_nobody_and_tables_have_columns(emoscope: Command, tmp_path: Path) -> None:
    faces = np.stack([draw_face(i, np.random.default_rng(i)) for i in range(4)])
    who = np.array([1.0, np.nan, np.nan, 1.0])
    np.savez(tmp_path / "x.npz", pixels=faces, emotion=np.arange(4), who=who)
    found = import_dataset(tmp_path / "x.npz", collector=Collector(people=People("who")))
    assert found.person is not None and found.person.tolist() == [0, 1, 2, 0]
    (tmp_path / "p.csv").write_text("image,person\n0.png,anna\n")
    code, _, stderr = emoscope(
        "data", "import", tmp_path / "x.npz", "--persons", tmp_path / "p.csv", "-o", tmp_path / "y.npz"
    )
    assert code == 2 and "by a column of it, --person-column NAME" in stderr
    code, _, stderr = emoscope("data", "import", tmp_path / "x.npz", "--person-column", "who", "-o", tmp_path / "y.npz")
    assert code == 0, stderr


def test_faces_keep_their_size(emoscope: Command, tmp_path: Path) -> None:
    for label, name in enumerate(EMOTIONS):
        (tmp_path / "large" / name).mkdir(parents=True)
        for i in range(10):
            face = draw_face(label, np.random.default_rng([label, i]), 100)
            cv2.imwrite(str(tmp_path / "large" / name / f"{i}.png"), face)
    data = tmp_path / "large.npz"
    code, out, stderr = emoscope("data", "import", tmp_path / "large", "-o", data)
    assert code == 0 and "brought to" not in out, stderr
    dataset = Dataset.load(data)
    assert dataset.pixels.shape == (70, 100, 100) and dataset.side_px == 100
    assert np.array_equal(dataset.pixels[0], cv2.imread(str(tmp_path / "large" / "angry" / "0.png"), 0))
    # Trained, measured, drawn and exported at another side than its own.
    config = TrainConfig(
        "compact-tiny", protocol="random", near_copies=True, epochs=1, batch_size=16, sizes_px=(32,), size_shares=(1.0,)
    )
    run = train(dataset, config, tmp_path / "runs")
    assert run.load_validation().logits[1].shape[2] == 7
    assert emoscope("data", "show", data)[0] == 0
    assert emoscope("export", run.folder, "-o", tmp_path / "x.onnx")[0] == 0
    code, out, stderr = emoscope("evaluate", "--data", data, "--split", "all", "--model", tmp_path / "x.onnx", "--json")
    assert code == 0 and json.loads(out)["n"] == 70, stderr
    # Mixed sizes are brought to one, and that is said; so is a wish.
    cv2.imwrite(str(tmp_path / "large" / "sad" / "odd.png"), draw_face(4, np.random.default_rng(9), 60)[:, 5:])
    for options, side, n in ((), 48, 71), (("--size", 100), 100, 1), (("--size", 64), 64, 71):
        code, out, stderr = emoscope("data", "import", tmp_path / "large", *options, "-o", data, "--overwrite")
        words = f"{n} pictures of 2 sizes, 55 x 60 to 100 x 100 px, were brought to {side} x {side} px"
        assert code == 0 and words in out and Dataset.load(data).side_px == side, (out, stderr)
    code, _, stderr = emoscope("data", "import", tmp_path / "large", "--size", 8, "-o", data, "--overwrite")
    assert code == 2 and "--size is 8, expected 16 to 512" in stderr


def test_large_faces_are_reduced_before_they_are_warped() -> None:
    """A grid finer than the network's input vanishes; the warp alone, which reads four pixels, would keep it."""
    board = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (112, 112))
    faces = torch.from_numpy(np.stack([board] * 4))
    how = Augmentation(brightness=0, contrast=0, erase_probability=0)
    spec = ModelSpec("x")
    batch = create_batch(faces, 48, spec, how, torch.Generator().manual_seed(0))
    grey = batch * spec.std + spec.mean
    assert float(grey.std()) < 0.02 and abs(float(grey.mean()) - 0.5) < 0.02


def write_votes(path: Path, rows: list[dict[str, int]], usages: list[str]) -> Path:
    names = (*EMOTIONS_VOTED, *(name if name == "unknown" else "NF" for name in NONE))
    lines = [",".join(("Usage", "Image name", *names))]
    for i, (row, usage) in enumerate(zip(rows, usages, strict=True)):
        lines.append(",".join([usage, f"fer{i:07}.png", *(str(row.get(name.lower(), 0)) for name in names)]))
    path.write_text("\n".join(lines))
    return path


VOTES = [
    {"happiness": 10},
    {"happiness": 6, "neutral": 4},
    {"happiness": 5, "neutral": 5},
    {"sadness": 4, "anger": 1, "fear": 1, "disgust": 1, "neutral": 3},
    {"contempt": 7, "neutral": 3},
    {"unknown": 6, "sadness": 4},
    {"nf": 10},
    {"anger": 3, "fear": 3, "sadness": 3},
]


def write_fer(path: Path, n: int) -> Path:
    rows = [["emotion", "pixels", "Usage"]]
    for i in range(n):
        face = draw_face(i % 7, np.random.default_rng(i))
        rows.append([str(i % 7), " ".join(map(str, face.ravel())), "Training" if i < n - 2 else "PrivateTest"])
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_votes_of_fer_plus(emoscope: Command, tmp_path: Path) -> None:
    source, data = write_fer(tmp_path / "fer2013.csv", len(VOTES)), tmp_path / "x.npz"
    usages = ["Training"] * 6 + ["PrivateTest"] * 2
    votes = write_votes(tmp_path / "fer2013new.csv", VOTES, usages)
    code, out, stderr = emoscope("data", "import", source, "--votes", votes, "-o", data)
    assert code == 0, stderr
    assert (
        "labels are the majority of FER+'s raters: 3 of 8 pictures have one; left out: 2 without a majority, "
        "1 contempt, which is no class here, 1 unknown, 1 not a face\n"
    ) in out
    dataset = Dataset.load(data)
    assert [EMOTIONS[i] for i in dataset.emotion] == ["happy", "happy", "sad"] and dataset.votes is not None
    happy, neutral, sad = (EMOTIONS.index(name) for name in ("happy", "neutral", "sad"))
    assert dataset.votes[1].nonzero()[0].tolist() == [happy, neutral]
    # Single votes are outliers.
    assert dataset.votes[2, [sad, neutral]].tolist() == [4, 3] and dataset.votes[2].sum() == 7
    shares = find_shares(dataset, np.arange(3))
    assert torch.allclose(shares.sum(dim=1), torch.ones(3)) and shares[1, happy] == pytest.approx(0.6)
    # Contempt may be a class.
    eight = (*EMOTIONS, "contempt")
    options = ("--classes", ",".join(eight), "--votes", votes, "-o", data, "--overwrite")
    code, out, stderr = emoscope("data", "import", source, *options)
    assert code == 0 and "4 of 8 pictures" in out, stderr
    assert eight[Dataset.load(data).emotion[3]] == "contempt"


def test_wrong_votes_are_refused(emoscope: Command, tmp_path: Path) -> None:
    source, data = write_fer(tmp_path / "fer2013.csv", len(VOTES)), tmp_path / "x.npz"
    usages = ["Training"] * 6 + ["PrivateTest"] * 2
    good = write_votes(tmp_path / "good.csv", VOTES, usages).read_text()
    cases = {
        "fewer": ("\n".join(good.splitlines()[:-1]), "has 7 rows, and the pictures 8"),
        "other order": (write_votes(tmp_path / "o.csv", VOTES, usages[::-1]).read_text(), "is PrivateTest, and that"),
        "no column": (good.replace("contempt", "kontempt"), "has no column contempt"),
        "no number": (
            good.replace("fer0000001.png,4,6", "fer0000001.png,4,x"),
            "line 3 has 'x' as votes for happiness",
        ),
    }
    for name, (text, message) in cases.items():
        (tmp_path / "votes.csv").write_text(text)
        code, _, stderr = emoscope("data", "import", source, "--votes", tmp_path / "votes.csv", "-o", data)
        assert code == 2 and message in stderr and stderr.count("\n") == 1 and not data.exists(), (name, stderr)
    folder = tmp_path / "folders" / "happy"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "a.png"), draw_face(3, np.random.default_rng(0)))
    code, _, stderr = emoscope("data", "import", folder.parent, "--votes", tmp_path / "good.csv", "-o", data)
    assert code == 2 and "import fer2013.csv" in stderr


def test_votes_are_learned(tmp_path: Path) -> None:
    """With soft labels the loss is that of the shares; a training with them and one without differ."""
    rows = [{EMOTIONS_VOTED[i % 7]: 6, EMOTIONS_VOTED[(i + 1) % 7]: 4} for i in range(70)]
    usages = ["Training"] * 68 + ["PrivateTest"] * 2
    votes = write_votes(tmp_path / "v.csv", rows, usages)
    collector = Collector()
    dataset = apply_votes(
        import_dataset(write_fer(tmp_path / "fer2013.csv", 70), collector=collector), votes, collector
    )
    config = {
        "network": "compact-tiny", "protocol": "random", "near_copies": True, "epochs": 1, "batch_size": 16,
        "sizes_px": [24], "size_shares": [1.0], "augment": False,
    }  # fmt: skip
    losses = [
        train(dataset, TrainConfig.from_dict({**config, **more}), tmp_path / "runs").load_history()[0]["train_loss"]
        for more in ({}, {"soft_labels": True}, {"soft_labels": True, "mixup_alpha": 0.2})
    ]
    assert len(set(losses)) == 3 and np.isfinite(losses).all()
    plain = Dataset.create(dataset.pixels, dataset.emotion, dataset.usage, np.arange(len(dataset), dtype=np.int32))
    with pytest.raises(InputError, match="the dataset has none; import FER2013 with --votes"):
        train(plain, TrainConfig.from_dict({**config, "soft_labels": True}), tmp_path / "runs")


def test_expw(emoscope: Command, tmp_path: Path) -> None:
    """Several faces of one photograph, each cut by its box; a line without a picture and a picture without a line."""
    canvas = np.full((300, 500), 90, np.uint8)
    faces = [draw_face(label, np.random.default_rng(label), 120) for label in (3, 4)]
    canvas[40:160, 50:170], canvas[100:220, 300:420] = faces
    (tmp_path / "image" / "origin").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "image" / "origin" / "a b_1.jpg"), canvas, [cv2.IMWRITE_JPEG_QUALITY, 98])
    cv2.imwrite(str(tmp_path / "image" / "origin" / "other.jpg"), canvas)
    (tmp_path / "label").mkdir()
    (tmp_path / "label" / "label.lst").write_text(
        "a b_1.jpg 0 40 50 170 160 93.1 3\na b_1.jpg 1 100 300 420 220 12.5 4\ngone.jpg 0 1 1 9 9 50.0 6\n"
    )
    data = tmp_path / "x.npz"
    code, _out, stderr = emoscope("data", "import", tmp_path, "-o", data, "--size", 64)
    assert code == 0 and "2 of the 3 faces that label.lst names are there; 1 pictures are not" in stderr, stderr
    dataset = Dataset.load(data)
    assert [EMOTIONS[i] for i in dataset.emotion] == ["happy", "sad"]
    for face, own in zip(faces, dataset.pixels, strict=True):
        expected = cv2.resize(face, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(expected.ravel(), own.ravel())[0, 1] > 0.95
    code, _, stderr = emoscope("data", "import", tmp_path, "-o", data, "--faces", "--overwrite")
    assert code == 2 and "says where each face is; leave out --faces" in stderr
    for line, message in (
        ("a b_1.jpg 0 40 50", "line 1 is 'a b_1.jpg 0 40 50', expected image_name face_id top left"),
        ("a b_1.jpg 0 40 900 970 160 93.1 3", "lies outside of the picture"),
        ("a b_1.jpg 0 40 50 170 160 93.1 9", "'9' (1, first in line 1 of label.lst)"),
    ):
        (tmp_path / "label" / "label.lst").write_text(line + "\n")
        code, _, stderr = emoscope("data", "import", tmp_path, "-o", tmp_path / "y.npz")
        last = stderr.splitlines()[-1]
        assert code == 2 and message in last and not (tmp_path / "y.npz").exists(), stderr


def test_ck_plus(emoscope: Command, tmp_path: Path) -> None:
    """Peak frames alone, with their person; contempt is no class unless it is named."""
    labels = {("S005", "001"): 3, ("S010", "002"): 7, ("S010", "004"): 2, ("S011", "001"): None}
    with zipfile.ZipFile(tmp_path / "ck.zip", "w") as archive:
        for (person, sequence), label in labels.items():
            for frame in (1, 2, 3):
                stem = f"{person}_{sequence}_{frame:08}"
                face = draw_face(frame % 7, np.random.default_rng([frame, len(person)]))
                picture = cv2.imencode(".png", face)[1].tobytes()
                archive.writestr(f"CK+/cohn-kanade-images/{person}/{sequence}/{stem}.png", picture)
            if label is not None:
                text = f"   {label:.7e}\n"
                archive.writestr(f"CK+/Emotion/{person}/{sequence}/{person}_{sequence}_00000003_emotion.txt", text)
    data = tmp_path / "x.npz"
    code, _, stderr = emoscope("data", "import", tmp_path / "ck.zip", "-o", data)
    assert code == 2 and "'2' (1, first CK+/Emotion/S010/004/S010_004_00000003_emotion.txt)" in stderr, stderr
    code, out, stderr = emoscope("data", "import", tmp_path / "ck.zip", "-o", data, "--skip", "2")
    assert code == 0 and "2 people, who stand on one side" in out, stderr
    dataset = Dataset.load(data)
    assert [EMOTIONS[i] for i in dataset.emotion] == ["disgust", "surprise"] and len(dataset) == 2
    assert dataset.person is not None and dataset.person.tolist() == [0, 1]
    collector = Collector(Labels(classes=(*EMOTIONS, "contempt")))
    assert len(import_dataset(tmp_path / "ck.zip", collector=collector)) == 3


def test_an_archive_of_many_members_and_labels_that_are_none(emoscope: Command, tmp_path: Path) -> None:
    """60,000 members that are no pictures are one line; so are labels that are neither numbers nor names."""
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for i in range(60_000):
            archive.writestr(f"notes/{i}.txt", b"")
    code, _, stderr = emoscope("data", "import", tmp_path / "many.zip", "-o", tmp_path / "x.npz")
    assert code == 2 and "holds no picture" in stderr and stderr.count("\n") == 1, stderr
    faces = [" ".join(map(str, draw_face(0, np.random.default_rng(i)).ravel())) for i in range(3)]
    table = pd.DataFrame({"emotion": ["-", "3.5", "\u2603"], "pixels": faces})
    table.to_csv(tmp_path / "odd.csv", index=False)
    code, _, stderr = emoscope("data", "import", tmp_path / "odd.csv", "-o", tmp_path / "x.npz")
    assert code == 2 and "'-' (1, first in row 1 (line 2)), '3.5' (1" in stderr and stderr.count("\n") == 1, stderr
    assert not (tmp_path / "x.npz").exists()
