"""What every benchmark shares: its arguments, and results written with command, machine, date and commit."""

import argparse
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def run_git(*arguments: str) -> str:
    """Return what a git command prints in this repository; nothing outside a checkout."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def describe_run() -> dict[str, Any]:
    """Return command, date, commit and machine."""
    commit = run_git("describe", "--always")
    # Results themselves change from one benchmark to the next; only other changes make a commit's figure doubtful.
    if run_git("status", "--porcelain", "--", ".", ":!results"):
        commit += "-dirty"
    cpuinfo = Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
    ]
    name = Path(sys.argv[0]).name
    return {
        "command": shlex.join(["python", f"benchmarks/{name}", *(_hide(a) for a in sys.argv[1:])]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "machine": f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    }


def _hide(argument: str) -> str:
    # Results are for everyone: file names matter, the folders they lay in do not.
    return Path(argument).name if "/" in argument else argument


def write_result(name: str, values: dict[str, Any]) -> None:
    """Print a result and write it to results/NAME.json."""
    document = {**describe_run(), **values}
    print(json.dumps(document, indent=2))
    (ROOT / "results" / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


LAUNCH = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
taken = time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
print(json.dumps([os.waitstatus_to_exitcode(status), *taken]))
"""


def measure_process(
    command: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> dict[str, float]:
    """Run a command to its end; return wall_s, processor_s and the most memory_mb that it took.

    A small process starts it: Linux counts the memory of the process that starts another as that one's, too.
    """
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCH, *command]
    done = subprocess.run(launcher, stdout=subprocess.PIPE, text=True, check=True, env=env, cwd=cwd)
    code, *taken = json.loads(done.stdout)
    if code:
        sys.exit(f"{shlex.join(command)} ended with {code}")
    return dict(zip(("wall_s", "processor_s", "memory_mb"), taken, strict=True))


def create_parser(text: str | None) -> argparse.ArgumentParser:
    """Return a parser with a benchmark's docstring as its help."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def repeat_clip(clip: Path, n: int, path: Path) -> Path:
    """Write a clip's video n times in a row, packet by packet, without encoding it anew."""
    import av

    with av.open(str(path), "w", options={"movflags": "+faststart"}) as out:
        target, offset = None, 0
        for _ in range(n):
            with av.open(str(clip)) as container:
                stream = container.streams.video[0]
                target = target or out.add_stream_from_template(stream)
                end = 0
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, packet.pts + packet.duration)
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = target
                    out.mux(packet)
                offset += end
    return path
