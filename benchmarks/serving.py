"""A real server process for benchmarks, and HTTP/1.1 by hand: a client library would need the cores it measures."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

START_S = 60.0
BOUNDARY = "emoscope-benchmark"


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: "subprocess.Popen[bytes]"


@contextlib.contextmanager
def open_server(data: Path, *arguments: str, log: Path | None = None, **environment: str) -> Iterator[Server]:
    """Start `emoscope serve` on a free port and wait until it answers; end it with the block.

    Args:
        data: its folder.
        arguments: further ones of the command.
        log: takes what it says; this process's stderr by default.
        environment: added to this process's.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "emoscope", "serve", "--port", str(port), "--data", str(data), *arguments]
    with open(os.devnull if log is None else log, "wb") as file:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=log and file, env={**os.environ, **environment}
        )
    try:
        wait_for(port, process)
        yield Server(port, process)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
            return
        time.sleep(0.1)
    raise SystemExit(f"the server did not start (exit code {process.poll()})")


def create_upload(
    data: bytes, port: int, name: str = "picture.jpg", kind: str = "image/jpeg", path: str = "/v1/images"
) -> bytes:
    """Return a whole request that posts a file."""
    field = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    head = f"--{BOUNDARY}\r\n{field}\r\nContent-Type: {kind}\r\n\r\n"
    body = head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    ).encode() + body


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    """Send a request over an open connection; return status and body."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(head[9:12]), await reader.readexactly(int(lengths[0]) if lengths else 0)


def create_portrait(width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """Return a picture with one face, Eileen Collins (NASA, public domain)."""
    from mutate import read_portraits

    canvas = np.full((height, width, 3), 90, np.uint8)
    face = cv2.resize(read_portraits()[0], (width // 2, height // 2), interpolation=cv2.INTER_CUBIC)
    canvas[height // 4 : height // 4 + face.shape[0], width // 4 : width // 4 + face.shape[1]] = face
    return canvas
