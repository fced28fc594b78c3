"""Time the whole command `emoscope analyze CLIP` against the same of an earlier checkout, with one network for both.

Bars: processor time, elapsed time and memory at most 3 % above the earlier checkout's. All are processes of their own,
started in turns; figures are medians of the ratios of neighbours, with the lowest and the highest.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, create_parser, measure_process, repeat_clip, write_result

VALUES = ("processor_s", "wall_s", "memory_mb")
BAR = 1.03


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("earlier", type=Path, help="a checkout; its dependencies are those of this environment")
    parser.add_argument("--model", default="compact-5-int8", help="a network that both carry")
    parser.add_argument("--loops", type=int, default=15, help="also measure the clip so many times in a row")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        clips = {"once": arguments.clip.resolve()}
        if arguments.loops > 1:
            clips[f"{arguments.loops} times"] = repeat_clip(clips["once"], arguments.loops, Path(name) / "loops.mp4")
        places = {"earlier": arguments.earlier.resolve(), "now": ROOT}
        measured = {
            key: compare(clip, places, ["--model", arguments.model], arguments.repeats, Path(name))
            for key, clip in clips.items()
        }
    earlier = subprocess.run(
        ["git", "-C", str(arguments.earlier), "describe", "--always"], capture_output=True, text=True, check=False
    )
    bars = {
        f"{key}: {value} <= {BAR}": ratios[value]["ratio"] <= BAR
        for key, ratios in measured.items()
        for value in VALUES
    }
    write_result(
        "earlier_version",
        {
            "clip": arguments.clip.name,
            "earlier": earlier.stdout.strip(),
            "model": arguments.model,
            "repeats": arguments.repeats,
            "measured": measured,
            "bars": bars,
        },
    )


def compare(clip: Path, places: dict[str, Path], options: list[str], repeats: int, folder: Path) -> dict[str, Any]:
    """Return medians of each place, and now over earlier."""
    runs: dict[str, list[dict[str, float]]] = {key: [] for key in places}
    for i in range(repeats):
        for key, place in list(places.items())[:: 1 if i % 2 else -1]:
            runs[key].append(analyze(clip, place, options, folder / f"{key}-{i}-{clip.stem}"))
    found: dict[str, Any] = {}
    for value in VALUES:
        ratios = [now[value] / earlier[value] for now, earlier in zip(runs["now"], runs["earlier"], strict=True)]
        medians = {key: round(statistics.median(run[value] for run in runs[key]), 2) for key in places}
        found[value] = {
            **medians,
            "ratio": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
        }
    return found


def analyze(clip: Path, place: Path, options: list[str], out: Path) -> dict[str, float]:
    """Return what one command took."""
    command = [sys.executable, "-m", "emoscope", "analyze", str(clip), "-o", str(out), *options]
    return measure_process(command, env=os.environ | {"PYTHONPATH": str(place / "src")})


if __name__ == "__main__":
    main()
