"""The extension of jsPsych, in Chromium with jsPsych out of the npm registry; slow: `make test-slow`."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from browser import serve
from conftest import Command
from emoscope.analysis.received import receive_recording
from emoscope.browser.site import write_site
from emoscope.core.errors import ModelError
from emoscope.core.types import Image

pytestmark = pytest.mark.slow
PACKAGES = {"jspsych": "jspsych@8.3.0", "keyboard": "@jspsych/plugin-html-keyboard-response@2.2.0"}
WAIT_MS = 90_000
PERIOD = 20
"""Frames of the camera for which a face is there, then as many without: a second of thirty would hide a late stamp."""
EXPERIMENT = """<!doctype html><body><script src="jspsych.js"></script><script src="keyboard.js"></script>
<script type="module">
  import { EmoscopeExtension } from "./page/jspsych-emoscope.js";
  const jsPsych = initJsPsych({ extensions: [{ type: EmoscopeExtension }] });
  const extension = jsPsych.extensions.emoscope;
  await extension.prepare({ every_s: 0.05, participant: "anna" });
  const timed = (ms, params) => ({
    type: jsPsychHtmlKeyboardResponse, stimulus: "look", choices: "NO_KEYS", trial_duration: ms,
    extensions: params ? [{ type: EmoscopeExtension, params }] : [],
    on_load: () => params && setTimeout(() => extension.mark("middle"), ms / 2),
  });
  // What the camera shows at each moment, told by its brightness: kept apart from the extension.
  const states = window.states = [];
  const canvas = new OffscreenCanvas(8, 8), context = canvas.getContext("2d", { willReadFrequently: true });
  const watch = (video) => video.requestVideoFrameCallback((now) => {
    context.drawImage(video, 0, 0, 8, 8);
    const { data } = context.getImageData(0, 0, 8, 8);
    states.push([now, data.reduce((sum, value) => sum + value, 0) / data.length > 90]);
    watch(video);
  });
  watch(extension.video);
  await jsPsych.run([timed(200), timed(8000, { marker: "film" }), timed(200), timed(5000, {})]);
  window.file = await extension.toFile().text();
  extension.stop();
  window.origin = extension.startedAt;
  window.data = jsPsych.data.get().values();
</script>"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("experiment")
    with pytest.MonkeyPatch.context() as monkeypatch:
        if cache := getattr(pytestconfig, "cache", None):
            monkeypatch.setenv("EMOSCOPE_CACHE", str(cache.mkdir("onnxruntime-web")))
        try:
            write_site(folder / "page", model="fast", detector="own")
            for name, package in PACKAGES.items():
                packed = subprocess.run(
                    ["npm", "pack", package], cwd=folder, capture_output=True, check=True, timeout=60
                )
                with tarfile.open(folder / packed.stdout.decode().split()[-1]) as archive:
                    script = archive.extractfile("package/dist/index.browser.js")
                    assert script
                    (folder / f"{name}.js").write_bytes(script.read())
        except (ModelError, OSError, subprocess.SubprocessError) as e:
            pytest.skip(f"npm packages are not to be had here: {e}")
    (folder / "index.html").write_text(EXPERIMENT)
    with serve(folder) as where:
        yield where


def test_readings_join_their_trials_and_bear_the_picture_s_time(
    address: str, portrait: Image, tmp_path: Path, emoscope: Command
) -> None:
    from playwright.sync_api import sync_playwright

    camera = tmp_path / "camera.mjpeg"
    picture = cv2.copyMakeBorder(cv2.resize(portrait, (480, 480)), 0, 0, 80, 80, cv2.BORDER_CONSTANT)
    frames = [picture] * PERIOD + [np.zeros_like(picture)] * PERIOD
    camera.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames))
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*flags, f"--use-file-for-fake-video-capture={camera}"]
        )
        page = browser.new_page()
        page.goto(address)
        page.wait_for_function("window.data", timeout=WAIT_MS)
        data, file, states, origin_ms = page.evaluate("[window.data, window.file, window.states, window.origin]")
        browser.close()
    first, second = (trial for trial in data if "emoscope_readings" in trial)
    assert [trial["trial_index"] for trial in data if "emoscope_readings" in trial] == [1, 3]
    assert [marker["name"] for marker in first["emoscope_markers"]] == ["film", "middle"]
    assert second["emoscope_markers"] == [{"name": "middle", "time_s": pytest.approx(2.5, abs=0.5)}]
    # What was read at a time is what the camera showed within a frame of it.
    shown_ms, is_face = np.array([ms for ms, _ in states]), np.array([face for _, face in states])
    n_checked = 0
    for trial in (first, second):
        start_ms = origin_ms + 1000 * trial["emoscope_start_s"]
        for reading in trial["emoscope_readings"]:
            near = np.abs(shown_ms - (start_ms + 1000 * reading["time_s"])) <= 1000 / 30
            if near.any() and len({*is_face[near]}) == 1:
                n_checked += 1
                assert (reading["faces"] > 0) == is_face[near][0]
        seen = [reading["p_happy"] for reading in trial["emoscope_readings"] if reading["faces"]]
        assert trial["emoscope_mean"]["happy"] == (pytest.approx(np.mean(seen)) if seen else None)
        n = len(trial["emoscope_readings"])
        assert trial["emoscope_coverage"] == (pytest.approx(len(seen) / n) if n else None)
    assert n_checked >= 2
    assert all("emoscope_trouble" not in trial for trial in data)
    path = tmp_path / "anna.emoscope.json"
    path.write_text(file)
    summary = receive_recording(path, tmp_path / "anna")
    assert summary.source == "anna" and summary.frames >= n_checked
