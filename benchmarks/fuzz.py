"""Read thousands of mutated media files of each kind.

Bar: no crash, no hang over 10 s, no traceback, no growing memory. A truncated file whose index is in front must also
give every frame before the cut, with its time, and say that it is cut.
Workers read many files each and are watched: one that dies or takes too long is killed and begun anew behind the file.
A finding is made again by `--seed SEED --only KIND:NUMBER`, which also keeps the file.
"""

import contextlib
import itertools
import json
import os
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np

from common import create_parser, write_result
from mutate import KINDS, TRUNCATIONS_THAT_KEEP_THE_INDEX, create_seeds, mutate

HANG_S = 10.0
START_S = 120.0
"""A worker that has not read its first file by then is not slow, it is broken."""
WHOLE_EVERY = 20
"""Every so many files go through the whole of analyze, into a folder of results."""
MEMORY_LIMIT = 4 << 30
"""Bytes of address space beyond which a worker's allocations fail, so that a bomb does not take the machine along."""
UNSURE_FRAMES = 3
"""The last frames before a cut may lack a part, or one that is stored later but shown earlier."""


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--count", type=int, default=5000, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", metavar="KIND:NUMBER", help="read one file here and keep it")
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "FIRST", "LAST"), help="used by the benchmark itself")
    arguments = parser.parse_args()
    if arguments.worker:
        kind, first, last = arguments.worker
        work(kind, int(first), int(last), arguments.seed)
    elif arguments.only:
        kind, number = arguments.only.split(":")
        seeds = create_seeds()
        name, change, data = mutate(seeds, kind, arguments.seed, int(number))
        path = Path(f"fuzz-{arguments.seed}-{number}.{kind}")
        path.write_bytes(data)
        print(name, change, path, read(path, seeds[kind][name], name, change, is_whole=True))
    else:
        run(arguments)


