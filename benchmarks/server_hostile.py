"""Send a real server what no honest client sends.

2,000 cases that schemathesis makes from the OpenAPI document, half of them against it, and 1,000 hostile uploads:
mutated and truncated pictures, bombs, polyglots, wrong types, names that climb out of folders, broken forms.
Bars: no answer of 5xx, none that is not documented, no crash of the server, no hang over 30 s, no file left behind.
"""

import asyncio
import json
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from common import create_parser, write_result
from conform import Conformance, check
from mutate import Random, create_seeds, mutate
from serving import BOUNDARY, create_upload, exchange, open_server

HANG_S = 30.0
DOCUMENTED = frozenset({200, 202, 400, 408, 413, 415, 422})
NAMES = (
    "../../../../etc/passwd",
    "..\\\\..\\\\windows\\\\win.ini",
    "/etc/shadow",
    "C:\\\\boot.ini",
    "x.jpg%00.php",
    "a" * 5000,
    "~root/.ssh/id_rsa",
    ".",
    "con.jpg",
    "\u202egpj.exe",
    "$(touch leftover)",
)


def create_bomb(width: int, height: int, colour: int = 2) -> bytes:
    """Return a PNG of zeros that announces so many pixels and holds the beginning of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, colour, 0, 0, 0])
    data = zlib.compress(bytes(4_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def create_hostile(random: Random, seeds: dict[str, dict[str, bytes]], which: int, path: str) -> tuple[str, bytes]:
    """Return what kind of attack it is, and the file."""
    pictures = [data for kind in ("jpg", "png", "webp") for data in seeds[kind].values()]
    picture = pictures[random.integers(0, len(pictures))]
    kind = ("mutated", "mutated", "mutated", "truncated", "bomb", "announced", "polyglot", "type", "noise")[which]
    if kind == "mutated":
        media = ("jpg", "png", "webp") if path == "/v1/images" else ("mp4", "webm", "gif")
        return kind, mutate(seeds, str(random.choice(media)), 0, int(random.integers(0, 1 << 30)))[2]
    if kind == "truncated":
        return kind, picture[: random.integers(0, len(picture))]
    if kind == "bomb":
        side = int(random.choice([7000, 8191, 8192, 20_000, 65_535, 2_000_000_000]))
        return kind, create_bomb(side, int(random.choice([1, 100, side])))
    if kind == "announced":
        data = bytearray(picture)
        at = data.find(b"\xff\xc0")
        place = at + 5 if at >= 0 else 24 if data[:4] == b"RIFF" else 16
        data[place : place + 4] = random.bytes(4)
        return kind, bytes(data)
    if kind == "polyglot":
        tails = (
            b"PK\x03\x04" + random.bytes(500),
            b"<script>alert(1)</script>",
            seeds["mp4"]["faststart small"],
            b"%PDF-1.7",
        )
        return kind, picture + tails[random.integers(0, len(tails))]
    if kind == "type":
        others = [
            *seeds["mp4"].values(),
            *seeds["gif"].values(),
            b"<svg/>",
            b"%PDF-1.7\n",
            b"MZ" + bytes(99),
            b"#!/bin/sh",
        ]
        return kind, others[random.integers(0, len(others))]
    return kind, picture[: int(random.integers(2, 12))] + random.bytes(int(random.integers(0, 100_000)))


def break_form(request: bytes, random: Random) -> bytes:
    """Return a request whose form is damaged and whose length is right."""
    head, body = request.split(b"\r\n\r\n", 1)
    change = random.integers(0, 4)
    if change == 0:
        body = body[: len(body) - 20]
    elif change == 1:
        body = body.replace(b"Content-Disposition", b"Content-Disposition: x\r\n" * 50 + b"Content-Disposition", 1)
    elif change == 2:
        body = body.replace(BOUNDARY.encode(), b"another", 1)
    else:
        body = body.replace(b'name="file"', b'name="file"; name="other"; filename*=UTF-8\'\'%2e%2e%2fx', 1)
    lines = [
        f"Content-Length: {len(body)}".encode() if x.startswith(b"Content-Length") else x for x in head.split(b"\r\n")
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def upload(port: int, n: int, seed: int) -> tuple[Counter[str], list[str], float]:
    """Send hostile uploads one by one; return outcomes by kind, findings and the longest time."""
    random, seeds = np.random.default_rng(seed), create_seeds()
    outcomes: Counter[str] = Counter()
    findings: list[str] = []
    slowest_s = 0.0
    for number in range(n):
        path = "/v1/images" if number % 3 else "/v1/videos"
        kind, data = create_hostile(random, seeds, random.integers(0, 9), path)
        name = NAMES[number % len(NAMES)] if number % 2 else "picture.jpg"
        claimed = str(random.choice(["image/jpeg", "text/html", "video/mp4", ""]))
        request = create_upload(data, port, name, claimed, path)
        if number % 10 == 0:
            kind, request = "broken form", break_form(request, random)
        start = time.perf_counter()
        try:
            async with asyncio.timeout(HANG_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                status, body = await exchange(reader, writer, request)
                if status == 202:
                    await delete(reader, writer, json.loads(body)["id"])
                writer.close()
        except (OSError, EOFError, TimeoutError) as e:
            findings.append(f"{number} {kind}: {type(e).__name__}")
            continue
        slowest_s = max(slowest_s, time.perf_counter() - start)
        outcomes[f"{path} {kind} {status}"] += 1
        if status not in DOCUMENTED or b"Traceback" in body or b"/src/" in body or not is_json(body):
            findings.append(f"{number} {kind}: {status} {body[:200]!r}")
    return outcomes, findings, slowest_s


async def delete(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, job: str) -> None:
    """Let a video that was taken be read for a moment, then delete it."""
    await asyncio.sleep(0.2)
    status, _ = await exchange(reader, writer, f"DELETE /v1/jobs/{job} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    if status != 204:
        raise OSError(f"deletion was answered with {status}")


def is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def list_files(*folders: Path) -> set[str]:
    """Return all files below folders, but for the list of jobs, which is the server's own."""
    paths = (path for folder in folders for path in folder.rglob("*"))
    return {str(path) for path in paths if path.is_file() and ".sqlite" not in path.name and ".db" not in path.name}


