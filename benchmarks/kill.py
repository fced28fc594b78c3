"""Kill what writes, often, at random moments: is anything lost or half there?

Real processes are killed (SIGKILL) while they analyse, record a camera, record for a server, take an upload, import a
dataset, or do a study with its search. Bars: the earlier result or the new one is whole, every recording is finished by
the next command or the server's next start and has lost at most 5 s, an upload that was not answered leaves nothing, a
study ends with the figures of one that nobody disturbed. Jobs are killed by server_kill.py.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from common import create_parser, write_result
from server_kill import Server

LOST_S = 5.0
FAST = ("--detector", "own", "--no-report")
WAIT_S = 120.0


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path, help="a video of 30 s or more with a face")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS))
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    results = {}
    for kind in arguments.kinds.split(","):
        with tempfile.TemporaryDirectory() as name:
            rounds = [KINDS[kind](arguments.clip, Path(name) / str(i), chance) for i in range(arguments.rounds)]
        results[kind] = {"kills": len(rounds), "faults": [r["fault"] for r in rounds if r["fault"]]}
        lost = [r["lost_s"] for r in rounds if "lost_s" in r]
        results[kind] |= {"most_lost_s": max(lost), "shortest_s": min(r["lasted_s"] for r in rounds)} if lost else {}
        print(kind, results[kind], file=sys.stderr)
    bars = {f"{kind}: nothing lost": not result["faults"] for kind, result in results.items()}
    write_result("kill", {"clip": arguments.clip.name, "kinds": results, "bars": bars})


def start(*arguments: object) -> "subprocess.Popen[bytes]":
    """Start a command."""
    command = [sys.executable, "-m", "emoscope", *map(str, arguments)]
    environment = {**os.environ, "DISPLAY": ""}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()


def kill_analysis(clip: Path, folder: Path, chance: random.Random) -> dict[str, Any]:
    """Kill an analysis that replaces an earlier result."""
    from emoscope.analysis.calls import analyze_video
    from emoscope.analysis.result_folder import load_result
    from emoscope.core.manifest import Manifest, compute_mark

    out = folder / "out"
    earlier = analyze_video(clip, every=10, end=1, detector="own", report=False).save(out)
    old = load_result(earlier)[1].frames
    process = start("analyze", clip, "-o", out, *FAST, "--end", "1", "--every", "5")
    time.sleep(chance.uniform(0.5, 4.0))
    kill(process)
    frames = load_result(out)[1].frames
    manifest = Manifest.load(out)
    assert manifest is not None
    is_whole = all(compute_mark(out / name) == mark for name, mark in manifest.files.items())
    return {"fault": None if is_whole and frames >= old else f"{frames} frames, whole: {is_whole}"}


def kill_live(clip: Path, folder: Path, chance: random.Random) -> dict[str, Any]:
    """Kill the recording of a camera; the next command finishes it."""
    out = folder / "out"
    folder.mkdir()
    process = start("live", clip, "-o", out, *FAST, "--view", "none")
    stream = out / ".emoscope-working" / "new" / "observations.arrows"
    wait_for(lambda: stream.is_file() and stream.stat().st_size > 0)
    begun = time.monotonic()
    time.sleep(chance.uniform(3.0, 12.0))
    lasted_s = time.monotonic() - begun
    kill(process)
    done = subprocess.run(
        [sys.executable, "-m", "emoscope", "report", str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"fault": done.stderr, "lasted_s": lasted_s}
    summary = json.loads((out / "summary.json").read_bytes())
    return judge(summary, lasted_s)


def judge(summary: dict[str, Any], lasted_s: float) -> dict[str, Any]:
    lost_s = lasted_s - summary["duration_s"]
    fault = None if lost_s <= LOST_S and summary["frames"] else f"{lost_s:.1f} s of {lasted_s:.1f} s lost"
    return {"fault": fault, "lost_s": round(lost_s, 2), "lasted_s": round(lasted_s, 2)}


def kill_server_recording(clip: Path, folder: Path, chance: random.Random) -> dict[str, Any]:
    """Kill a server that records a live view; its next start finishes the recording."""
    import av
    import cv2
    from websockets.sync.client import connect

    with av.open(str(clip)) as container:
        image = next(container.decode(video=0)).to_ndarray(format="bgr24")
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    options = ("--detector", "own")
    with Server(folder, options) as server:
        url = str(server.client.base_url).replace("http", "ws").rstrip("/") + "/v1/live"
        with connect(url) as socket:
            socket.recv()
            socket.send('{"type": "record"}')
            end = chance.uniform(3.0, 12.0)
            begun = time.monotonic()
            while time.monotonic() - begun < end:
                socket.send(jpeg)
                socket.recv()
                time.sleep(0.03)
            lasted_s = time.monotonic() - begun
            server.process.kill()
            server.process.wait()
    with Server(folder, options) as server:
        jobs = server.client.get("/v1/jobs").json()["jobs"]
        if [job["state"] for job in jobs] != ["finished"] or jobs[0]["kind"] != "live":
            return {"fault": f"jobs: {jobs}", "lasted_s": lasted_s}
        return judge(server.client.get(jobs[0]["links"]["summary"]).json(), lasted_s)


def kill_upload(clip: Path, folder: Path, chance: random.Random) -> dict[str, Any]:
    """Kill a server that receives an upload."""
    with Server(folder, ("--detector", "own")) as server:

        def send() -> Any:
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
            data = clip.read_bytes()
            for i in range(0, len(data), 8192):
                yield data[i : i + 8192]
                time.sleep(0.01)

        def post() -> None:
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            with contextlib.suppress(httpx2.HTTPError):
                server.client.post("/v1/videos", content=send(), headers=headers)

        thread = threading.Thread(target=post, daemon=True)
        thread.start()
        wait_for(lambda: any((folder / "jobs").glob("*/*")))
        time.sleep(chance.uniform(0.0, 0.3))
        server.process.kill()
        server.process.wait()
        thread.join(WAIT_S)
    with Server(folder, ("--detector", "own")) as server:
        jobs = server.client.get("/v1/jobs").json()["jobs"]
        left = [path.name for path in (folder / "jobs").iterdir()]
        return {"fault": f"{jobs} {left}" if jobs or left else None}


def kill_import(clip: Path, folder: Path, chance: random.Random) -> dict[str, Any]:
    """Kill an import that replaces an earlier dataset."""
    from emoscope.study.data.dataset import Dataset

    path = folder / "faces.npz"
    run("data", "import", "synthetic", "-o", path, "--n", 700)
    process = start("data", "import", "synthetic", "-o", path, "--n", 7000)
    time.sleep(chance.uniform(0.3, 6.0))
    kill(process)
    n = len(Dataset.load(path).pixels)
    run("data", "import", "synthetic", "-o", path, "--n", 1400)
    again = len(Dataset.load(path).pixels)
    return {"fault": None if n in (700, 7000) and again == 1400 else f"{n}, then {again} faces"}


STUDY = """
name: killed
settings:
  {network: compact-tiny, protocol: thesis, epochs: 2, sizes_px: [24], size_shares: [1.0], precision: float32}
