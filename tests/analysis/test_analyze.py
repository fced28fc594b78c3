"""From a clip to a report: the runtime's whole path, as command and as library."""

import json
import re
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import emoscope as product
from conftest import Command, clip_time_s, write_clip
from emoscope.core.emotions import EMOTIONS
from emoscope.core.schema import COLUMNS, DTYPES
from emoscope.core.types import Image
from emoscope.tables.observations import SCHEMA_VERSION

ALWAYS = {"emoscope-manifest.json", "observations.parquet", "observations.csv", "audience.csv", "summary.json"}


def test_clip_to_report(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    out = tmp_path / "Ergebnis 結果"
    code, stdout, stderr = emoscope("analyze", clip, "-o", out, "--detector", "own", "--annotate", "--json")
    assert (code, stderr) == (0, "")
    [entry] = json.loads(stdout)["sources"]
    assert entry["source"] == str(clip) and entry["status"] == "complete" and entry["output"] == str(out)
    assert (entry["frames"], entry["people"]) == (30, 1)
    assert entry["coverage"] == pytest.approx(25 / 30, abs=0.1)

    files = {p.name for p in out.iterdir()}
    assert files == {*ALWAYS, "report.html", "annotated.mp4"}
    assert [p.name for p in tmp_path.iterdir()] == [out.name], "nothing temporary is left"
    dtypes = {name: DTYPES[name] for name in COLUMNS}
    table = pd.read_parquet(out / "observations.parquet").astype(dtypes)
    assert list(table.columns) == list(COLUMNS)
    assert pq.read_metadata(out / "observations.parquet").metadata[b"emoscope_schema_version"] == b"%d" % SCHEMA_VERSION
    pd.testing.assert_frame_equal(table, pd.read_csv(out / "observations.csv").astype(dtypes), rtol=1e-5)

    assert sorted(table["frame"].unique()) == list(range(30)), "every frame leaves a trace"
    empty = table[table["frame"].between(10, 14)]
    assert len(empty) == 5 and empty.drop(columns=["source", "frame", "time_s", "shot"]).isna().all(axis=None)
    times = table.drop_duplicates("frame")["time_s"]
    assert times.to_numpy() == pytest.approx([clip_time_s(i) for i in range(30)], abs=1e-3)
    seen = table.dropna(subset="emotion")
    assert seen[[f"p_{name}" for name in EMOTIONS]].sum(axis=1).to_numpy() == pytest.approx(1)
    # The portrait smiles broadly: any network worth shipping sees it.
    assert (seen["emotion"] == "happy").mean() > 0.9

    summary = json.loads((out / "summary.json").read_text())
    assert summary["faces"] == len(seen) == entry["faces"]
    assert summary["settings"]["detector"] == "own" and summary["model"]["labels"] == list(EMOTIONS)
    with av.open(str(out / "annotated.mp4")) as video:
        written = [frame.time for frame in video.decode(video=0)]
    assert written == pytest.approx([clip_time_s(i) for i in range(30)], abs=1e-3)


def test_every_and_no_report(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    code, _, _ = emoscope("analyze", clip, "-o", tmp_path / "out", "--detector", "own", "--every", 4, "--no-report")
    assert code == 0 and not (tmp_path / "out" / "report.html").exists()
    table = pd.read_parquet(tmp_path / "out" / "observations.parquet")
    assert table["frame"].unique().tolist() == list(range(0, 30, 4))


def test_earlier_results_are_replaced_and_other_files_kept(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    out = tmp_path / "out"
    for options in (["--every", 3, "--annotate"], ["--every", 6, "--no-report"]):
        assert emoscope("analyze", clip, "-o", out, "--detector", "own", *options)[0] == 0
        (out / "notes.txt").write_text("mine")
    assert {p.name for p in out.iterdir()} == {"notes.txt", *ALWAYS}
    assert (out / "notes.txt").read_text() == "mine"
    assert len(pd.read_parquet(out / "observations.parquet")) == 5


def test_several_sources_one_bad(clip: Path, portrait: Image, tmp_path: Path, emoscope: Command) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), portrait)
    cv2.imwrite(str(tmp_path / "in" / "b.png"), np.full((50, 60, 3), 7, np.uint8))
    (tmp_path / "in" / "c.jpg").write_bytes(b"no picture")
    arguments = [
        clip,
        tmp_path / "missing.mp4",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--detector",
        "own",
        "--json",
    ]
    code, stdout, stderr = emoscope("analyze", *arguments)
    assert code == 2 and "missing.mp4" in stderr and "c.jpg" in stderr and "Traceback" not in stderr
    entries = {Path(e["source"]).name: e for e in json.loads(stdout)["sources"]}
    assert {name: e["status"] for name, e in entries.items()} == {
        "clip.mp4": "complete",
        "missing.mp4": "failed",
        "in": "incomplete",
    }
    assert (entries["in"]["frames"], entries["in"]["faces"]) == (2, 1)
    assert all((Path(e["output"]) / "summary.json").is_file() for e in entries.values() if e["output"])


def test_library(clip: Path, portrait: Image, tmp_path: Path) -> None:
    picture = product.analyze_image(portrait, detector="own")
    assert picture.emotions == ["happy"] and picture.probabilities.shape == (1, 7)
    nothing = product.analyze_image(np.zeros((80, 90), np.uint8), detector="own")
    assert nothing.emotions == [] and nothing.probabilities.shape == (0, 7) and nothing.uncertain.shape == (0,)

    analysis = product.analyze_video(clip, every=5, detector="own")
    assert len(analysis.observations["frame"].unique()) == analysis.summary.frames == 6
    assert analysis.report(tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert (analysis.save(tmp_path / "saved") / "summary.json").is_file()

    recognizer = product.Recognizer()
    crop = portrait[40:220, 150:290]
    probabilities = recognizer.predict([crop, crop[:, :, 0]])
    assert probabilities.shape == (2, 7) and probabilities.sum(axis=1) == pytest.approx(1)


def test_truncated_video_gives_what_was_there(portrait: Image, tmp_path: Path, emoscope: Command) -> None:
    rng = np.random.default_rng(0)
    # Noise makes frames large, so that cutting the file cuts frames.
    frames = [
        (np.clip(portrait[:240, :320] + rng.normal(0, 9, (240, 320, 3)), 0, 255).astype(np.uint8), i / 25)
        for i in range(50)
    ]
    write_clip(tmp_path / "whole.mp4", frames)
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 6 // 10])
    code, stdout, stderr = emoscope(
        "analyze", tmp_path / "cut.mp4", "-o", tmp_path / "o", "--detector", "own", "--json"
    )
    [entry] = json.loads(stdout)["sources"]
    assert code == 0 and entry["status"] == "incomplete" and 10 < entry["frames"] < 50
    assert "cut.mp4" in stderr and "everything before was analysed" in stderr
    assert "everything before was analysed" in (tmp_path / "o" / "report.html").read_text()
    assert entry["frames"] + entry["frames_unread"] == 50
    line = emoscope("analyze", tmp_path / "cut.mp4", "-o", tmp_path / "o", "--detector", "own", "--resume")[1]
    assert re.search(r"\d+ frames, 1 person, a face in \d+% of the 50 that should be there -> ", line), line


def test_real_clip(shared: Path, yunet: None) -> None:
    analysis = product.analyze_video(shared / "media" / "WolfgangLanger_Pexels.mp4", every=4)
    [person] = analysis.summary.people
    assert person.track_id == 1 and person.coverage >= 0.95
    assert analysis.summary.frames == 472 / 4


def test_real_pictures(shared: Path, yunet: None) -> None:
    assert len(product.analyze_image(shared / "media" / "multi_face.jpg").faces) == 5
    assert len(product.analyze_image(shared / "media" / "no-faces.jpg").faces) == 0
    assert len(product.analyze_image(shared / "media" / "Image_with_alpha.png").faces) >= 1
