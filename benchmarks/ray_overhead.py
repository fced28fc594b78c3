"""What Ray costs on one machine: short runs, and pictures and short videos analysed, by Ray and by the local pool.

Bars: 100 runs of 2 s on two cores take at most 1.15 times as long through Ray; 200 files are analysed at 0.9 times the
files per second or more. A run here is a processor kept busy for 2 s of its own time, as a training does. Starting
either kind of workers is not counted, but reported: it happens once.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray_overhead  # workers import functions by their module's name, which is not __main__
from common import create_parser, write_result
from emoscope.analysis.many import analyze_sources
from emoscope.analysis.settings import Settings
from emoscope.core.native import set_up_libraries
from emoscope.executors.executor import Executor, map_unordered
from emoscope.executors.open import open_executor

WORKERS = 2
SETTLE_S = 15
"""Ray's own processes go on loading for some seconds after it has begun to work."""


def be_busy(_: Any, seconds: float) -> float:
    """Compute until so many seconds of this process's own processor time are gone."""
    start = time.process_time()
    while time.process_time() - start < seconds:
        sum(range(1000))
    return seconds


@contextlib.contextmanager
def open_warm(kind: str, shared: Any, starts: dict[str, float]) -> Iterator[Executor]:
    """Open an executor of two workers that have begun to work."""
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        address = None
        if kind == "ray":
            # As many as the pool has, whatever this machine has.
            os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
            from ray.cluster_utils import Cluster

            head = {"num_cpus": WORKERS, "object_store_memory": 256 * 2**20, "include_dashboard": False}
            cluster = Cluster(initialize_head=True, head_node_args=head)
            stack.callback(cluster.shutdown)
            address = cluster.address
        executor = stack.enter_context(open_executor(kind, shared=shared, workers=WORKERS, address=address))
        for _, future in map_unordered(executor, ray_overhead.be_busy, [0.5] * WORKERS):
            future.result()
        starts[kind] = round(time.perf_counter() - start, 2)
        time.sleep(SETTLE_S)
        yield executor


def time_runs(kind: str, n: int, seconds: float, starts: dict[str, float]) -> float:
    with open_warm(kind, None, starts) as executor:
        start = time.perf_counter()
        n_done = sum(
            future.result() == seconds for _, future in map_unordered(executor, ray_overhead.be_busy, [seconds] * n)
        )
        assert n_done == n
        return time.perf_counter() - start


def time_files(kind: str, files: list[Path], settings: Settings, folder: Path) -> float:
    with open_warm(kind, settings, {}) as executor:
        # The first files of a process also load libraries; that belongs to its start.
        analyze_sources(files[: 2 * WORKERS], folder / "warm", settings, executor=executor)
        start = time.perf_counter()
        results = analyze_sources(files, folder / kind, settings, executor=executor)
        assert [r.status for r in results] == ["complete"] * len(files), [r.message for r in results if r.message][:1]
        return time.perf_counter() - start


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("media", type=Path, nargs="+", help="pictures and short videos; links to them make the files")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    # Workers import this file by its name.
    here = Path(__file__).resolve().parent
    os.environ["PYTHONPATH"] = f"{here}:{here.parent / 'src'}:{os.environ.get('PYTHONPATH', '')}"
    set_up_libraries()
    starts: dict[str, float] = {}
    runs: dict[str, list[float]] = {"local": [], "ray": []}
    files: dict[str, list[float]] = {"local": [], "ray": []}
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for i in range(arguments.files):
            medium = arguments.media[i % len(arguments.media)].resolve()
            sources.append(Path(folder) / f"{i:03}-{medium.name}")
            sources[-1].symlink_to(medium)
        settings = Settings(report=True)
        # By turns: what else the machine does falls on both.
        for i in range(arguments.repeats):
            for kind in ("local", "ray"):
                runs[kind].append(time_runs(kind, arguments.runs, arguments.seconds, starts))
                files[kind].append(time_files(kind, sources, settings, Path(folder) / str(i)))
    run_s, file_s = ({kind: min(times) for kind, times in found.items()} for found in (runs, files))
    overhead = run_s["ray"] / run_s["local"] - 1
    ratio = file_s["local"] / file_s["ray"]
    write_result(
        "ray_overhead",
        {
            "workers": WORKERS,
            "runs": f"{arguments.runs} of {arguments.seconds:g} s of processor time",
            "runs_wall_s": {kind: [round(s, 2) for s in times] for kind, times in runs.items()},
            "overhead": round(overhead, 4),
            "files": f"{arguments.files}: {', '.join(path.name for path in arguments.media)}, by turns",
            "files_per_s": {kind: round(arguments.files / s, 3) for kind, s in file_s.items()},
            "files_ratio": round(ratio, 3),
            "start_s": starts,
            "bars": {
                "overhead of Ray <= 0.15": overhead <= 0.15,
                "files per second >= 0.9 of the pool's": ratio >= 0.9,
            },
        },
    )


if __name__ == "__main__":
    main()