families: {only: {space: {learning_rate: [0.01, 0.05]}}}
search: {trials: 2, candidates: 2}
folds: 2
repeats: 2
"""


def kill_study(clip: Path, folder: Path, chance: random.Random) -> dict[str, Any]:
    """Kill a study at any of its phases; the same command ends it."""
    folder.mkdir()
    command, whole = prepare_study(folder / "files", folder / "out")
    process = start(*command)
    # The first seconds load PyTorch.
    time.sleep(chance.uniform(3.0, 3.0 + whole["seconds"]))
    kill(process)
    run(*command)
    figures = read_study(folder / "out")
    wrong = [name for name in {*figures, *whole["figures"]} if figures.get(name) != whole["figures"].get(name)]
    return {"fault": f"other figures: {sorted(wrong)}" if wrong else None}


def prepare_study(files: Path, out: Path) -> tuple[tuple[object, ...], dict[str, Any]]:
    """Return the command of a study into `out`, and what it gives where nobody disturbs it."""
    files.mkdir()
    (files / "killed.yaml").write_text(STUDY)
    run("data", "import", "synthetic", "-o", files / "faces.npz", "--n", 420)
    command = ("study", "run", files / "killed.yaml", "--data", files / "faces.npz", "-o")
    if not UNDISTURBED:
        begun = time.monotonic()
        run(*command, files / "undisturbed")
        seconds = time.monotonic() - begun
        UNDISTURBED.update(seconds=seconds, figures=read_study(files / "undisturbed"))
    return (*command, out), UNDISTURBED


UNDISTURBED: dict[str, Any] = {}
"""Found by the first round."""


def read_study(folder: Path) -> dict[str, object]:
    """Return what a study says, by file: its results, weights and predictions."""
    from emoscope.core.files import compute_sha256

    results = {"results.json": json.loads((folder / "results.json").read_bytes())}
    kept = [path for path in folder.glob("runs/*/[!.]*") if path.suffix in (".npz", ".safetensors")]
    return results | {str(path.relative_to(folder)): compute_sha256(path) for path in kept}


def run(*arguments: object) -> None:
    """Run a command to its end."""
    command = [sys.executable, "-m", "emoscope", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


KINDS = {
    "analyze": kill_analysis,
    "live": kill_live,
    "server recording": kill_server_recording,
    "upload": kill_upload,
    "import": kill_import,
    "study": kill_study,
}

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
