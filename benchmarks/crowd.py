"""Time the whole command `emoscope analyze` on 1920 x 1080 video with five faces, 30 frames per second.

The clip is made from a picture of five people over which a camera wanders. Bar: at least 1.5 times real time.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from common import create_parser, write_result

WIDTH, HEIGHT, RATE = 1920, 1080, 30


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("picture", type=Path, help="a picture of five people")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    walls = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "crowd.mp4"
        write_clip(arguments.picture, clip, arguments.seconds)
        command = [sys.executable, "-m", "emoscope", "analyze", str(clip), "-o", str(Path(folder) / "out"), "--json"]
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            walls.append(time.perf_counter() - start)
        [entry] = json.loads(done.stdout)["sources"]
        summary = json.loads((Path(folder) / "out" / "summary.json").read_text())
    speed = arguments.seconds / statistics.median(walls)
    write_result(
        "crowd",
        {
            "clip": f"{WIDTH} x {HEIGHT}, {arguments.seconds:g} s at {RATE} frames per second",
            "wall_s": [round(wall, 2) for wall in walls],
            "times_real_time": round(speed, 2),
            "people": entry["people"],
            "peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000),
            "faces_per_frame": round(summary["audience"]["people_mean"], 2),
            "bars": {"1.5 times real time": speed >= 1.5, "five people": entry["people"] == 5},
        },
    )


def write_clip(picture: Path, path: Path, seconds: float) -> None:
    """Write a video that wanders over a picture."""
    image = cv2.imread(str(picture))
    scale = 1.1 * max(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    spare_x, spare_y = image.shape[1] - WIDTH, image.shape[0] - HEIGHT
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast"}
        for i in range(round(seconds * RATE)):
            x = round(spare_x * (0.5 + 0.5 * np.sin(i / RATE)))
            y = round(spare_y * (0.5 + 0.5 * np.cos(0.7 * i / RATE)))
            view = np.ascontiguousarray(image[y : y + HEIGHT, x : x + WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="bgr24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
