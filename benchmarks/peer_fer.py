"""Time the whole command `emoscope analyze CLIP` against the `fer` package's own video analysis, and against decoding.

Bars: at least 10 times as fast as fer (its documented use, its default settings, its own environment), and at most
2.5 times as long as only decoding every frame to BGR. All are processes of their own,
started in turns; figures are medians.

fer's environment: python -m venv FER; FER/bin/pip install --no-deps fer;
FER/bin/pip install tensorflow-cpu "opencv-contrib-python<5" pandas requests tqdm pillow matplotlib "setuptools<81"
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import create_parser, repeat_clip, write_result

FER_SCRIPT = """
import sys
from fer.fer import FER
from fer.classes import Video
detector = FER(mtcnn=False)
rows = Video(sys.argv[1]).analyze(detector, display=False{more})
print(len(rows))
"""
LEAN = ", save_frames=False, save_video=False, annotate_frames=False, zip_images=False"
"""Leaves out what fer writes by default: every frame as JPEG, zipped, and an annotated video. Not its default."""
DECODE_SCRIPT = """
import sys, time
import av
from av.video.reformatter import VideoReformatter
start, n = time.perf_counter(), 0
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    reformatter = VideoReformatter()
    for picture in container.decode(stream):
        n += len(reformatter.reformat(picture, format="bgr24").to_ndarray()) > 0
print(time.perf_counter() - start, n)
"""


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--fer-python", required=True, metavar="PATH", help="Python of fer's environment")
    parser.add_argument(
        "--loops", type=int, default=1, help="also measure the clip so many times in a row, not with fer"
    )
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = {"once": arguments.clip.resolve()}
        if arguments.loops > 1:
            clips[f"{arguments.loops} times"] = repeat_clip(clips["once"], arguments.loops, folder / "loops.mp4")
        # fer's time grows with the clip's length, at half a minute for twenty seconds: once is enough.
        measured = {
            key: measure(clip, arguments.fer_python if key == "once" else None, arguments.repeats, folder)
            for key, clip in clips.items()
        }
    write_result(
        "peer_fer",
        {
            "clip": arguments.clip.name,
            "fer": describe_fer(arguments.fer_python),
            "measured": measured,
            "bars": {
                f"{key}: {bar}": is_met
                for key, values in measured.items()
                for bar, is_met in (
                    ("fer takes >= 10 times as long", values.get("fer_over_emoscope", 0) >= 10),
                    ("<= 2.5 times decoding", values["emoscope_over_decoding"] <= 2.5),
                )
                if key == "once" or "fer" not in bar
            },
        },
    )


def measure(clip: Path, fer_python: str | None, repeats: int, folder: Path) -> dict[str, Any]:
    """Run everything in turns on one clip."""
    commands = {
        "emoscope": [sys.executable, "-m", "emoscope", "analyze", str(clip), "--json", "-o"],
        "decoding": [sys.executable, "-c", DECODE_SCRIPT, str(clip)],
    }
    if fer_python:
        commands["fer"] = [fer_python, "-c", FER_SCRIPT.format(more=""), str(clip)]
        commands["fer without its files"] = [fer_python, "-c", FER_SCRIPT.format(more=LEAN), str(clip)]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    inner: dict[str, list[float]] = {"emoscope": [], "decoding": []}
    frames: dict[str, int] = {}
    for i in range(repeats):
        for name, command in commands.items():
            # fer writes into the working folder.
            with tempfile.TemporaryDirectory(dir=folder) as place:
                extra = [f"{place}/out"] if name == "emoscope" else []
                start = time.perf_counter()
                done = subprocess.run([*command, *extra], cwd=place, capture_output=True, text=True, check=False)
                seconds[name].append(time.perf_counter() - start)
                if done.returncode:
                    raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
                frames[name] = _read_inner(name, done.stdout, Path(place), inner)
            print(f"{name} {i + 1}/{repeats}: {seconds[name][-1]:.2f} s, {frames[name]} frames", file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    inner_medians = {name: statistics.median(values) for name, values in inner.items()}
    return {
        "frames": frames,
        "wall_s": {name: [round(s, 2) for s in values] for name, values in seconds.items()},
        "median_s": {name: round(s, 2) for name, s in medians.items()},
        **{
            f"{name.replace(' ', '_')}_over_emoscope": round(medians[name] / medians["emoscope"], 1)
            for name in medians
            if name.startswith("fer")
        },
        "emoscope_over_decoding": round(medians["emoscope"] / medians["decoding"], 2),
        "without_process_start_s": {name: round(s, 2) for name, s in inner_medians.items()},
        "emoscope_over_decoding_without_process_start": round(inner_medians["emoscope"] / inner_medians["decoding"], 2),
    }


def _read_inner(name: str, stdout: str, place: Path, inner: dict[str, list[float]]) -> int:
    """Take the time that a process measured itself, and return its number of frames (fer: of frames with a face)."""
    if name == "emoscope":
        summary = json.loads((place / "out" / "summary.json").read_text())
        inner[name].append(summary["settings"]["wall_s"])
        return int(summary["frames"])
    if name == "decoding":
        took, n = stdout.split()
        inner[name].append(float(took))
        return int(n)
    return int(stdout.split()[-1])


def describe_fer(python: str) -> str:
    """Return the versions in fer's environment."""
    names = ("fer", "tensorflow-cpu", "opencv-contrib-python")
    script = f"from importlib.metadata import version; print(*[f'{{n}} {{version(n)}}' for n in {names!r}], sep=', ')"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
