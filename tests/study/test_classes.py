"""Own classes, and more than seven: from labelled pictures to the report; weights that carry over by name."""

import html
import io
import json
import re
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from fastapi.testclient import TestClient

from conftest import Command
from emoscope.browser.facts import collect_facts
from emoscope.core.emotions import COLOURS, EMOTIONS, find_colours
from emoscope.core.errors import InputError, ModelError
from emoscope.core.types import Image
from emoscope.faces.recognize import Recognizer
from emoscope.faces.spec import ModelSpec
from emoscope.server import ServerOptions, create_app
from emoscope.study.data.cartoon import draw_face
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.importers import import_dataset
from emoscope.study.data.labels import Labels
from emoscope.study.networks.catalogue import create_network
from emoscope.study.networks.exported import read_weights
from emoscope.study.training.initial import find_head, load_initial
from own_networks import ELEVEN, THREE, N, draw_set, export_network


def make_network(emoscope: Command, folder: Path, classes: tuple[str, ...], *options: object) -> Path:
    """Import a drawn set, train on it and export; return the ONNX file."""
    source = draw_set(folder / "pictures", classes)
    data, runs = folder / "own.npz", folder / "runs"
    code, out, stderr = emoscope("data", "import", source, "--classes", ",".join(classes), "-o", data)
    assert code == 0 and f"{N * len(classes)} images -> " in out, stderr
    tiny = ("--epochs", 2, "--batch-size", 16, "--sizes-px", 24, "--near-copies")
    network = () if "--init" in options else ("--network", "compact-tiny")
    code, out, stderr = emoscope("train", "--data", data, "-o", runs, *network, *tiny, *options, "--json")
    assert code == 0, stderr
    result = json.loads(out)
    assert list(result["validation"]["per_class"]) == list(classes)
    model = folder / "own.onnx"
    code, _, stderr = emoscope("export", result["run"], "-o", model)
    assert code == 0, stderr
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Path]:
    """A network of each list, made without the command line."""
    return {classes: export_network(tmp_path_factory.mktemp("own"), classes) for classes in (THREE, ELEVEN)}


