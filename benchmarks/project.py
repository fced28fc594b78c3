"""A project of many participants: how long `emoscope group` takes, and what its test over time finds and does not.

* 200 result folders of ten minutes: at most 30 s and 500 MB.
* 40 participants: the page at most 2 MB, made within 10 s.
* An effect planted at 0:30 into 40 participants' expressions: how often the cluster test finds it, by its size.
* 200 projects without any effect, their expressions wandering: at most 5 % with a stretch that stands out, for one
  group of 40 and for two groups of 20.

The result folders are made up from tables (benchmarks/made_results.py): no network reads a face here.

usage: python benchmarks/project.py [--projects 200] [--only speed|power]   writes results/project.json
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common import ROOT, create_parser, write_result
from emoscope.groups.contrasts import LEVEL, center
from emoscope.tables.curve_inference import find_clusters
from emoscope.tables.rows import SIGNS
from made_results import Stimulus, make_probabilities, write_project

AD = Stimulus(60.0, fps=5.0, effect_s=(30.0, 36.0))
BIN_FRAMES = 5
"""One second each, five frames."""


def measure_group(results: Path) -> dict[str, Any]:
    """Run `emoscope group` in a process of its own."""
    code = (
        "import resource, sys; from emoscope.cli.main import main; sys.argv = ['emoscope', 'group', sys.argv[1]]\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, str(results)], capture_output=True, text=True, check=True)
    return {
        "wall_s": round(time.perf_counter() - start, 2),
        "peak_mb": round(int(done.stdout.split()[-1]) / 1024),
        "page_mb": round((results / "index.html").stat().st_size / 1e6, 3),
        "tables_mb": round(sum(p.stat().st_size for p in (results / "project").iterdir()) / 1e6, 2),
    }


def measure_speed(folder: Path) -> dict[str, Any]:
    write_project(folder / "forty", 40, replace(AD, fps=25.0, effect=1.0, shared=0.2), seed=1)
    found = {"40 participants, 60 s": measure_group(folder / "forty")}
    write_project(folder / "many", 200, Stimulus(600.0, fps=25.0, shared=0.2), seed=2)
    found["200 participants, 600 s"] = measure_group(folder / "many")
    write_project(folder / "long", 10, Stimulus(7200.0, fps=5.0, shared=0.2), seed=3)
    found["10 participants, 7200 s"] = measure_group(folder / "long")
    return found


def make_curves(rng: np.random.Generator, n: int, stimulus: Stimulus) -> Any:
    """Return participants' valence curves (n, seconds)."""
    curves = []
    for _ in range(n):
        p = make_probabilities(rng, stimulus, None, stimulus.effect)
        curves.append((p @ SIGNS).reshape(-1, BIN_FRAMES).mean(axis=1))
    return np.stack(curves)


def is_found(clusters: Any) -> bool:
    """Return whether a stretch that lies mostly in the planted time stands out."""
    first, last = AD.effect_s
    return any(
        c.p < LEVEL and c.mass > 0 and min(c.end, last) - max(c.start, first) > (last - first) / 2 for c in clusters
    )


def measure_power(n_projects: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    power = []
    for effect in (0.1, 0.2, 0.3, 0.5, 1.0):
        stimulus = replace(AD, effect=effect)
        found, rises = 0, []
        for _ in range(n_projects // 4):
            curves = make_curves(rng, 40, stimulus)
            rises.append(curves[:, 30:36].mean() - curves[:, :30].mean())
            found += is_found(find_clusters(center(curves)))
        row = {"logits": effect, "valence_rise": round(float(np.mean(rises)), 4), "power": found / (n_projects // 4)}
        power.append({**row, "projects": n_projects // 4, "participants": 40})
        print(power[-1])
    false = {"one group of 40": 0, "two groups of 20": 0}
    for _ in range(n_projects):
        curves = make_curves(rng, 40, AD)
        false["one group of 40"] += any(c.p < LEVEL for c in find_clusters(center(curves)))
        false["two groups of 20"] += any(c.p < LEVEL for c in find_clusters(curves[:20], curves[20:]))
    return {"power": power, "false": {k: v / n_projects for k, v in false.items()}, "null_projects": n_projects}


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--projects", type=int, default=200)
    parser.add_argument("--only", choices=("speed", "power"))
    arguments = parser.parse_args()
    place = ROOT / "results" / "project.json"
    earlier = json.loads(place.read_text(encoding="utf-8")) if arguments.only and place.is_file() else {}
    found = {key: value for key, value in earlier.items() if key in ("speed", "power", "false", "null_projects")}
    os.environ["OMP_NUM_THREADS"] = "1"
    if arguments.only != "power":
        with tempfile.TemporaryDirectory() as name:
            found["speed"] = measure_speed(Path(name))
    if arguments.only != "speed":
        found |= measure_power(arguments.projects)
    write_result("project", found)


if __name__ == "__main__":
    main()
