"""Run studies/thesis-quick.yaml five ways: two workers, one, Ray, and 2 and 8 threads in the environment.

Bars: all figures the same, bit for bit; every family's test macro F1 at least 0.30; two workers on two idle cores take
3 minutes at most, the finished study's second run 3 s.
"""

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, create_parser, measure_process, write_result

sys.path.insert(0, str(ROOT / "tests"))
from study_folders import read_figures

STUDY = ROOT / "studies" / "thesis-quick.yaml"
WAYS: dict[str, tuple[int, tuple[str, ...]]] = {
    "two workers": (1, ("--workers", "2")),
    "one process": (1, ()),
    "Ray": (1, ("--executor", "ray")),
    "OMP_NUM_THREADS=2": (2, ("--workers", "2")),
    "OMP_NUM_THREADS=8": (8, ("--workers", "2")),
}


def read_macro_f1(folder: Path) -> dict[str, float]:
    """Return each family's mean macro F1 of its final runs on their test images, one view."""
    found: dict[str, float] = {}
    for family, results in json.loads((folder / "results.json").read_text())["families"].items():
        finals = [json.loads((folder / "runs" / run["run"] / "final.json").read_text()) for run in results["final"]]
        found[family] = round(statistics.mean(final["views"]["1"]["macro_f1"] for final in finals), 4)
    return found


def main() -> None:
    """Run all, compare and write."""
    create_parser(__doc__).parse_args()
    taken: dict[str, dict[str, float]] = {}
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "cartoon.npz"
        emoscope = [sys.executable, "-m", "emoscope"]
        measure_process([*emoscope, "data", "import", "synthetic", "-o", str(data)])
        for way, (n_threads, options) in WAYS.items():
            folder = Path(name) / way.replace(" ", "-")
            command = [*emoscope, "study", "run", str(STUDY), "--data", str(data), "-o", str(folder), *options]
            environment = {**os.environ, "OMP_NUM_THREADS": str(n_threads)}
            taken[way] = measure_process(command, environment)
            found[way] = read_figures(folder)
            print(way, taken[way], file=sys.stderr, flush=True)
            if way == "two workers":
                taken["again"] = measure_process(command, environment)
        macro_f1 = read_macro_f1(Path(name) / "two-workers")
    first = found["two workers"]
    same = {way: figures == first for way, figures in found.items()}
    write_result(
        "quick_study",
        {
            "taken": {way: {key: round(value, 1) for key, value in row.items()} for way, row in taken.items()},
            "same_figures": same,
            "test_macro_f1": macro_f1,
            "bars": {
                "five of five the same": all(same.values()),
                "macro F1 >= 0.30": min(macro_f1.values()) >= 0.30,
                "two workers <= 180 s": taken["two workers"]["wall_s"] <= 180,
                "second run <= 3 s": taken["again"]["wall_s"] <= 3,
            },
        },
    )


if __name__ == "__main__":
    main()