@pytest.mark.parametrize("classes", [THREE, ELEVEN], ids=["three", "eleven"])
def test_from_import_to_report(
    models: dict[tuple[str, ...], Path],
    classes: tuple[str, ...],
    emoscope: Command,
    clip: Path,
    tmp_path: Path,
) -> None:
    model = models[classes]
    spec = Recognizer(model).spec
    assert spec.labels == classes and len(spec.find_calibration(1).bias) == len(classes)
    code, out, stderr = emoscope(
        "evaluate", "--data", model.parent / "own.npz", "--split", "all", "--model", model, "--json"
    )
    assert code == 0 and list(json.loads(out)["per_class"]) == list(classes), stderr
    code, _, stderr = emoscope(
        *("analyze", clip, "-o", tmp_path / "result", "--model", model, "--every", "5", "--smooth", "0.5"),
        *("--detector", "own"),
    )
    assert code == 0, stderr
    table = pd.read_parquet(tmp_path / "result" / "observations.parquet")
    assert [n for n in table.columns if n.startswith("p_")] == [f"p_{name}" for name in classes]
    assert [n for n in table.columns if n.startswith("smooth_")] == [f"smooth_{name}" for name in classes]
    seen = table.dropna(subset="emotion")
    assert len(seen) and set(seen["emotion"]) <= set(classes)
    assert np.allclose(seen[[f"p_{name}" for name in classes]].sum(axis=1), 1)
    summary = json.loads((tmp_path / "result" / "summary.json").read_bytes())
    assert list(summary["audience"]["shares"]) == list(classes) and summary["audience"]["valence"] is None
    header = (tmp_path / "result" / "audience.csv").read_text().splitlines()[0].split(",")
    assert [n for n in header if n.startswith("share_")] == [f"share_{name}" for name in classes]
    assert not {"positive", "valence_index"} & set(header)
    report = (tmp_path / "result" / "report.html").read_text()
    series = json.loads(re.findall(r'<script type="application/json" id="series">(.*?)</script>', report, re.S)[0])
    assert [name for name, _ in series["emotions"]] == list(classes) and series["valence"] is None
    assert report.count("no valence is known") == 1 and "Pleasant or unpleasant?" not in report
    assert "FER2013" not in report.partition('<section id="limits"')[2].partition("</section>")[0]
    for _, colour in series["emotions"]:
        assert f"{colour[4:-1]}: #" in report, colour
    # The report is made anew from the folder, and what rests on valence is left out of a group.
    code, _, stderr = emoscope("report", tmp_path / "result")
    assert code == 0, stderr
    code, _, stderr = emoscope("group", tmp_path, "-o", tmp_path / "group")
    assert code == 0 and stderr.count("no valence is known") == stderr.count("\n") == 1, stderr
    row = pd.read_csv(tmp_path / "group" / "project" / "participants.csv").iloc[0]
    own = seen[seen["track_id"] == seen["track_id"].mode()[0]]
    for name in classes:
        assert row[f"p_{name}"] == pytest.approx(own[f"p_{name}"].mean(), rel=1e-4)
    assert not {"valence", "agreement"} & set(row.index)
    page = (tmp_path / "group" / "index.html").read_text()
    [packed] = re.findall(r'<script type="application/json" id="series">(.*?)</script>', page, re.S)
    assert [name for name, _ in json.loads(packed)["emotions"]] == list(classes)
    assert page.count("no valence is known") == 1 and "leasant or unpleasant" not in page
    for _, colour in json.loads(packed)["emotions"]:
        assert f"{colour[4:-1]}: #" in page, colour
    # What people saw is compared in the network's classes.
    rows = seen[seen["track_id"] == own["track_id"].iloc[0]].iloc[::2]
    others = {name: classes[(i + 1) % len(classes)] for i, name in enumerate(classes)}
    said = [others[name] if i % 4 == 0 else name for i, name in enumerate(rows["emotion"])]
    lines = (f"{t},{int(p)},{word}" for t, p, word in zip(rows["time_s"], rows["track_id"], said, strict=True))
    codes = tmp_path / "anna.csv"
    codes.write_text("\n".join(["time_s,person,emotion", *lines]))
    code, out, stderr = emoscope("agree", tmp_path / "result", "--codes", codes, "-o", tmp_path / "agreed", "--json")
    assert code == 0, stderr
    figures = json.loads(out)
    found = figures["with_reading"]["anna"]
    assert figures["emotions"] == list(found["emotions"]) == list(classes)
    assert np.array(found["confusion"]).shape == (len(classes),) * 2
    assert found["agreed"] == pytest.approx(np.mean([a == b for a, b in zip(said, rows["emotion"], strict=True)]))
    page = (tmp_path / "agreed" / "agree.html").read_text()
    assert all(f'<th scope="row">{name}</th>' in page for name in classes)
    codes.write_text("time_s,person,emotion\n0,1,delighted")
    code, _, stderr = emoscope("agree", tmp_path / "result", "--codes", codes)
    assert code == 2 and f"'delighted' is no emotion, expected {', '.join(classes)} or cannot tell" in stderr
    coding = tmp_path / "code.html"
    code, _, stderr = emoscope("agree", tmp_path / "result", "--make-page", coding)
    assert code == 0, stderr
    keys = re.findall(r'data-code="([\w-]+)" aria-keyshortcuts="(.)"', coding.read_text())
    assert [name for name, _ in keys] == list(classes) and len({key for _, key in keys} | {"u"}) == len(classes) + 1
    facts, _ = collect_facts(model, "own")
    assert facts["emotions"] == classes and [c for c in facts["columns"] if c.startswith("p_")] == [
        f"p_{name}" for name in classes
    ]


@pytest.mark.parametrize("classes", [THREE, ELEVEN], ids=["three", "eleven"])
def test_the_server_reads_as_its_network_does(
    models: dict[tuple[str, ...], Path], classes: tuple[str, ...], clip: Path, portrait: Image, tmp_path: Path
) -> None:
    options = ServerOptions(tmp_path, detector="own", workers=1, model=models[classes])
    jpeg = cv2.imencode(".jpg", portrait)[1].tobytes()
    with TestClient(create_app(options), "http://127.0.0.1") as client:
        assert client.get("/v1/models").json()["classes"] == list(classes)
        [told] = re.findall(r'data-emotions="([^"]+)"', client.get("/").text)
        colours = json.loads(html.unescape(told))
        assert [name for name, _ in colours] == list(classes)
        style = client.get("/report.css").text
        assert all(f"{colour[4:-1]}: #" in style for _, colour in colours)
        answer = client.post("/v1/images", files={"file": ("x", jpeg)}).json()
        [face] = answer["faces"]
        assert list(face["probabilities"]) == list(classes) and face["emotion"] in classes
        with client.websocket_connect("ws://127.0.0.1/v1/live") as socket:
            assert socket.receive_json()["labels"] == list(classes)
            socket.send_json({"type": "record"})
            socket.send_bytes(jpeg)
            seen = socket.receive_json()
            assert list(seen["faces"][0]["probabilities"]) == list(classes)
            socket.send_json({"type": "stop"})
            recorded = socket.receive_json()["job"]
        film = {"file": ("clip.mp4", clip.read_bytes())}
        sent = client.post("/v1/videos", files=film, data={"every": "5"}).json()["id"]
        for job in (recorded, sent):
            links = wait_for(client, job)["links"]
            table = pd.read_csv(io.StringIO(client.get(links["observations.csv"]).text))
            assert [n for n in table.columns if n.startswith("p_")] == [f"p_{name}" for name in classes]
            assert "no valence is known" in client.get(links["report"]).text
        assert client.get("/v1/comparison", params={"job": [recorded, sent]}).status_code == 200
        project = client.post("/v1/projects", json={"jobs": [recorded, sent]}).json()["id"]
        assert "no valence is known" in wait_for(client, project)["message"]


