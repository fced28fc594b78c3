"""The page that reads in the browser, as a folder; and what people send back from it."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import emoscope as product
from conftest import Command, write_clip
from emoscope.analysis.received import ENDING, receive_recording
from emoscope.browser import site
from emoscope.browser.facts import collect_facts
from emoscope.browser.parts import STATIC
from emoscope.core.errors import InputError
from emoscope.faces import registry
from emoscope.server.page import here
from emoscope.tables.summary import Facts, Summary


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for onnxruntime-web, whose files the folder takes as they are."""

    def fetch(file: registry.ModelFile) -> Path:
        path = tmp_path / file.path.name
        path.write_text(file.name)
        return path

    monkeypatch.setattr(site, "fetch", fetch)


def test_the_folder_is_whole_and_only_our_own_is_replaced(runtime: None, tmp_path: Path, emoscope: Command) -> None:
    folder = tmp_path / "page"
    assert emoscope("page", "-o", folder, "--detector", "own")[0] == 0
    files = json.loads((folder / "files.json").read_text())
    assert {"emotion.onnx", "faces.onnx", "roll.onnx", "facts.json", "ort/ort.wasm.min.mjs", "site.js"} <= {*files}
    text = (folder / "index.html").read_text()
    # Nothing from elsewhere, nothing inline.
    assert site.CSP.replace("'", "&#39;") in text
    assert re.findall(r"https?://", text) == [] and "<script>" not in text and "style=" not in text
    assert "{version}" not in (folder / "sw.js").read_text()
    first = (folder / "sw.js").read_text()
    assert emoscope("page", "-o", folder, "--model", "fast", "--detector", "own")[0] == 0
    assert (folder / "sw.js").read_text() != first, "a browser must not mix two pages' files"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "index.html").write_text("mine")
    code, _, err = emoscope("page", "-o", foreign, "--detector", "own")
    assert code == 2 and "index.html" in err and (foreign / "index.html").read_text() == "mine"


def test_without_the_runtime_it_is_said_what_to_do(tmp_path: Path, emoscope: Command, monkeypatch: Any) -> None:
    monkeypatch.setattr(registry.shutil, "which", lambda name: None)
    code, _, err = emoscope("page", "-o", tmp_path / "page", "--detector", "own")
    assert code == 2 and "cannot fetch" in err and "ort.wasm.min.mjs" in err and not (tmp_path / "page").exists()


