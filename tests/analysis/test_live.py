"""Live: the newest frame rather than a queue, the outputs of analyze at the end, and cameras that are not there."""

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import Command, write_clip
from emoscope.analysis.live import LiveState, View, analyze_live
from emoscope.analysis.result_folder import load_result
from emoscope.analysis.settings import Settings
from emoscope.core.errors import InputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Frame, Image
from emoscope.media.camera import Camera, hide_secrets
from emoscope.pipeline.analyzer import Analyzer

FILES = {
    *("audience.csv", "observations.parquet", "observations.csv", "summary.json", "report.html"),
    "emoscope-manifest.json",
}


class Watcher(View):
    """A view that remembers what it was shown, and may close itself."""

    def __init__(self, closes_after: int = 10**9) -> None:
        self.latencies_s: list[float] = []
        self.closes_after = closes_after

    @property
    def is_closed(self) -> bool:  # type: ignore[override]
        return len(self.latencies_s) >= self.closes_after

    def show(self, frame: Frame, result: FrameResult, state: LiveState) -> None:
        self.latencies_s.append(state.latency_s)


def test_frames_are_dropped_rather_than_delayed(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyze = Analyzer.analyze

    def analyze_slowly(self: Analyzer, frame: Frame) -> FrameResult:
        time.sleep(0.2)
        return analyze(self, frame)

    monkeypatch.setattr(Analyzer, "analyze", analyze_slowly)
    view, camera = Watcher(), Camera(str(clip))
    start = time.monotonic()
    result = analyze_live(camera, Analyzer("own"), view, tmp_path / "out", Settings())
    # The clip lasts 1.7 s; all of its 30 frames one after the other would have taken more than 6 s.
    assert time.monotonic() - start < 5
    assert 3 <= result.frames <= 10 and result.frames + result.dropped == camera.frames_read == 30
    # No queue: the last frame is not older than any other when its result is there.
    assert max(view.latencies_s) < 1.0
    table = pd.read_parquet(tmp_path / "out" / "observations.parquet").drop_duplicates("frame")
    assert len(table) == result.frames and table["frame"].iloc[-1] == 29 and table["time_s"].is_monotonic_increasing
    assert table["time_s"].iloc[-1] == pytest.approx(1.7, abs=0.01)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["settings"]["dropped"] == result.dropped and summary["frames_in_source"] == 30


def test_outputs_are_those_of_analyze(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    out = tmp_path / "out"
    code, stdout, stderr = emoscope(
        "live", clip, "-o", out, "--detector", "own", "--view", "terminal", "--anonymous", "--json"
    )
    assert code == 0 and "ask them first" in stderr.splitlines()[0] and "frames/s" in stderr
    result = json.loads(stdout)
    assert result["status"] == "complete" and result["people"] >= 1 and result["output"] == str(out)
    assert {p.name for p in out.iterdir()} == FILES and list(tmp_path.iterdir()) == [out]
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["kind"], summary["status"], summary["frames"]) == ("live", "complete", result["frames"])
    assert summary["settings"]["anonymous"] is True
    table = pd.read_parquet(out / "observations.parquet")
    assert table["emotion"].notna().any() and table["x1"].isna().all()


def test_only_looking_and_an_early_end_leave_nothing(
    clip: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, stdout, _ = emoscope("live", clip, "--no-save", "--detector", "own", "--view", "none", "--for", 0.5)
    assert code == 0 and "a face in" in stdout and "->" not in stdout
    with pytest.raises(InputError, match="stopped before"):
        analyze_live(Camera(str(clip)), Analyzer("own"), Watcher(closes_after=0), tmp_path / "out", Settings())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_the_normal_end(number: signal.Signals, portrait: Image, tmp_path: Path) -> None:
    # A picture every half second for half a minute: nobody waits for its end.
    write_clip(tmp_path / "long.mp4", [(portrait, i / 2) for i in range(60)])
    command = [sys.executable, "-m", "emoscope", "live", "long.mp4", "-o", "out", "--detector", "own"]
    environment = {**os.environ, "DISPLAY": ""}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "1 happy" in process.stdout.readline(), "a line a second where there is neither display nor terminal"
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0 and stdout.endswith("-> out\n")
    assert "ask them first" in stderr and "Ctrl-C once more" in stderr and stderr.count("\n") == 2
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["status"] == "complete" and 1 <= summary["frames"] < 30


def test_a_recording_that_is_killed_is_finished_by_the_next_command(
    portrait: Image, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "long.mp4", [(portrait, i / 2) for i in range(120)])
    command = [sys.executable, "-m", "emoscope", "live", "long.mp4", "-o", "out", "--detector", "own"]
    with subprocess.Popen(command, env={**os.environ, "DISPLAY": ""}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        while len(lines) < 6:
            lines.append(process.stdout.readline())
        code, _, stderr = emoscope("report", "out")
        assert code == 2 and "is being written by another process" in stderr
        process.kill()
    # The view's line of a second: what was seen two seconds before is there.
    shown_s = float(lines[-1].split()[0])
    with pytest.raises(InputError, match="finish it with `emoscope report out`"):
        load_result(Path("out"))
    for arguments in (("analyze", "long.mp4", "-o", "out"), ("live", "long.mp4", "-o", "out", "--view", "none")):
        code, _, stderr = emoscope(*arguments, "--detector", "own")
        assert code == 2 and "finish it with `emoscope report out`" in stderr.splitlines()[-1]
    code, _, stderr = emoscope("report", "out")
    assert code == 0 and "was cut off after" in stderr and stderr.count("\n") == 1
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["status"], summary["reason"], summary["kind"]) == ("incomplete", "stopped", "live")
    assert summary["duration_s"] >= shown_s - 3
    assert len(pd.read_parquet(tmp_path / "out" / "observations.parquet")) >= summary["frames"] >= 3
    assert emoscope("report", "out")[0::2] == (0, "")


@contextlib.contextmanager
def serve(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A network camera of this machine that answers as told; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://someone:s3cret@127.0.0.1:{server.server_port}/camera.ts?key=s3cret"
        server.shutdown()


@pytest.mark.parametrize("how", ["breaks off", "falls silent", "ends"])
def test_a_camera_that_vanishes_loses_nothing(how: str, portrait: Image, tmp_path: Path) -> None:
    write_clip(tmp_path / "whole.ts", [(np.roll(portrait, 9 * i, 1), i * 0.04) for i in range(100)])
    data = (tmp_path / "whole.ts").read_bytes()
    over = threading.Event()

    def send_half(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if how != "ends":
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[: len(data) // 2])
        request.wfile.flush()
        if how == "falls silent":
            over.wait(30)

    with serve(send_half) as address:
        camera = Camera(address, read_timeout_s=1.0)
        result = analyze_live(camera, Analyzer("own"), Watcher(), tmp_path / "out", Settings())
        over.set()
    assert result.status == "incomplete" and result.message is not None and "vanished after" in result.message
    assert result.frames + result.dropped == camera.frames_read >= 35
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["status"], summary["reason"], summary["message"]) == ("incomplete", "damaged", result.message)
    for file in (tmp_path / "out").iterdir():
        assert b"s3cret" not in file.read_bytes()


def test_a_camera_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        camera = Camera(f"rtsp://someone:s3cret@127.0.0.1:{server.getsockname()[1]}/x", open_timeout_s=1.0)
        start = time.monotonic()
        with pytest.raises(InputError, match="no answer within 1 s") as caught:
            analyze_live(camera, Analyzer("own"), View(), tmp_path / "out", Settings())
    assert time.monotonic() - start < 5 and "s3cret" not in str(caught.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["77"], "cannot open camera 77"),
        (["rtsp://someone:s3cret@127.0.0.1:9/x"], "cannot open rtsp://127.0.0.1:9/x (Connection refused)"),
        (["ftp://someone:s3cret@host/x"], "no address of a camera"),
        (["nothing.mp4"], "there is no camera or file"),
        (["."], "is a folder"),
        (["text.mp4"], "cannot be decoded as video"),
        (["empty.mp4"], "is empty"),
        (["text.mp4", "--view", "window"], "there is no display"),
        (["text.mp4", "--view", "hologram"], "choose auto"),
        (["text.mp4", "-o", "out", "--no-save"], "contradict"),
    ],
)
def test_what_is_no_camera_is_one_line(
    arguments: list[str], words: str, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    (tmp_path / "text.mp4").write_text("dear diary, " * 400)
    (tmp_path / "empty.mp4").write_bytes(b"")
    start = time.monotonic()
    code, stdout, stderr = emoscope("live", *arguments, "--detector", "own")
    assert time.monotonic() - start < 8 and code == 2 and stdout == ""
    errors = [line for line in stderr.splitlines() if "ask them first" not in line]
    assert len(errors) == 1 and errors[0].startswith("error: ") and words in errors[0]
    assert "s3cret" not in stderr and {p.name for p in tmp_path.iterdir()} == {"text.mp4", "empty.mp4"}


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:p@ss/w?rd@10.0.0.7:554/live", "rtsp://10.0.0.7:554/live"),
        ("http://10.0.0.7/video.cgi?user=admin&pwd=x", "http://10.0.0.7/video.cgi"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_secrets_are_hidden(address: str, shown: str) -> None:
    assert hide_secrets(address) == shown
