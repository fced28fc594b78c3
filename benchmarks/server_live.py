"""Send a clip to the live socket of a real server process, as one client and as four at the same time.

Frames are 640 x 480 JPEGs of quality 80, as the page sends them; at most two are on their way, and no more than 30 come
in a second, a camera's rate. Bars for one client: 25 observations a second, a median round trip of 60 ms. For four:
none gets less than half of its quarter, and the server's memory grows by no more than 10 MB from the beginning, after
the first tenth of the time, to the end.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import websockets

from common import create_parser, write_result

SIZE_WH = 640, 480
CAMERA_PER_S = 30
MAX_ON_THEIR_WAY = 2
WARM_S = 2.0
"""Not counted: loading detector and network, the first full looks."""
MEMORY_MB = 10.0


@dataclass
class Client:
    """What one client saw."""

    end: float
    sent: int = 0
    settled: int = 0
    trips_s: list[float] = field(default_factory=list)
    faces: int = 0
    sent_at: dict[int, float] = field(default_factory=dict)

    async def run(self, address: str, frames: list[bytes], counted_from: float) -> None:
        """Send frames until the end and take the answers."""
        async with websockets.connect(address, compression=None, max_size=None) as connection:
            hello = json.loads(await connection.recv())
            assert hello["type"] == "hello", hello
            reader = asyncio.create_task(self.read(connection, counted_from))
            due = time.monotonic()
            while (now := time.monotonic()) < self.end:
                due = max(due + 1 / CAMERA_PER_S, now)
                if self.sent - self.settled < MAX_ON_THEIR_WAY:
                    self.sent_at[self.sent] = time.monotonic()
                    await connection.send(frames[self.sent % len(frames)])
                    self.sent += 1
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            reader.cancel()

    async def read(self, connection: Any, counted_from: float) -> None:
        """Take answers."""
        async for text in connection:
            now, answer = time.monotonic(), json.loads(text)
            assert answer["type"] == "observations", answer
            begun = self.sent_at[answer["frame"]]
            for frame in range(self.settled, answer["frame"] + 1):
                del self.sent_at[frame]
            self.settled = answer["frame"] + 1
            if now >= counted_from:
                self.trips_s.append(now - begun)
                self.faces += len(answer["faces"])


async def measure(port: int, frames: list[bytes], n_clients: int, seconds: float, pid: int) -> dict[str, Any]:
    """Return rates, round trips and memory of so many clients."""
    begin = time.monotonic()
    clients = [Client(begin + WARM_S + seconds) for _ in range(n_clients)]
    running = [
        asyncio.create_task(client.run(f"ws://127.0.0.1:{port}/v1/live", frames, begin + WARM_S)) for client in clients
    ]
    memory: list[float] = []
    while not all(task.done() for task in running):
        memory.append(read_memory_mb(pid))
        await asyncio.sleep(min(1.0, seconds / 20))
    await asyncio.gather(*running)
    rates = [len(client.trips_s) / seconds for client in clients]
    trips_ms = sorted(1000 * trip for client in clients for trip in client.trips_s)
    settled = memory[len(memory) // 10 + 2 :] or memory
    return {
        "clients": n_clients,
        "seconds": seconds,
        "observations_per_s": round(sum(rates), 1),
        "per_client_per_s": [round(rate, 1) for rate in rates],
        "round_trip_median_ms": round(statistics.median(trips_ms), 1),
        "round_trip_p99_ms": round(trips_ms[int(0.99 * len(trips_ms))], 1),
        "frames_with_a_face": round(sum(c.faces for c in clients) / max(1, len(trips_ms)), 3),
        "memory_mb": round(settled[-1], 1),
        # Medians of the first and the last fifth rather than two single looks: allocators breathe.
        "memory_growth_mb": round(
            statistics.median(settled[-max(1, len(settled) // 5) :])
            - statistics.median(settled[: max(1, len(settled) // 5)]),
            1,
        ),
    }


def read_memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def load_frames(clip: Path, n: int = 240) -> list[bytes]:
    """Return the first frames of a clip as the page would send them: cut to the size's shape, JPEG of quality 80."""
    frames = []
    with av.open(str(clip)) as container:
        for picture in container.decode(video=0):
            image = picture.to_ndarray(format="bgr24")
            h, w = image.shape[:2]
            width = min(w, round(h * SIZE_WH[0] / SIZE_WH[1]))
            # A face on the left or in the middle stays in the picture.
            image = cv2.resize(image[:, :width], SIZE_WH, interpolation=cv2.INTER_AREA)
            frames.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())
            if len(frames) == n:
                break
    return frames


def start_server(port: int, data: Path) -> subprocess.Popen[bytes]:
    """Start a server and wait until it answers."""
    command = [sys.executable, "-m", "emoscope", "serve", "--port", str(port), "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return process
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise SystemExit("the server does not start")


def judge(one: dict[str, Any], four: dict[str, Any]) -> dict[str, bool]:
    """Return the bars and whether they are reached."""
    fair = four["observations_per_s"] / four["clients"] / 2
    return {
        "one client: >= 25 observations a second": one["observations_per_s"] >= 25,
        "one client: median round trip <= 60 ms": one["round_trip_median_ms"] <= 60,
        "four clients: none starves": min(four["per_client_per_s"]) >= fair,
        f"four clients: memory grows <= {MEMORY_MB:g} MB": four["memory_growth_mb"] <= MEMORY_MB,
    }


def run(arguments: argparse.Namespace) -> None:
    """Measure and write the result."""
    frames = load_frames(arguments.clip)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(port, Path(folder) / "data")
        try:
            one = asyncio.run(measure(port, frames, 1, min(60.0, 60 * arguments.minutes), server.pid))
            four = asyncio.run(measure(port, frames, 4, 60 * arguments.minutes, server.pid))
        finally:
            server.terminate()
            server.wait()
    facts = {"clip": arguments.clip.name, "frame_kb": round(sum(map(len, frames)) / len(frames) / 1000, 1)}
    write_result("server_live", {**facts, "one": one, "four": four, "bars": judge(one, four)})


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, default=10, help="how long four clients send")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