def test_npm_that_fails_is_one_line(tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no such package >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(registry.shutil, "which", lambda name: str(npm))
    code, _, err = emoscope("page", "-o", tmp_path / "page", "--detector", "own")
    assert code == 2 and "no such package" in err and err.count("\n") == 1
    assert emoscope("models", "--browser")[0] == 2


def test_another_version_in_the_cache_is_left_and_this_one_fetched(
    tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOSCOPE_CACHE", str(tmp_path))
    content = b"this version"
    files = [replace(file, sha256=hashlib.sha256(content).hexdigest()) for file in registry.BROWSER]
    monkeypatch.setattr(registry, "BROWSER", files)
    monkeypatch.setattr(here, "BROWSER", files)
    monkeypatch.setattr(registry, "FETCHED", ())
    monkeypatch.setattr(registry, "_read_from", lambda url: content)
    earlier = [tmp_path / file.name for file in files]
    for path in earlier:
        path.write_bytes(b"as 1.30.0 lay there")
    assert not here.is_there()
    assert emoscope("models", "--fetch", "--browser")[0] == 0
    assert here.is_there() and {file.path.read_bytes() for file in files} == {content}
    assert {path.read_bytes() for path in earlier} == {b"as 1.30.0 lay there"}


def test_scripts_take_their_numbers_from_the_python_code() -> None:
    constants = collect_facts("default", "own")[0]["constants"]
    known = {name for module in constants.values() for name in module}
    ported = ("image", "detect", "cut", "recognise", "track", "looks", "assign", "shots", "smooth", "moments", "reader")
    for name in ported:
        text = re.sub(r"//.*", "", (STATIC / f"{name}.js").read_text())
        used = set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|\b(?:STRIDES|MEAN|STD|COARSER|JITTER|TAIL|ROWS)\b", text))
        assert used <= known, f"{name}.js has numbers of its own"


@pytest.fixture(scope="module")
def recording(clip: Path) -> Callable[[], dict[str, Any]]:
    """What the page would save of the clip, by the Python code; anew each time."""
    analysis = product.analyze_video(clip, detector="own")
    table, summary = analysis.observations, analysis.summary
    facts = {key: value for key, value in asdict(summary).items() if key in Facts.__dataclass_fields__}
    facts = json.loads(json.dumps({**facts, "kind": "live", "source": "camera"}))
    rows = json.loads(table.drop(columns="source").to_json(orient="values", double_precision=15))
    text = json.dumps(
        {
            "emoscope": "recording",
            "facts": facts,
            "columns": [*table.columns],
            "rows": [["camera", *row] for row in rows],
        }
    )
    return lambda: json.loads(text)


def test_what_is_sent_back_becomes_a_result(
    recording: Callable[[], dict[str, Any]], clip: Path, tmp_path: Path, emoscope: Command
) -> None:
    path = tmp_path / f"anna{ENDING}"
    path.write_text(json.dumps(recording()))
    code, out, _ = emoscope("receive", path, "-o", tmp_path / "results", "--json")
    folder = tmp_path / "results" / "anna"
    assert code == 0 and json.loads(out)["sources"][0]["output"] == str(folder)
    summary = Summary.from_json((folder / "summary.json").read_bytes())
    analysed = product.analyze_video(clip, detector="own").summary
    assert summary.audience.shares == analysed.audience.shares and summary.coverage == analysed.coverage
    assert summary.audience.mean_probabilities == pytest.approx(analysed.audience.mean_probabilities, abs=1e-9)
    assert [p.track_id for p in summary.people] == [p.track_id for p in analysed.people]
    assert emoscope("report", folder)[0] == 0


def first_face(values: dict[str, Any]) -> list[Any]:
    at = values["columns"].index("emotion")
    row: list[Any] = next(row for row in values["rows"] if row[at])
    return row


def change(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def apply(values: dict[str, Any]) -> None:
        first_face(values)[values["columns"].index(name)] = value

    return apply


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "add up to 1": change("p_happy", 0.9),
    "not the most probable": change("emotion", "disgust"),
    "nobody's": change("track_id", 0),
    "nobody's or nowhere": change("detection_score", 1e308),
    "1.5 is no whole number": change("track_id", 1.5),
    "too large": change("track_id", 10**30),
    "NaN is no number": change("probability", float("nan")),
    "not that of the emotion": change("probability", 0.01),
    "a face has no reading": change("emotion", None),
    "of no shot": change("shot", None),
    "a measure is no number": change("size_px", 1e308),
    "counted from 0 to its end": lambda values: values["facts"].update(frames_in_source=-5),
    "times do not rise": change("time_s", 99.0),
    "frames are not counted": lambda values: values["rows"][0].__setitem__(1, 5),
    "other cells": lambda values: values["rows"][3].append(1),
    "columns": lambda values: values["columns"].reverse(),
    "no readings": lambda values: values["rows"].clear(),
    "one film or camera": lambda values: values["rows"][1].__setitem__(0, "another"),
    "facts": lambda values: values.pop("facts"),
    "schema_version": lambda values: values["facts"].update(schema_version=99),
    "no recording": lambda values: values.update(emoscope="page"),
}


@pytest.mark.parametrize("words", CHANGES)
def test_what_was_changed_is_refused_whole(
    words: str, recording: Callable[[], dict[str, Any]], tmp_path: Path, emoscope: Command
) -> None:
    values = recording()
    CHANGES[words](values)
    path = tmp_path / f"anna{ENDING}"
    path.write_text(json.dumps(values))
    code, _, err = emoscope("receive", path, "-o", tmp_path / "results")
    assert code == 2 and words in err and err.count("\n") == 1 and not (tmp_path / "results").exists()


def test_what_is_no_file_is_refused(tmp_path: Path, emoscope: Command) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        code, _, err = emoscope("receive", path, "-o", tmp_path / "results")
        assert code == 2 and err.count("\n") == 1 and "expected a recording" in err


@given(
    st.one_of(
        st.binary(max_size=200), st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
    )
)
def test_anything_else_is_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("wild")
    (folder / "file").write_bytes(content)
    with pytest.raises(InputError):
        receive_recording(folder / "file", folder / "result")
    assert not (folder / "result").exists()


def test_a_stimulus_is_a_film_that_browsers_play(runtime: None, tmp_path: Path, clip: Path, emoscope: Command) -> None:
    frames = [(np.full((64, 64, 3), 90, np.uint8), i / 10) for i in range(3)]
    write_clip(tmp_path / "old.avi", frames, codec="mpeg4")
    (tmp_path / "text.mp4").write_text("no film")
    for name, words in (("old.avi", "which browsers do not all play; convert it"), ("text.mp4", "text.mp4")):
        command = ("page", "-o", tmp_path / "page", "--detector", "own", "--stimulus", tmp_path / name)
        code, _, err = emoscope(*command)
        assert code == 2 and words in err and err.count("\n") == 1 and not (tmp_path / "page").exists()
    command = ("page", "-o", tmp_path / "page", "--detector", "own", "--stimulus", clip)
    assert emoscope(*command)[0] == 0 and (tmp_path / "page" / clip.name).read_bytes() == clip.read_bytes()