def wait_for(client: TestClient, job: str) -> dict[str, Any]:
    for _ in range(600):
        found = dict(client.get(f"/v1/jobs/{job}").json())
        if found["state"] in ("finished", "failed"):
            assert found["state"] == "finished", found
            return found
        time.sleep(0.1)
    raise AssertionError("it did not end in time")


def test_valence_is_told_where_every_class_has_one(emoscope: Command, clip: Path, tmp_path: Path) -> None:
    classes = ("sad", "happy", "neutral")
    model = make_network(emoscope, tmp_path, classes)
    code, _, stderr = emoscope(
        "analyze", clip, "-o", tmp_path / "result", "--model", model, "--every", "5", "--detector", "own"
    )
    assert code == 0, stderr
    audience = json.loads((tmp_path / "result" / "summary.json").read_bytes())["audience"]
    p = audience["mean_probabilities"]
    assert audience["valence"]["index"] == pytest.approx(p["happy"] - p["sad"])
    assert "Pleasant or unpleasant?" in (tmp_path / "result" / "report.html").read_text()


def test_weights_carry_over_by_name(models: dict[tuple[str, ...], Path], emoscope: Command, tmp_path: Path) -> None:
    classes = ("happy", "surprised-much", "bored")
    network = create_network("compact-tiny", seed=3, size_px=24, n_classes=3)
    head = network.get_submodule(find_head(network, 3))
    fresh = head.weight.detach().clone()
    x = torch.randn(32, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    load_initial(network, "compact-tiny", str(models[THREE]), x, classes)
    [weights] = read_weights(models[THREE])
    own = torch.tensor(weights["classifier.weight"])
    assert torch.equal(head.weight[0], own[THREE.index("happy")]) and torch.equal(head.weight[2], own[0])
    assert torch.equal(head.weight[1], fresh[1])
    # And a whole training begins with them.
    make_network(emoscope, tmp_path, ("happy", "bored", "tired", "angry"), "--init", models[THREE])


def test_figures_of_other_classes_are_refused_or_matched_by_name(
    models: dict[tuple[str, ...], Path], emoscope: Command, tmp_path: Path
) -> None:
    source = draw_set(tmp_path / "pictures", ("happy", "bored"))
    data = tmp_path / "two.npz"
    assert emoscope("data", "import", source, "--classes", "happy,bored", "-o", data)[0] == 0
    code, out, stderr = emoscope("evaluate", "--data", data, "--split", "all", "--model", models[THREE], "--json")
    figures = json.loads(out)
    assert code == 0 and figures["missing"] == ["interested"], stderr
    assert {name: row["n"] for name, row in figures["per_class"].items()} == {"bored": N, "happy": N, "interested": 0}
    code, _, stderr = emoscope("evaluate", "--data", data, "--split", "all")
    assert code == 2 and "has images of bored (12)" in stderr


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("happy", "there are 1 classes, expected 2 to 40"),
        (",".join(f"c{i}" for i in range(41)), "there are 41 classes"),
        ("happy,Happy", "happy stands twice"),
        ("happy,a;b", "is no name of a class"),
        ("happy,uncertain", "uncertain has a meaning of its own"),
    ],
)
def test_wrong_lists_are_refused(names: str, message: str, emoscope: Command, tmp_path: Path) -> None:
    source = draw_set(tmp_path / "pictures", ("happy", "bored"))
    code, _, stderr = emoscope("data", "import", source, "--classes", names, "-o", tmp_path / "x.npz")
    assert code == 2 and message in stderr and stderr.count("\n") == 1, stderr
    assert not (tmp_path / "x.npz").exists()
    with pytest.raises(ModelError, match="labels:"):
        ModelSpec("x", labels=tuple(names.split(",")))