def wait_for_no_files(before: set[str], *folders: Path) -> list[str]:
    """Return the files that are still left when jobs that were deleted have had time to end."""
    for _ in range(100):
        if not (left := list_files(*folders) - before):
            break
        time.sleep(0.1)
    return sorted(left)


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--uploads", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", default="yunet")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, temporary = Path(folder) / "data", Path(folder) / "tmp"
        temporary.mkdir()
        more = "--rate", "1000000/second", "--detector", arguments.detector
        with open_server(data, *more, TMPDIR=str(temporary)) as server:
            before = list_files(data, temporary)
            outcomes, findings, slowest_s = asyncio.run(upload(server.port, arguments.uploads, arguments.seed))
            left = wait_for_no_files(before, data, temporary)
            found = check(f"http://127.0.0.1:{server.port}", arguments.cases, arguments.seed)
            is_alive = server.process.poll() is None
    write(outcomes, findings, slowest_s, left, found, is_alive)


def write(
    outcomes: Counter[str], findings: list[str], slowest_s: float, left: list[str], found: Conformance, is_alive: bool
) -> None:
    everything = [*findings, *found.findings]
    write_result(
        "server_hostile",
        {
            "uploads": outcomes.total() + len([f for f in findings if "Error" in f]),
            "outcomes": dict(sorted(outcomes.items())),
            "slowest_s": round(slowest_s, 2),
            "cases": found.cases,
            "cases_by_operation": dict(found.by_operation),
            "statuses": {str(status): n for status, n in sorted(found.statuses.items())},
            "findings": everything,
            "files_left": left,
            "bars": {
                "uploads: no 5xx, crash or hang": not findings,
                "no file left": not left,
                "cases: every answer as documented": not found.findings,
                "the server lives": is_alive,
            },
        },
    )
    sys.exit(bool(everything or left or not is_alive))


if __name__ == "__main__":
    main()
