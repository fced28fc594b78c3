"""The page that reads in the browser beside the Python code: boxes, probabilities, people, speed, requests, bytes.

Speed is one thread's. Recordings are fast-forwarded: the page takes its times from who calls it.

usage: python benchmarks/browser.py CLIP [PICTURE ...]   writes results/browser.json; needs Chromium
"""

import argparse
import base64
import functools
import gzip
import itertools
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from common import write_result
from emoscope.browser.site import write_site
from emoscope.core.types import Frame
from emoscope.faces.detect import create_detector
from emoscope.faces.recognize import Recognizer
from emoscope.faces.upright import Cutter
from emoscope.pipeline.analyzer import Analyzer

OPEN = """
  const ort = await import("./ort/ort.wasm.min.mjs"), { Reader } = await import("./reader.js");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("./ort/", location.href).href;
  ort.env.logLevel = "error";
  const facts = await (await fetch("./facts.json")).json();
  const load = async (name) => new Uint8Array(await (await fetch(`./${name}`)).arrayBuffer());
  const reader = await Reader.create(ort, facts, load);
  const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
"""
READ = f"""
async (frames) => {{
  {OPEN}
  const answers = [];
  for (const {{ width, height, time, pixels }} of frames) {{
    const data = decode(pixels), start = performance.now();
    const found = await reader.read({{ width, height, channels: 4, data }}, time), ms = performance.now() - start;
    const faces = found.map(({{ xyxy, trackId, probabilities }}) => ({{ xyxy, trackId, probabilities }}));
    answers.push({{ ms, faces }});
  }}
  return answers;
}}
"""
"""Reads the frames that encode() gives, in the page."""
RECOGNISE = f"""
async (crops) => {{
  {OPEN}
  const open = ({{ side, pixels }}) => ({{ width: side, height: side, channels: 1, data: decode(pixels) }});
  const images = crops.map(open);
  return reader.recogniser.predict(images);
}}
"""


RECORD = """
async ([minutes, perSecond, people]) => {
  const { Recording } = await import("./recording.js"), { createReport } = await import("./report.js");
  const facts = await (await fetch("./facts.json")).json(), forms = await (await fetch("./forms.json")).json();
  const countRequests = () => performance.getEntriesByType("resource").length;
  const made = new Recording(facts, "simulated", "live", facts.settings), before = countRequests();
  let seed = 1;
  const draw = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const toFace = (id) => {
    const numbers = facts.emotions.map(draw), sum = numbers.reduce((a, b) => a + b);
    const raw = numbers.map((value) => value / sum), probability = Math.max(...raw);
    return {
      track_id: id, xyxy: [80 * id, 50, 80 * id + 70, 140], score: 0.9, raw, probability,
      emotion: facts.emotions[raw.indexOf(probability)], uncertain: probability < 0.2,
      quality: { roll_deg: 0, frontal: 1, size_px: 70, sharpness: draw(), light: 1, contrast: 1 },
    };
  };
  const ids = Array.from({ length: people }, (_, i) => i + 1);
  for (let i = 0; i < 60 * minutes * perSecond; i++) made.add(ids.map(toFace), [640, 480], i / perSecond);
  const start = performance.now(), report = createReport(made, 60 * minutes, forms);
  const report_s = (performance.now() - start) / 1000, file_bytes = made.toFile(60 * minutes).size;
  const requests = countRequests() - before;
  return { minutes, people, rows: made.rows.length, report_s, report_bytes: report.size, file_bytes, requests };
}
"""
"""Records for so many minutes, without the clock, and makes the report."""
GROW = f"""
async ([n, step, rows, {{ width, height, pixels }}]) => {{
  if (!window.kept) {{
    {OPEN}
    const {{ Recording }} = await import("./recording.js");
    const made = new Recording(facts, "simulated", "live", facts.settings);
    window.kept = {{ reader, data: decode(pixels), made, time: 0 }};
  }}
  const {{ reader, data, made }} = window.kept;
  for (let i = 0; i < n; i++) {{
    const faces = await reader.read({{ width, height, channels: 4, data }}, window.kept.time);
    const read = faces.map((face) => ({{ ...face, raw: face.probabilities, track_id: face.trackId }}));
    for (let k = 0; k < rows; k++) made.add(read, [width, height], window.kept.time + (k * step) / rows);
    window.kept.time += step;
  }}
  return made.rows.length;
}}
"""
"""Reads a frame n times, so many seconds apart, and keeps so many rows of each reading."""
BARS = {
    "one face: readings a second": (20, lambda r: r["camera_640_480"]["readings_per_s"]),
    "four faces: readings a second": (10, lambda r: r["four_faces"]["readings_per_s"]),
    "requests while it records": (0, lambda r: -max(one["requests"] for one in r["recordings"])),
    "report of ten minutes: seconds": (-3, lambda r: -max(one["report_s"] for one in r["recordings"][:2])),
    "report of ten minutes: bytes": (-3e6, lambda r: -max(one["report_bytes"] for one in r["recordings"][:2])),
    "growth while it reads for half an hour: bytes": (-1e6, lambda r: -r["memory"]["bytes_grown_reading"]),
}
"""What must be reached, and how it is read out of a result; of what must stay small, the negative."""


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing."""

    def log_message(self, *args: object) -> None:
        """Leave it out."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Give a folder at an address of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def encode(frame: Frame) -> dict[str, object]:
    """Return a frame as READ takes it."""
    width, height = frame.size_wh
    pixels = cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGBA).tobytes()
    return {"width": width, "height": height, "time": frame.time_s, "pixels": base64.b64encode(pixels).decode()}


