"""Take a server's connections away from everyone, from one client that never signs in.

1,000 request heads that never end, and 100 uploads that send a byte a second. Bars: `/healthz` answers within 1 s
throughout, the log grows by at most 10 kB/s, each connection is closed within 30 s,
the right token passes after 21 wrong ones, and while the slow uploads last another picture is read and a video taken.
"""

import contextlib
import json
import resource
import socket
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import cv2

from common import create_parser, write_result
from serving import BOUNDARY, Server, create_portrait, create_upload, open_server

TOKEN = "right"
HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
WATCHED_S = 45.0
SLOW_S = 10.0


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path, help="a short video")
    parser.add_argument("--heads", type=int, default=1000)
    parser.add_argument("--uploads", type=int, default=100)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        with open_server(Path(name) / "data", "--token", TOKEN, log=log) as server:
            values = {**try_heads(server, log, arguments.heads), **try_tokens(server)}
            values |= try_uploads(server, arguments.uploads, arguments.clip)
    bars = {
        "healthz within 1 s": values["healthz_slowest_s"] <= 1.0,
        "log at most 10 kB/s": values["log_kb_per_s"] <= 10,
        "closed within 30 s": values["all_closed_after_s"] <= 30,
        "the right token passes": values["after_wrong_tokens"] == 200,
        "another upload is taken": values["picture_meanwhile"] == 200 and values["video_meanwhile"] == 202,
    }
    write_result("server_sockets", {"heads": arguments.heads, "uploads": arguments.uploads, **values, "bars": bars})


def try_heads(server: Server, log: Path, n: int) -> dict[str, Any]:
    """Hold half-sent heads, and ask meanwhile how the server is."""
    size, begun = log.stat().st_size, time.monotonic()
    held, slowest_s = [connect(server, HEAD) for _ in range(n)], 0.0
    closed_s = WATCHED_S
    while (now := time.monotonic() - begun) < WATCHED_S:
        asked = time.monotonic()
        assert ask(server, "/healthz") == 200
        slowest_s = max(slowest_s, time.monotonic() - asked)
        if closed_s == WATCHED_S and count_open(held) == 0:
            closed_s = now
        time.sleep(0.2)
    still_open = count_open(held)
    close(held)
    return {
        "healthz_slowest_s": round(slowest_s, 3),
        "log_kb_per_s": round((log.stat().st_size - size) / 1000 / (time.monotonic() - begun), 2),
        "still_open": still_open,
        "all_closed_after_s": round(closed_s, 1),
    }


def try_tokens(server: Server) -> dict[str, Any]:
    """Sign in wrongly, then rightly."""
    wrong = [ask(server, "/v1/jobs", "wrong") for _ in range(21)]
    return {"wrong_tokens": sorted(set(wrong)), "after_wrong_tokens": ask(server, "/v1/jobs", TOKEN)}


def try_uploads(server: Server, n: int, clip: Path) -> dict[str, Any]:
    """Send uploads a byte a second, with the token, and others at once meanwhile."""
    jpeg = cv2.imencode(".jpg", create_portrait())[1].tobytes()
    whole = authorize(create_upload(clip.read_bytes(), server.port, "slow.mp4", "video/mp4", "/v1/videos"))
    head = whole.index(b"\r\n\r\n") + 300
    held, statuses = [connect(server, whole[:head]) for _ in range(n)], {}
    begun, at = time.monotonic(), head
    while time.monotonic() - begun < SLOW_S:
        time.sleep(1)
        at += 1
        for slow in held:
            with contextlib.suppress(OSError):
                slow.sendall(whole[at - 1 : at])
        if at == head + 3:
            statuses["picture_meanwhile"] = post(server, jpeg, "one.jpg", "image/jpeg", "/v1/images")
            statuses["video_meanwhile"] = post(server, clip.read_bytes(), "one.mp4", "video/mp4", "/v1/videos")
    n_open = count_open(held)
    close(held)
    return {**statuses, "slow_uploads_open_after_10_s": n_open}


def authorize(request: bytes) -> bytes:
    return request.replace(b"\r\n", f"\r\nAuthorization: Bearer {TOKEN}\r\n".encode(), 1)


def connect(server: Server, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    with contextlib.suppress(OSError):
        connection.sendall(data)
    connection.setblocking(False)
    return connection


def count_open(connections: list[socket.socket]) -> int:
    """Return how many the server has not closed; what it answers before is read away."""
    n = 0
    for connection in connections:
        try:
            while connection.recv(65536):
                pass
        except BlockingIOError:
            n += 1
        except OSError:
            pass
    return n


def close(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()


def ask(server: Server, path: str, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return send(urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers))


def post(server: Server, data: bytes, name: str, kind: str, path: str) -> int:
    body = create_upload(data, server.port, name, kind, path).split(b"\r\n\r\n", 1)[1]
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    return send(urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body, headers))


def send(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            json.load(answer)
            return int(answer.status)
    except urllib.error.HTTPError as e:
        return e.code


if __name__ == "__main__":
    main()