def test_labels_that_are_none_of_the_classes_and_classes_without_a_picture(emoscope: Command, tmp_path: Path) -> None:
    source, data = draw_set(tmp_path / "pictures", ("bored", "happy")), tmp_path / "x.npz"
    code, _, stderr = emoscope("data", "import", source, "-o", data)
    assert code == 2 and "'bored' (12, first bored/" in stderr and "--classes" in stderr, stderr
    assert not data.exists() and stderr.count("\n") == 1
    code, out, _ = emoscope("data", "import", source, "--classes", "happy,bored,tired", "-o", data)
    assert code == 0 and "no image of tired\n" in out
    dataset = Dataset.load(data)
    assert dataset.classes == ("happy", "bored", "tired") and np.bincount(dataset.emotion).tolist() == [N, N]
    # Numbers are places in the list.
    np.savez(tmp_path / "xy.npz", X=dataset.pixels, y=dataset.emotion.astype(int))
    labels = Labels(classes=dataset.classes)
    assert import_dataset(tmp_path / "xy.npz", labels=labels).sha256 == dataset.sha256
    with pytest.raises(InputError, match="'2' "):
        np.savez(tmp_path / "xy.npz", X=dataset.pixels, y=np.where(dataset.emotion, 2, 0))
        import_dataset(tmp_path / "xy.npz", labels=Labels(classes=("happy", "bored")))


def test_the_seven_stay_what_they_are(tmp_path: Path) -> None:
    """Files, fingerprints and colours of the seven do not change by there being others."""
    source = draw_set(tmp_path / "pictures", EMOTIONS)
    plain, named = import_dataset(source), import_dataset(source, labels=Labels(classes=EMOTIONS))
    assert plain.sha256 == named.sha256
    plain.save(tmp_path / "plain.npz")
    with np.load(tmp_path / "plain.npz") as z:
        assert "classes" not in z
    turned = import_dataset(source, labels=Labels(classes=EMOTIONS[::-1]))
    assert turned.sha256 != plain.sha256
    assert find_colours(EMOTIONS) == COLOURS and find_colours(ELEVEN)[:7] == COLOURS
    assert find_colours(("bored", *EMOTIONS))[1:] == COLOURS


def test_no_place_knows_a_number_of_classes() -> None:
    """Where classes are counted, a literal 7 would be the seven's; those that are left have another meaning."""
    package = Path(__file__).parents[2] / "src" / "emoscope"
    counted = re.compile(r"(?:range|zeros|eye|full|reshape|Linear|minlength=|// |% |n_classes=)\(?[^\n]*\b7\b")
    for folder in ("core", "faces", "tables", "report", "outputs", "pipeline", "study/measuring", "study/export"):
        for path in sorted((package / folder).rglob("*.py")):
            for line in path.read_text().splitlines():
                code = line.split("#")[0]
                if counted.search(code) and not code.strip().startswith(('"', "'")):
                    raise AssertionError(f"{path}: {line}")


def test_numbers_that_are_classes_mean_themselves(tmp_path: Path) -> None:
    faces = [draw_face(0, np.random.default_rng(i)) for i in range(6)]
    np.savez(tmp_path / "x.npz", pixels=np.stack(faces), emotion=np.array([1, 2, 3, 1, 2, 3]))
    found = import_dataset(tmp_path / "x.npz", labels=Labels(classes=("1", "2", "3")))
    assert [found.classes[i] for i in found.emotion] == ["1", "2", "3"] * 2
    found = import_dataset(tmp_path / "x.npz", labels=Labels(classes=("a", "b", "c", "d")))
    assert [found.classes[i] for i in found.emotion] == ["b", "c", "d"] * 2, "else a number is a place in the list"
    np.savez(tmp_path / "x.npz", pixels=np.stack(faces), emotion=np.array([0, 1, 2] * 2))
    with pytest.raises(InputError, match="none of the classes: '0'"):
        import_dataset(tmp_path / "x.npz", labels=Labels(classes=("1", "2", "3")))


def test_letters_of_two_characters_are_the_same_letters(tmp_path: Path) -> None:
    # As a Mac writes names of folders.
    for name in ("gl\u0075\u0308cklich", "happy"):
        (tmp_path / "f" / name).mkdir(parents=True)
        picture = cv2.imencode(".png", draw_face(0, np.random.default_rng(0)))[1]
        (tmp_path / "f" / name / "0.png").write_bytes(picture.tobytes())
    for classes in (("gl\u00fccklich", "happy"), ("GLU\u0308CKLICH", "happy")):
        assert import_dataset(tmp_path / "f", labels=Labels(classes=classes)).emotion.tolist() == [0, 1]
