"""Parts of videos, and analyses that are stopped, killed or taken up again: complete, or marked as not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

import emoscope as product
from conftest import Command, clip_time_s, write_clip
from emoscope.analysis import many
from emoscope.analysis.settings import Settings
from emoscope.core.errors import ModelError
from emoscope.core.timecode import Every
from emoscope.core.types import Image
from emoscope.faces import detect
from emoscope.faces.registry import ModelFile, find_network
from emoscope.media.find import find_sources


@pytest.fixture(scope="module")
def long_clip(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 400 frames and 40 s with uneven times, a key frame every 12 frames, frames numbered by grey."""
    import av

    path = tmp_path_factory.mktemp("long") / "long.mp4"
    face = cv2.resize(portrait[0:300, 80:380], (96, 96), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        from fractions import Fraction

        stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(400):
            canvas = np.full((128, 160, 3), i % 200 + 20, np.uint8)
            canvas[16:112, 60:156] = face
            picture = av.VideoFrame.from_ndarray(canvas, format="bgr24")
            picture.pts, picture.time_base = i * 100 + (i % 3) * 11, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 3.0), (2.5, 7.0), (6.0, None), (13.37, 13.95), (39.5, None)])
def test_a_part_is_the_same_as_in_the_whole(start_s: float, end_s: float | None, long_clip: Path) -> None:
    [whole], [part] = find_sources([long_clip]), find_sources([long_clip], Every(), start_s, end_s)
    expected = [
        (f.index, f.time_s, int(f.image[5, 5, 0])) for f in whole if start_s <= f.time_s < (end_s or float("inf"))
    ]
    assert [(f.index, f.time_s, int(f.image[5, 5, 0])) for f in part] == expected != []
    assert part.progress is not None and part.progress > 0.7


def test_every_so_many_seconds(long_clip: Path) -> None:
    [source] = find_sources([long_clip], Every(seconds=0.5))
    times = [f.time_s for f in source]
    assert len(times) == 80 and [int(t / 0.5) for t in times] == list(range(80))