def work(kind: str, first: int, last: int, seed: int) -> None:
    """Read files one after the other; a line of JSON for each on stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    seeds = create_seeds()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            name, change, data = mutate(seeds, kind, seed, number)
            path = Path(folder) / f"x.{kind}"
            path.write_bytes(data)
            start = time.perf_counter()
            outcome = read(path, seeds[kind][name], name, change, number % WHOLE_EVERY == 0)
            line = {"number": number, "name": name, "change": change, **outcome}
            line["s"] = round(time.perf_counter() - start, 3)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            line["memory_mb"] = pages * resource.getpagesize() >> 20
            print(json.dumps(line), flush=True)


def read(path: Path, whole: bytes, name: str, change: str, is_whole: bool) -> dict[str, Any]:
    """Read a file as emoscope does; return the outcome and what was wrong with it, if anything."""
    from emoscope.core.errors import EmoscopeError
    from emoscope.media.find import find_sources

    frames, problems, outcome = [], [], "read"
    try:
        [source] = find_sources([path])
        frames = [(frame.time_s, zlib.crc32(np.ascontiguousarray(frame.image))) for frame in source]
        problems = source.problems
        outcome = "incomplete" if problems else "read"
        if is_whole:
            analyze(path)
    except EmoscopeError as e:
        problems, outcome = [str(e)], "refused"
    except Exception as e:
        return {"outcome": "traceback", "finding": f"{type(e).__name__}: {e}"}
    finding = next((f"more than a line: {text!r}" for text in problems if "\n" in text), None)
    if change == "truncate" and any(word in name for word in TRUNCATIONS_THAT_KEEP_THE_INDEX):
        finding = finding or judge_cut(path, whole, frames, problems)
    return {"outcome": outcome, "frames": len(frames), "finding": finding, "said": problems[:1]}


def analyze(path: Path) -> None:
    """Run the whole of analyze on a file; a failure that escapes is a finding."""
    from emoscope.analysis.many import analyze_sources
    from emoscope.analysis.settings import Settings

    analyze_sources([path], path.parent / "out", Settings(detector="own"))


def judge_cut(path: Path, whole: bytes, frames: list[tuple[float, int]], problems: list[str]) -> str | None:
    """Compare the frames of a cut file with those of the whole one; return what is wrong."""
    expected = decode_plainly(whole, path.suffix)
    n_plain = len(decode_plainly(path.read_bytes(), path.suffix))
    if len(frames) < n_plain:
        return f"{len(frames)} frames, a plain decode gives {n_plain}"
    sure = max(0, len(frames) - UNSURE_FRAMES)
    if frames[:sure] != expected[:sure]:
        return "its frames are not the first ones of the whole file"
    if not {time_s for time_s, _ in frames} <= {time_s for time_s, _ in expected}:
        return "it has frames at times at which the whole file has none"
    # Cut right in front of a fragment, a file is whole by its own rules.
    is_whole = whole[path.stat().st_size + 4 :][:4] == b"moof"
    if len(frames) < len(expected) and not problems and not is_whole:
        return f"{len(frames)} of {len(expected)} frames, and nothing is said"
    return None


def decode_plainly(data: bytes, suffix: str) -> list[tuple[float, int]]:
    """Return time and checksum of each frame that PyAV gives, one thread, up to the first error."""
    frames: list[tuple[float, int]] = []
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        Path(file.name).write_bytes(data)
        with contextlib.suppress(av.FFmpegError, OSError, ValueError, IndexError), av.open(file.name) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            # extend() keeps what came before an error.
            frames.extend(
                (float(picture.time or 0), zlib.crc32(np.ascontiguousarray(picture.to_ndarray(format="bgr24"))))
                for picture in container.decode(stream)
            )
    return frames


class Worker:
    """A watched subprocess that reads a stretch of files."""

    def __init__(self, kind: str, first: int, last: int, seed: int) -> None:
        self.kind, self.next, self.last, self.seed = kind, first, last, seed
        self.lines: list[dict[str, Any]] = []

    def run(self) -> None:
        """Read all files, however often the subprocess must be begun anew."""
        while self.next < self.last:
            self._run_once()

    def _run_once(self) -> None:
        command = [sys.executable, __file__, "--seed", str(self.seed)]
        command += ["--worker", self.kind, str(self.next), str(self.last)]
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
            said: queue.Queue[str] = queue.Queue()
            threading.Thread(target=_pass_on, args=(process, said), daemon=True).start()
            limit_s, finding = START_S, None
            while finding is None and self.next < self.last:
                try:
                    text = said.get(timeout=limit_s)
                except queue.Empty:
                    finding = "hang"
                    break
                if not text:
                    finding = f"crash ({process.wait()})"
                    break
                self.lines.append(json.loads(text))
                self.next, limit_s = self.lines[-1]["number"] + 1, HANG_S
            process.kill()
            process.wait()
            errors.seek(0)
            text = errors.read()
        if finding:
            _, change, _ = mutate(create_seeds(), self.kind, self.seed, self.next)
            detail = " ".join(text.split())[-300:]
            self.lines.append(
                {"number": self.next, "change": change, "outcome": finding, "finding": f"{finding} {detail}"}
            )
            self.next += 1
        elif "Traceback" in text:
            self.lines.append({"number": -1, "outcome": "traceback", "finding": " ".join(text.split())[-300:]})


def _pass_on(process: "subprocess.Popen[str]", said: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        said.put(line)
    said.put("")


def run(arguments: Namespace) -> None:
    results = {}
    for kind in arguments.kinds.split(","):
        start = time.perf_counter()
        edges = [arguments.count * i // arguments.workers for i in range(arguments.workers + 1)]
        workers = [Worker(kind, a, b, arguments.seed) for a, b in itertools.pairwise(edges) if b > a]
        threads = [threading.Thread(target=worker.run) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        results[kind] = summarise(workers, time.perf_counter() - start)
        print(kind, json.dumps(results[kind]), file=sys.stderr)
    everything = [finding for result in results.values() for finding in result["findings"]]
    words = [finding["finding"] for finding in everything]
    write_result(
        "fuzz",
        {
            "files_per_kind": arguments.count,
            "kinds": results,
            "bars": {
                "no crash": not any(word.startswith("crash") for word in words),
                "no hang over 10 s": not any(word.startswith("hang") for word in words),
                "no traceback, no other finding": not words,
                "memory grows less than 100 MB": all(r["memory_growth_mb"] < 100 for r in results.values()),
            },
        },
    )
    sys.exit(bool(everything))


def summarise(workers: list[Worker], wall_s: float) -> dict[str, Any]:
    lines = [line for worker in workers for line in worker.lines]
    growth = [0]
    for worker in workers:
        memory = [line["memory_mb"] for line in worker.lines if "memory_mb" in line]
        # The first half loads libraries and fills caches.
        settled = memory[len(memory) // 2 :]
        growth.append(settled[-1] - settled[0] if settled else 0)
    return {
        "files": sum(line["number"] >= 0 for line in lines),
        "outcomes": dict(Counter(line["outcome"] for line in lines)),
        "slowest_s": max(line.get("s", 0) for line in lines),
        "memory_mb": max(line.get("memory_mb", 0) for line in lines),
        "memory_growth_mb": max(growth),
        "wall_s": round(wall_s, 1),
        "findings": [
            {key: line[key] for key in ("number", "name", "change", "finding") if key in line}
            for line in lines
            if line.get("finding")
        ],
    }


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
