"""Kill a server while ten videos are read, start it again, twenty times: is any job lost, or done twice?

A real `emoscope serve` gets a clip ten times over and is killed (SIGKILL) after a random time; the next one must bring
each job to an end, with one whole result or a reason. The clip is repeated, so that few jobs end before that. Bars: no
job lost, none unended, none without result or reason, none with files of two results, no file of an upload left, and no
process of a killed server alive.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2

from common import create_parser, repeat_clip, write_result

N_JOBS = 10
WAIT_S = 300.0


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=4, help="how often the clip is repeated")
    parser.add_argument("--workers", type=int, default=N_JOBS, help="videos read at the same time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        clip = repeat_clip(arguments.clip, arguments.repeat, Path(name) / "clip.mp4")
        options = ("--workers", str(arguments.workers))
        counts = kill_often(clip, Path(name), arguments.rounds, options, arguments.seed)
    bars = {name: counts[name] == 0 for name in FAULTS}
    write_result(
        "server_kill",
        {"clip": f"{arguments.clip.name}, {arguments.repeat} times", "jobs_per_round": N_JOBS, **counts, "bars": bars},
    )


FAULTS = ("lost", "unended", "without_result_or_reason", "doubled", "leftover_files", "living_orphans")


def kill_often(clip: Path, folder: Path, rounds: int, options: tuple[str, ...] = (), seed: int = 0) -> dict[str, Any]:
    """Return what became of the jobs of all rounds, and the faults among it."""
    chance = random.Random(seed)
    totals: dict[str, Any] = {
        "rounds": rounds,
        "finished": 0,
        "failed": 0,
        "begun_again": 0,
        **dict.fromkeys(FAULTS, 0),
    }
    totals["states_at_death"] = {"queued": 0, "running": 0, "finished": 0, "failed": 0}
    for i in range(rounds):
        data = folder / str(i)
        with Server(data, options) as server:
            sent = [server.send(clip) for _ in range(N_JOBS)]
            # From the first steps of the first job to nearly the end of the last.
            time.sleep(chance.uniform(0.0, 3.0))
            workers = server.list_workers()
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        for job in read_records(data):
            totals["states_at_death"][job["state"]] += 1
        with Server(data, options) as server:
            totals["living_orphans"] += sum(is_alive(pid) for pid in workers)
            for name, n in check_jobs(server, data, sent).items():
                totals[name] += n
    return totals


class Server:
    """A real server on a data folder, which ends with the block."""

    def __init__(self, data: Path, options: tuple[str, ...]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "emoscope", "serve", "--port", str(port), "--data", str(data), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        end = time.monotonic() + WAIT_S
        while True:
            try:
                self.client.get("/healthz").raise_for_status()
                return
            except httpx2.HTTPError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait()

    def send(self, clip: Path) -> str:
        """Upload a clip and return its job."""
        with clip.open("rb") as file:
            answer = self.client.post("/v1/videos", files={"file": (clip.name, file)}, data={"thumbnails": "clear"})
        answer.raise_for_status()
        return str(answer.json()["id"])

    def list_workers(self) -> list[int]:
        """Return the processes that read videos for this server."""
        found = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = place.read_text()
                command = place.with_name("cmdline").read_bytes()
            except OSError:
                continue
            # The parent's number is the second value behind the name, which stands in brackets.
            if (
                int(text.rpartition(")")[2].split()[1]) == self.process.pid
                and b"emoscope.server.jobs.worker" in command
            ):
                found.append(int(place.parent.name))
        return found


def is_alive(pid: int) -> bool:
    """Tell whether a process still runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def check_jobs(server: Server, data: Path, sent: list[str]) -> dict[str, int]:
    """Wait for the end of all jobs and count what is wrong with them."""
    counts = dict.fromkeys((*FAULTS, "finished", "failed", "begun_again"), 0)
    end = time.monotonic() + WAIT_S
    jobs: dict[str, Any] = {}
    while time.monotonic() < end:
        jobs = {job["id"]: job for job in server.client.get("/v1/jobs").json()["jobs"]}
        if all(job["state"] in ("finished", "failed") for job in jobs.values()):
            break
        time.sleep(0.3)
    counts["lost"] = len(set(sent) - set(jobs))
    counts["doubled"] = len(set(jobs) - set(sent))
    for job in jobs.values():
        counts["unended"] += job["state"] not in ("finished", "failed")
        if job["state"] == "failed":
            counts["failed"] += 1
            counts["without_result_or_reason"] += not job["message"]
        elif job["state"] == "finished":
            counts["finished"] += 1
            lines = server.client.get(job["links"]["observations.csv"]).text.splitlines()[1:]
            # Frame and person: a row that stands there twice was written twice.
            rows = [(line.split(",")[1], line.split(",")[3]) for line in lines]
            n_frames = server.client.get(job["links"]["summary"]).json()["frames"]
            is_whole = len({frame for frame, _ in rows}) == n_frames and "report" in job["links"]
            counts["without_result_or_reason"] += not is_whole
            counts["doubled"] += len(set(rows)) != len(rows)
    found = {str(path.relative_to(data / "jobs")) for path in (data / "jobs").rglob("*")}
    counts["leftover_files"] = sum("upload" in name or ".incomplete" in name for name in found)
    counts["begun_again"] = sum(job["attempts"] > 1 for job in read_records(data))
    return counts


def read_records(data: Path) -> list[dict[str, Any]]:
    """Return what the jobs' folders say, without being a server."""
    return [json.loads(path.read_bytes()) for path in (data / "jobs").glob("*/job.json")]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
