"""Time the whole command `emoscope analyze` against a process that only decodes, and take its fixed cost apart.

Everything is a process of its own and runs in turns; each ratio is that of neighbours, given as the median with the
lowest and the highest. Decoding is timed with and without conversion to BGR.

* The clip alone and so many times in a row: their difference gives the cost of a frame, the rest is what comes before
  the first and after the last frame.
* The same with `--reading adaptive`.
* Films made from a picture of five people: 1, 5 and 20 faces at 640 x 360, 1920 x 1080 and 3840 x 2160.

Bars: at most 2.0 times decoding for the long clip and 2.5 for the clip, 0.4 s before and after, 1080p with five faces 7
times real time, 4K with one face 2 times in 400 MB, 300 MB for the clip, however long; one person, every frame in the
table.
"""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow.parquet as pq

from common import create_parser, measure_process, repeat_clip, write_result

SIZES_WH = {"360p": (640, 360), "1080p": (1920, 1080), "4K": (3840, 2160)}
FACES = (1, 5, 20)
RATE = 30
DECODE = """
import sys
import av
from av.video.reformatter import VideoReformatter
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    reformatter = VideoReformatter()
    for picture in container.decode(stream):
        {work}
"""
CONVERT = 'reformatter.reformat(picture, format="bgr24").to_ndarray()'
Run = dict[str, float]


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path, help="one person, seen in every frame")
    parser.add_argument("picture", type=Path, help="a picture of five people")
    parser.add_argument("--loops", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="length of the films that are made")
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    options = ["--model", arguments.model]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        long = repeat_clip(arguments.clip.resolve(), arguments.loops, folder / "long.mp4")
        clips = {"clip": arguments.clip.resolve(), "long clip": long}
        measured = {key: measure(clip, options, arguments.repeats, folder) for key, clip in clips.items()}
        films = {}
        for size, size_wh in SIZES_WH.items():
            for n_faces in FACES:
                path = folder / f"{size}-{n_faces}.mp4"
                film = write_film(arguments.picture, n_faces, size_wh, arguments.seconds, path)
                films[f"{size}, {n_faces} faces"] = measure(film, options, max(1, arguments.repeats // 2), folder)
    cost = split_cost(measured["clip"], measured["long clip"])
    write_result(
        "analyze",
        {
            "clip": arguments.clip.name,
            "model": arguments.model,
            "cores": len(os.sched_getaffinity(0)),
            "measured": measured,
            "cost": cost,
            "films": films,
            "bars": compare_with_bars(measured, cost, films),
        },
    )


def measure(clip: Path, options: list[str], repeats: int, folder: Path) -> dict[str, Any]:
    """Run everything in turns on one clip."""
    analyze = ["-m", "emoscope", "analyze", str(clip), *options, "-o"]
    commands = {
        "analyze": analyze,
        "adaptive": [*analyze[:-1], "--reading", "adaptive", "-o"],
        "decode": ["-c", DECODE.format(work="pass"), str(clip)],
        "decode and convert": ["-c", DECODE.format(work=CONVERT), str(clip)],
    }
    runs: dict[str, list[Run]] = {key: [] for key in commands}
    for i in range(repeats):
        for key, command in list(commands.items())[:: 1 if i % 2 else -1]:
            out = [str(folder / f"{key}-{i}-{clip.stem}")] if command[-1] == "-o" else []
            runs[key].append(measure_process([sys.executable, *command, *out]))
            print(f"{clip.name} {key} {i + 1}/{repeats}: {runs[key][-1]['wall_s']:.2f} s", file=sys.stderr)
    folders = {key: folder / f"{key}-0-{clip.stem}" for key in ("analyze", "adaptive")}
    summary = json.loads((folders["analyze"] / "summary.json").read_text())
    tables = {key: pq.read_table(place / "observations.parquet") for key, place in folders.items()}
    found: dict[str, Any] = {
        key: {value: round(statistics.median(r[value] for r in own), 3) for value in own[0]}
        for key, own in runs.items()
    }
    return {
        **found,
        "over_decode_and_convert": compare(runs["analyze"], runs["decode and convert"]),
        "over_decode": compare(runs["analyze"], runs["decode"]),
        "adaptive_over_every": compare(runs["adaptive"], runs["analyze"]),
        "frames": summary["frames"],
        "people": summary["people_count"],
        "faces_per_frame": round(summary["audience"]["people_mean"], 2),
        "times_real_time": round(summary["duration_s"] / found["analyze"]["wall_s"], 2),
        "adaptive_times_real_time": round(summary["duration_s"] / found["adaptive"]["wall_s"], 2),
        "rows": tables["analyze"].num_rows,
        "adaptive": {**found["adaptive"], **compare_readings(tables["analyze"], tables["adaptive"])},
    }


def compare(mine: list[Run], theirs: list[Run]) -> dict[str, float]:
    """Return the ratio of elapsed times, each of neighbours."""
    ratios = [a["wall_s"] / b["wall_s"] for a, b in zip(mine, theirs, strict=True)]
    pick: dict[str, Callable[[list[float]], float]] = {"median": statistics.median, "lowest": min, "highest": max}
    return {name: round(choose(ratios), 3) for name, choose in pick.items()}


def compare_readings(every: Any, adaptive: Any) -> dict[str, float]:
    """Return how the adaptive readings agree with those of every frame; the rows are the same."""
    columns = "frame", "track_id", "emotion"
    mine, theirs = (list(zip(*(t[name].to_pylist() for name in columns), strict=True)) for t in (adaptive, every))
    if [row[:2] for row in mine] != [row[:2] for row in theirs]:
        sys.exit("adaptive reading has other rows")
    faces = [(a[2], b[2]) for a, b in zip(mine, theirs, strict=True) if a[2] is not None]
    kept = [value for value in adaptive["kept"].to_pylist() if value is not None]
    p, q = (
        np.array([t[n].to_pylist() for n in t.column_names if n.startswith("p_")], float) for t in (adaptive, every)
    )
    change = np.nan_to_num(np.abs(p - q)).max(axis=0)
    return {
        "kept": round(sum(kept) / max(len(kept), 1), 4),
        "same_emotion": round(sum(a == b for a, b in faces) / max(len(faces), 1), 4),
        "mean_difference": round(float(change.mean()), 4),
        "difference_99": round(float(np.quantile(change, 0.99)), 4),
    }


def split_cost(short: dict[str, Any], long: dict[str, Any]) -> dict[str, float]:
    """Return the cost of a frame, and what comes before the first and after the last."""
    n = long["frames"] - short["frames"]
    values: dict[str, float] = {}
    for key in ("analyze", "adaptive", "decode and convert"):
        a_frame = (long[key]["wall_s"] - short[key]["wall_s"]) / n
        values[f"{key}: ms a frame"] = round(1000 * a_frame, 3)
        values[f"{key}: s before and after"] = round(short[key]["wall_s"] - short["frames"] * a_frame, 3)
    return values


def compare_with_bars(measured: dict[str, Any], cost: dict[str, float], films: dict[str, Any]) -> dict[str, bool]:
    """Return which bars are met."""
    clip, long, crowd, large = measured["clip"], measured["long clip"], films["1080p, 5 faces"], films["4K, 1 faces"]
    return {
        "long clip <= 2.0 times decoding": long["over_decode_and_convert"]["median"] <= 2.0,
        "clip <= 2.5 times decoding": clip["over_decode_and_convert"]["median"] <= 2.5,
        "before and after <= 0.4 s": cost["analyze: s before and after"] <= 0.4,
        "1080p, five faces >= 7 times real time": crowd["times_real_time"] >= 7,
        "4K, one face >= 2 times real time": large["times_real_time"] >= 2,
        "4K <= 400 MB": large["analyze"]["memory_mb"] <= 400,
        "any length <= 300 MB": long["analyze"]["memory_mb"] <= 300,
        "adaptive: same emotion >= 0.99": min(m["adaptive"]["same_emotion"] for m in (clip, long)) >= 0.99,
        "adaptive: time <= 0.6": long["adaptive_over_every"]["median"] <= 0.6,
        "one person, every frame": clip["people"] == 1 and clip["rows"] == clip["frames"],
    }


def write_film(picture: Path, n_faces: int, size_wh: tuple[int, int], seconds: float, path: Path) -> Path:
    """Write a film that wanders over a picture of five people, over one of them, or over four copies of it."""
    width, height = size_wh
    image = cv2.imread(str(picture))
    if image is None:
        sys.exit(f"{picture} cannot be read")
    if n_faces == 1:
        image = cut_first(image)
    elif n_faces == 20:
        image = np.tile(image, (2, 2, 1))
    # All of the picture is seen, whatever its shape; its edges go on where the film is wider or higher.
    scale = min(width / image.shape[1], height / image.shape[0])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    x, y = (max(0, round(1.1 * side - have) // 2) for side, have in ((width, image.shape[1]), (height, image.shape[0])))
    image = cv2.copyMakeBorder(image, y, y, x, x, cv2.BORDER_REPLICATE)
    spare_x, spare_y = image.shape[1] - width, image.shape[0] - height
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast"}
        for i in range(round(seconds * RATE)):
            x = round(spare_x * (0.5 + 0.5 * np.sin(i / RATE)))
            y = round(spare_y * (0.5 + 0.5 * np.cos(0.7 * i / RATE)))
            view = np.ascontiguousarray(image[y : y + height, x : x + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="bgr24")))
        container.mux(stream.encode())
    return path


def cut_first(image: np.ndarray) -> np.ndarray:
    """Return a part of a picture, as wide as its face is four times, in which the best face is alone."""
    from emoscope.faces.detect import create_detector

    detector = create_detector().detector
    for x1, y1, x2, y2 in detector.detect(image).xyxy.tolist():
        for share in (1.5, 1.0, 0.7):
            left, right = x1 - share * (x2 - x1), x2 + share * (x2 - x1)
            high = (right - left) * 9 / 16
            top = max(0.0, (y1 + y2 - high) / 2)
            part = image[int(top) : int(top + high), max(0, int(left)) : int(right)]
            if len(detector.detect(part)) == 1:
                return part
    sys.exit("no face in the picture is alone")


if __name__ == "__main__":
    main()
