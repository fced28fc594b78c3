"""Make a clip with two moving faces from the public-domain portraits that matplotlib and scikit-image carry.

Grace Hopper (US Navy) drifts and nears the camera all the time; Eileen Collins (NASA) comes in after 2 s and leaves
again, so that the report has someone who is not always there.

usage: python demo/make_clip.py FILE.mp4 [SECONDS]
"""

import importlib.util
import math
import sys
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, RATE = 640, 360, 25


def load_portrait(package: str, file: str) -> np.ndarray:
    """Return a portrait (h, w, 3) BGR from an installed package's files, without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        sys.exit(f"{package} is not installed; run `make demo`, or in emoscope's checkout pip install -e '.[demo]'")
    return cv2.imread(str(Path(spec.origin).parent / file))


def paste(canvas: np.ndarray, picture: np.ndarray, centre_xy: tuple[float, float], height: float, angle: float) -> None:
    """Draw a picture onto the canvas with its centre, height in pixels and turn in degrees."""
    h, w = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), angle, height / h)
    matrix[:, 2] += np.array(centre_xy) - (w / 2, h / 2)
    warped = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    mask = cv2.warpAffine(np.full((h, w), 255, np.uint8), matrix, (WIDTH, HEIGHT)) > 127
    canvas[mask] = warped[mask]


def ease(share: float) -> float:
    """Return a share of 0 to 1 that begins and ends slowly, as people move."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def main() -> None:
    """Write the clip."""
    path, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    # Head and shoulders only: the rest would hide the other person.
    first = load_portrait("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")[20:420, 60:460]
    second = load_portrait("skimage", "data/astronaut.png")[0:300, 80:380]
    backdrop = np.linspace(70, 120, HEIGHT)[:, None, None] + np.zeros((HEIGHT, WIDTH, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        for i in range(round(seconds * RATE)):
            t = i / RATE
            canvas = backdrop.astype(np.uint8)
            x = 190 + 40 * math.sin(t * 0.9)
            paste(canvas, first, (x, 190), 230 + 40 * math.sin(t * 0.6), 4 * math.sin(t * 1.3))
            # From the right edge to its place within a second, and out again two seconds before the end.
            out = ease(1 - (t - 2)) + ease(t - (seconds - 2))
            paste(canvas, second, (470 + 320 * out, 180 + 10 * math.sin(t * 2)), 220, -5 * math.sin(t))
            light = 1 + 0.12 * math.sin(t * 0.7)
            canvas = np.clip(canvas * light, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(canvas, format="bgr24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