def test_parts_and_options_from_the_command_line(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    (tmp_path / "events.csv").write_text("name,start_s,end_s\nproduct,0.2,0.4\n")
    code, _, stderr = emoscope(
        *("analyze", clip, "-o", tmp_path / "o", "--detector", "own", "--no-report"),
        *("--start", "0.1", "--end", "0:01.5", "--every", "0.08s", "--smooth", "0.3", "--anonymous"),
        *("--baseline", "0-1", "--events", tmp_path / "events.csv", "--formats", "jsonl,vtt,eaf"),
    )
    assert (code, stderr) == (0, "")
    table = pd.read_parquet(tmp_path / "o" / "observations.parquet")
    times = [clip_time_s(i) for i in table["frame"].unique()]
    assert min(times) >= 0.1 and max(times) < 1.5 and len(times) == len({int(t / 0.08 + 1e-6) for t in times})
    faces = table[table["emotion"].notna()]
    assert faces[["x1", "y1", "x2", "y2"]].isna().all(axis=None) and len(faces) > 5
    assert faces[[c for c in table if c.startswith("smooth_")]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert faces[[c for c in table if c.startswith("change_")]].sum(axis=1).to_numpy() == pytest.approx(0, abs=1e-6)
    summary = json.loads((tmp_path / "o" / "summary.json").read_text())
    assert [event["name"] for event in summary["events"]] == ["product"]
    assert summary["settings"]["baseline"] == "0 to 1 s" and summary["settings"]["every"] == "0.08 s"
    assert {p.suffix for p in (tmp_path / "o").iterdir()} == {".parquet", ".csv", ".json", ".jsonl", ".vtt", ".eaf"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--start", "5", "--end", "4"], "not after the start"),
        (["--start", "1:99"], "no time"),
        (["--start", "99"], "shows nothing from 99 s on"),
        (["--every", "-1"], "no step"),
        (["--baseline", "9-3"], "ends before it starts"),
        (["--formats", "pdf"], "no format pdf"),
        (["--events", "nothing.csv"], "cannot read nothing.csv"),
        (["--smooth", "-1"], "expected a number of 0 to 3600"),
        (["--anonymous", "--explain"], "leave out --explain"),
        (["--blur-faces"], "add --annotate"),
    ],
)
def test_impossible_options(options: list[str], words: str, clip: Path, tmp_path: Path, emoscope: Command) -> None:
    code, stdout, stderr = emoscope("analyze", clip, "-o", tmp_path / "o", "--detector", "own", *options)
    assert code == 2 and stdout == "" and words in stderr and stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


def start(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "emoscope", "analyze", *map(str, arguments), "--detector", "own", "--no-report"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def find_result(output: Path, source: Path, other: Path) -> Path:
    """The folder of a source's result: below the sources' common path, as below the output."""
    return output / source.relative_to(os.path.commonpath([source, other])).with_suffix("")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 200
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


@pytest.fixture(scope="module")
def slow_clip(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that takes many seconds to analyse."""
    path = tmp_path_factory.mktemp("slow") / "slow.mp4"
    write_clip(path, [(portrait, i / 25) for i in range(600)])
    return path


def test_interrupted_analysis_is_marked_and_taken_up_again(slow_clip: Path, clip: Path, tmp_path: Path) -> None:
    # Two sources: the one at work is written as far as it was read, the other is not begun.
    process = start(slow_clip, clip, "-o", tmp_path / "o", "--json")
    result = find_result(tmp_path / "o", slow_clip, clip)
    wait_for(result / ".emoscope-working" / "new" / "observations.parquet")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in stderr and "--resume" in stderr
    entries = json.loads(stdout)["sources"]
    assert [e["status"] for e in entries] == ["incomplete", "stopped"]
    summary = json.loads((result / "summary.json").read_text())
    assert summary["reason"] == "stopped" and 0 <= summary["frames"] < 600
    assert [p.parent for p in (tmp_path / "o").rglob("summary.json")] == [result]


def test_killed_analysis_leaves_a_mark_and_is_taken_up_again(
    slow_clip: Path, clip: Path, tmp_path: Path, emoscope: Command
) -> None:
    out = tmp_path / "o"
    result = find_result(out, slow_clip, clip)
    options = ("-o", out, "--detector", "own", "--no-report", "--end", "0.5")
    assert emoscope("analyze", clip, slow_clip, *options)[0] == 0
    before = (result / "summary.json").read_bytes()
    process = start(clip, slow_clip, "-o", out, "--resume")
    # --end differs: nothing is finished that was asked for now. The earlier results stand until the new ones do.
    wait_for(result / ".emoscope-working" / "new" / "observations.parquet")
    process.kill()
    process.communicate()
    assert (result / ".emoscope-working" / "new").is_dir()
    assert (result / "summary.json").read_bytes() == before
    code, stdout, stderr = emoscope("analyze", clip, slow_clip, *options, "--resume")
    # The clip was finished with other settings by the process that was killed, the other one is as asked for.
    assert (code, stderr) == (0, "") and stdout.count("finished earlier") == 1
    code, stdout, _ = emoscope("analyze", clip, slow_clip, *options, "--resume", "--json")
    assert code == 0 and [e["skipped"] for e in json.loads(stdout)["sources"]] == [True, True]
    os.utime(clip, (0, 0))
    code, stdout, _ = emoscope("analyze", clip, slow_clip, *options, "--resume", "--json")
    assert [e["skipped"] for e in json.loads(stdout)["sources"]] == [False, True], "the file changed"


def test_another_network_in_the_same_place_is_another_analysis(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    model = Path(shutil.copy(find_network("compact-4-int8"), tmp_path / "mine.onnx"))
    options = ("analyze", clip, "-o", tmp_path / "o", "--detector", "own", "--no-report", "--every", "10", "--json")
    for network, is_skipped in (("compact-4-int8", False), ("compact-4-int8", True), ("compact-5-int8", False)):
        if not is_skipped:
            shutil.copyfile(find_network(network), model)
        code, stdout, stderr = emoscope(*options, "--model", model, "--resume")
        assert code == 0 and [e["skipped"] for e in json.loads(stdout)["sources"]] == [is_skipped], stderr


def test_what_the_embedded_detector_read_is_read_anew_once_yunet_is_there(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(model: ModelFile) -> Path:
        raise ModelError("no network here")

    monkeypatch.setattr(detect, "fetch", fetch)
    settings = Settings(report=False, every=10)
    for is_cached, is_skipped in ((False, False), (False, True), (True, False)):
        monkeypatch.setattr(many, "YUNET", SimpleNamespace(path=clip if is_cached else tmp_path / "none"))
        [result] = many.analyze_sources([clip], tmp_path / "o", settings, resume=True)
        assert result.status == "complete" and result.skipped == is_skipped
    assert caplog.text.count("embedded detector") == 1, "said once, though two were read"


def test_a_source_that_is_gone_when_its_turn_comes_stops_no_other(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [Path(shutil.copy(clip, tmp_path / name)) for name in ("a.mp4", "b.mp4")]
    settings = Settings(detector="own", report=False, every=10)
    monkeypatch.setattr(many, "choose_folders", lambda *_: films[0].unlink() or [tmp_path / "a", tmp_path / "b"])
    gone, other = many.analyze_sources(films, settings=settings)
    assert gone.status == "failed" and "a.mp4 (No such file" in str(gone.message) and other.status == "complete"


def test_two_writers_of_one_folder(clip: Path, slow_clip: Path, tmp_path: Path, emoscope: Command) -> None:
    process = start(slow_clip, "-o", tmp_path / "o")
    wait_for(tmp_path / "o" / ".emoscope-working" / "new" / "observations.parquet")
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "o", "--detector", "own")
    assert code == 2 and "being written by another process" in stderr and stderr.count("\n") == 1
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert (tmp_path / "o" / "summary.json").is_file()


def test_hidden_faces(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    """What shows faces clearly without --blur-faces does not with it."""
    pictures = []
    for options in ([], ["--blur-faces"]):
        out = tmp_path / f"o{len(options)}"
        assert emoscope("analyze", clip, "-o", out, "--detector", "own", "--annotate", "--explain", *options)[0] == 0
        import av

        with av.open(str(out / "annotated.mp4")) as video:
            frame = next(video.decode(video=0)).to_ndarray(format="gray")
        [explanation, *_] = sorted((out / "explanations").iterdir())
        # The middle of the face, without box and bars.
        pictures.append([frame[72:112, 106:146], cv2.imread(str(explanation), cv2.IMREAD_GRAYSCALE)[:192]])
    for clear, hidden in zip(*pictures, strict=True):
        # Edges are what a face is known by.
        assert cv2.Laplacian(hidden, cv2.CV_64F).std() < 0.5 * cv2.Laplacian(clear, cv2.CV_64F).std()


def test_library_settings(clip: Path, tmp_path: Path) -> None:
    analysis = product.analyze_video(clip, every="0.2s", end=1.0, detector="own", smooth=0.4)
    assert analysis.observations["time_s"].max() < 1 and analysis.table.has_smoothed
    saved = analysis.save(tmp_path / "saved")
    assert {p.name for p in saved.iterdir()} >= {"summary.json", "observations.csv", "report.html"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'smoothing'"):
        product.analyze_video(clip, smoothing=1)  # type: ignore[call-overload]


def test_events_afterwards_are_those_of_the_analysis(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    rows = "ad,0,0.4,\nad,0.6,1,\nlogo,0.1,0.3,clip.mp4\nlate,1,99,\nelsewhere,0,1,other.mp4\n"
    events = tmp_path / "events.csv"
    events.write_text("name,start_s,end_s,recording\n" + rows)
    asked = ("--detector", "own", "--formats", "eaf", "--smooth", "0.3", "--baseline", "0-1")
    with_events, afterwards = tmp_path / "a" / "clip", tmp_path / "b" / "clip"
    code, _, said = emoscope("analyze", clip, "-o", with_events, *asked, "--events", events)
    assert code == 0 and "1 event belongs to no recording of this call: other.mp4" in said
    assert "the event lies outside of what was read" in said and "'late' (1 to 99 s, in part)" in said
    assert emoscope("analyze", clip, "-o", afterwards, *asked)[::2] == (0, "")
    code, _, said = emoscope("report", afterwards, "--events", events)
    assert code == 0 and "'late' (1 to 99 s, in part)" in said
    whole, made = (json.loads((folder / "summary.json").read_text()) for folder in (with_events, afterwards))
    for values in (whole, made):
        for value in (values, values["settings"]):
            for key in ("created", "wall_s"):
                value.pop(key, None)
    assert made == whole and [group["events"] for group in made["event_groups"]] == [2]
    documents = [(folder / "observations.eaf").read_text() for folder in (with_events, afterwards)]
    assert len({document.split(">", 2)[2] for document in documents}) == 1 and "Events 2" in documents[0]
    page = (afterwards / "report.html").read_text()
    assert "2 segments together" in page and "logo" in page
    # They stay with the result, and --resume finds it finished.
    assert emoscope("report", afterwards)[0] == 0
    assert "2 segments together" in (afterwards / "report.html").read_text()
    assert "(finished earlier)" in emoscope("analyze", clip, "-o", afterwards, *asked, "--resume")[1]
    assert json.loads((afterwards / "summary.json").read_text())["event_groups"]
    assert emoscope("report", afterwards, "--events", "none")[0] == 0
    bare = json.loads((afterwards / "summary.json").read_text())
    assert bare["events"] == bare["event_groups"] == [] and "events_message" not in bare
    assert "logo" not in (afterwards / "report.html").read_text()
    code, output, _ = emoscope("analyze", clip, "-o", afterwards, *asked, "--resume", "--events", events)
    assert code == 0 and "(finished earlier)" in output
    assert len(json.loads((afterwards / "summary.json").read_text())["events"]) == 4


def test_events_afterwards_that_cannot_be(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    folder, events = tmp_path / "clip", tmp_path / "events.csv"
    assert emoscope("analyze", clip, "-o", folder, "--detector", "own", "--every", "5")[0] == 0
    before = (folder / "summary.json").read_bytes()
    events.write_text("name,start_s,end_s,recording\na,0,1,other.mp4\n")
    code, _, said = emoscope("report", folder, "--events", events)
    assert code == 2 and "none of the 1 events belongs to" in said.splitlines()[-1]
    code, _, said = emoscope("report", folder, "--event-tiers", "a")
    assert code == 2 and "add --events" in said
    (folder / "report.html").write_text("mine")
    events.write_text("name,start_s,end_s\na,0,1\n")
    code, _, said = emoscope("report", folder, "--events", events)
    assert code == 2 and "report.html was changed" in said
    assert (folder / "summary.json").read_bytes() == before and (folder / "report.html").read_text() == "mine"


def test_pictures_have_no_events_when_taken_up_again(portrait: Image, tmp_path: Path, emoscope: Command) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), portrait)
    (tmp_path / "events.csv").write_text("name,start_s,end_s\na,0,1\n")
    asked = ("analyze", tmp_path / "a.png", "-o", tmp_path / "o", "--detector", "own")
    assert emoscope(*asked)[0] == 0
    code, said, _ = emoscope(*asked, "--resume", "--events", tmp_path / "events.csv")
    assert code == 0 and "(finished earlier)" in said
    code, _, said = emoscope("report", tmp_path / "o", "--events", tmp_path / "events.csv")
    assert code == 2 and "pictures, which have no time" in said