def read_clip(clip: Path, n: int, every: int) -> list[Frame]:
    with av.open(str(clip)) as container:
        pictures = itertools.islice(container.decode(video=0), 0, n * every, every)
        return [
            Frame(p.to_ndarray(format="bgr24"), i, float(p.time or 0), clip.name)  # type: ignore[arg-type]
            for i, p in enumerate(pictures)
        ]


def compare(page: Any, analyzer: Analyzer, recordings: list[list[Frame]]) -> dict[str, Any]:
    """Read the same recordings in the page and here."""
    box, probability, n_faces, n_same, n_missed, n_renamed, ms = 0.0, [], 0, 0, 0, 0, []
    for frames in recordings:
        analyzer.begin()
        for frame, answer in zip(frames, page.evaluate(READ, [encode(frame) for frame in frames]), strict=True):
            own = list(analyzer.analyze(frame))
            ms.append(answer["ms"])
            n_missed += abs(len(own) - len(answer["faces"]))
            for face, other in zip(own, answer["faces"], strict=False):
                side = float((face.xyxy[2:] - face.xyxy[:2]).max())
                box = max(box, float(np.abs(np.array(other["xyxy"]) - face.xyxy).max()) / side)
                p, q = np.array(other["probabilities"]), np.array([*face.probabilities.values()])
                probability.append(float(np.abs(p - q).max()))
                n_faces, n_same = n_faces + 1, n_same + int(p.argmax() == q.argmax())
                n_renamed += other["trackId"] != face.track_id
    return {
        "faces": n_faces,
        "faces_not_in_both": n_missed,
        "box_off_at_most_in_sides": box,
        "same_emotion": n_same,
        "other_number": n_renamed,
        "probability_off_median": float(np.median(probability)),
        "probability_off_at_most": max(probability),
        "ms_per_frame_median": float(np.median(ms)),
        "readings_per_s": 1000 * len(ms) / sum(ms),
    }


def put_together(frames: list[Frame]) -> list[Frame]:
    """Return frames of 640 x 480 that show each picture four times."""
    small = [cv2.resize(frame.image, (320, 240)) for frame in frames]
    both = [np.vstack([np.hstack([image, image]), np.hstack([image, image])]) for image in small]
    return [Frame(image, frame.index, frame.time_s, "four") for image, frame in zip(both, frames, strict=True)]


def compare_crops(page: Any, frames: list[Frame], detector: Any, model: str) -> dict[str, Any]:
    """Read the very same crops by both networks."""
    recognizer = Recognizer(model)
    cutter = Cutter(recognizer.spec.crop_margin, recognizer.spec.limits)
    crops = [crop for frame in frames for crop in cutter.cut(frame.image, detector.detect(frame.image))[1]]
    sent = [{"side": c.shape[0], "pixels": base64.b64encode(np.ascontiguousarray(c).tobytes()).decode()} for c in crops]
    found, own = np.array(page.evaluate(RECOGNISE, sent)), recognizer.predict(crops)
    return {"crops": len(crops), "probability_off_at_most": float(np.abs(found - own).max())}


def measure_growth(page: Any, frame: Frame, minutes: int = 30, n: int = 600, per_second: int = 20) -> dict[str, Any]:
    """Return by how much the page's memory grows in so many minutes, of which n frames are read.

    Once it only reads; once it records too, as many rows as at `per_second` readings a second.
    """
    session = page.context.new_cdp_session(page)
    sent, step_s = encode(frame), 60 * minutes / n

    def collect() -> int:
        session.send("HeapProfiler.collectGarbage")
        found = session.send("Runtime.getHeapUsage")
        return int(found["usedSize"] + found.get("backingStorageSize", 0))

    page.evaluate(GROW, [n // 4, step_s, 0, sent])
    before = collect()
    page.evaluate(GROW, [n, step_s, 0, sent])
    after_reading = collect()
    rows = page.evaluate(GROW, [n, step_s, round(per_second * step_s), sent])
    return {
        **{"minutes": minutes, "readings": n, "rows_recorded": rows, "bytes_before": before},
        **{"bytes_grown_reading": after_reading - before, "bytes_grown_recording": collect() - after_reading},
    }


def measure(model: str, clip: Path, pictures: list[Path]) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    films = read_clip(clip, 60, 4)
    at_camera_size = [Frame(cv2.resize(f.image, (640, 480)), f.index, f.time_s, "camera") for f in films]  # type: ignore[arg-type]
    alone = [[Frame(cv2.imread(str(path)), 0, 0.0, path.name)] for path in pictures]  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        n_bytes = write_site(Path(folder) / "site", model)
        site = Path(folder) / "site"
        compressed = sum(len(gzip.compress(path.read_bytes())) for path in site.rglob("*") if path.is_file())
        with serve(site) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector("#connections:not(:empty)", timeout=120_000)
            analyzer = Analyzer(model=model)
            result = {
                "bytes": n_bytes,
                "bytes_gzip": compressed,
                "clip": compare(page, analyzer, [films]),
                "pictures": compare(page, analyzer, alone) if alone else None,
                "camera_640_480": compare(page, analyzer, [at_camera_size]),
                "four_faces": compare(page, analyzer, [put_together(films)]),
                "recordings": [
                    page.evaluate(RECORD, [minutes, 20, people]) for minutes, people in ((10, 1), (10, 4), (60, 2))
                ],
                "memory": measure_growth(page, at_camera_size[0]),
                "equal_crops": compare_crops(page, films[::4], create_detector().detector, model),
            }
            browser.close()
    for name, (least, read) in BARS.items():
        value = read(result)
        print(f"{model}: {name} {abs(value):.4g}, bar {abs(least):g}{'' if value >= least else ' MISSED'}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("pictures", type=Path, nargs="*")
    arguments = parser.parse_args()
    write_result("browser", {m: measure(m, arguments.clip, arguments.pictures) for m in ("default", "fast")})


if __name__ == "__main__":
    main()
