"""Post pictures with one face, 640 x 480, to a real server from 8 clients at once.

Bars on two cores, the clients on the same ones: at least 60 requests a second, 99 of 100 within 150 ms.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from common import create_parser, write_result
from serving import create_portrait, create_upload, exchange, open_server


async def post(port: int, request: bytes, until_s: float, times_s: list[float]) -> None:
    """Post one picture after the other over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (start := time.perf_counter()) < until_s:
        status, body = await exchange(reader, writer, request)
        times_s.append(time.perf_counter() - start)
        if status != 200 or len(json.loads(body)["faces"]) != 1:
            raise SystemExit(f"unexpected answer {status}: {body[:200]!r}")
    writer.close()


async def measure(port: int, request: bytes, n_clients: int, seconds: float) -> list[float]:
    times_s: list[float] = []
    until_s = time.perf_counter() + seconds
    await asyncio.gather(*(post(port, request, until_s, times_s) for _ in range(n_clients)))
    return times_s


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--picture", type=Path, help="another one with one face")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--detector", default="yunet")
    arguments = parser.parse_args()
    picture = (
        arguments.picture.read_bytes() if arguments.picture else cv2.imencode(".jpg", create_portrait())[1].tobytes()
    )
    more = "--rate", "1000000/second", "--detector", arguments.detector
    with tempfile.TemporaryDirectory() as folder, open_server(Path(folder), *more) as server:
        request = create_upload(picture, server.port)
        asyncio.run(measure(server.port, request, arguments.clients, min(3.0, arguments.seconds)))
        times_s = asyncio.run(measure(server.port, request, arguments.clients, arguments.seconds))
    rate = len(times_s) / arguments.seconds
    p50, p99 = (1000 * float(np.quantile(times_s, q)) for q in (0.5, 0.99))
    write_result(
        "server_images",
        {
            "detector": arguments.detector,
            "clients": arguments.clients,
            "picture_bytes": len(picture),
            "requests": len(times_s),
            "requests_per_s": round(rate, 1),
            "p50_ms": round(p50, 1),
            "p99_ms": round(p99, 1),
            "max_ms": round(1000 * max(times_s), 1),
            "bars": {">= 60 requests/s": rate >= 60, "p99 <= 150 ms": p99 <= 150},
        },
    )


if __name__ == "__main__":
    main()
