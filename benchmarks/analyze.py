"""Time the whole command `emoscope analyze CLIP` against the clip's length.

Bar: at most half the clip's length, one person with one id, coverage at least 0.95, every frame in the table.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from common import create_parser, write_result


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(arguments.repeats):
            out = Path(folder) / str(i)
            command = [sys.executable, "-m", "emoscope", "analyze", str(arguments.clip), "-o", str(out), "--json"]
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds.append(time.perf_counter() - start)
        [entry] = json.loads(done.stdout)["sources"]
        summary = json.loads((out / "summary.json").read_text())
        rows = len(pd.read_parquet(out / "observations.parquet"))
    median = statistics.median(seconds)
    length_s = summary["duration_s"]
    write_result(
        "analyze",
        {
            "clip": f"{arguments.clip.name}, {entry['frames']} frames, {summary['size_wh']} px, {length_s:.1f} s",
            "detector": summary["settings"]["detector"],
            "wall_s": [round(s, 2) for s in seconds],
            "median_share_of_length": round(median / length_s, 3),
            "people": entry["people"],
            "coverage": entry["coverage"],
            "rows": rows,
            "bars": {
                "wall <= 0.5 of length": median <= 0.5 * length_s,
                "one person": entry["people"] == 1,
                "coverage >= 0.95": entry["coverage"] >= 0.95,
            },
        },
    )


if __name__ == "__main__":
    main()
