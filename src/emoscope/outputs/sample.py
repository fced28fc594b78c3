"""A clip to try: two moving faces from the public-domain portraits that matplotlib and scikit-image carry.

Grace Hopper (US Navy) drifts and nears the camera all the time; Eileen Collins (NASA) comes in after 2 s and leaves
again, so that the report has someone who is not always there.
"""

import importlib.util
import math
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from emoscope.core.errors import MissingExtraError
from emoscope.core.types import Image

WIDTH, HEIGHT, RATE = 640, 360, 25
PORTRAITS: Final = (("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"), ("skimage", "data/astronaut.png"))
"""Packages and files in them."""


def has_portraits() -> bool:
    """Return whether the packages are installed that carry the portraits; none of them is imported."""
    return all(_find(*portrait).is_file() for portrait in PORTRAITS)


def write_sample(path: Path, seconds: float = 10.0) -> None:
    """Write the clip as H.264, 640 x 360 at 25 frames a second.

    Args:
        path: an mp4 file.
        seconds: its length.

    Raises:
        MissingExtraError: a portrait is not there; says what to install.
        OSError: the file cannot be written.
    """
    import av

    # Head and shoulders only: the rest would hide the other person.
    first, second = _load(*PORTRAITS[0])[20:420, 60:460], _load(*PORTRAITS[1])[0:300, 80:380]
    backdrop = np.linspace(70, 120, HEIGHT)[:, None, None] + np.zeros((HEIGHT, WIDTH, 3))
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        for i in range(round(seconds * RATE)):
            image = _draw(first, second, backdrop, i / RATE, seconds)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())


def _draw(first: Image, second: Image, backdrop: np.ndarray, t: float, seconds: float) -> Image:
    canvas = backdrop.astype(np.uint8)
    x = 190 + 40 * math.sin(t * 0.9)
    _paste(canvas, first, (x, 190), 230 + 40 * math.sin(t * 0.6), 4 * math.sin(t * 1.3))
    # From the right edge to its place within a second, and out again two seconds before the end.
    out = _ease(1 - (t - 2)) + _ease(t - (seconds - 2))
    _paste(canvas, second, (470 + 320 * out, 180 + 10 * math.sin(t * 2)), 220, -5 * math.sin(t))
    light = 1 + 0.12 * math.sin(t * 0.7)
    image: Image = np.clip(canvas * light, 0, 255).astype(np.uint8)
    return image


def _find(package: str, file: str) -> Path:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin if spec and spec.origin else package).parent / file


def _load(package: str, file: str) -> Image:
    """Return a portrait (h, w, 3) BGR from an installed package's files, without importing the package."""
    path = _find(package, file)
    image = cv2.imread(str(path)) if path.is_file() else None
    if image is None:
        raise MissingExtraError.create(f"the sample needs a portrait of the package {package}", "demo")
    return image.astype(np.uint8)


def _paste(canvas: Image, picture: Image, centre_xy: tuple[float, float], height: float, angle: float) -> None:
    """Draw a picture onto the canvas with its centre, height in pixels and turn in degrees."""
    h, w = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), angle, height / h)
    matrix[:, 2] += np.array(centre_xy) - (w / 2, h / 2)
    warped = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    mask = cv2.warpAffine(np.full((h, w), 255, np.uint8), matrix, (WIDTH, HEIGHT)) > 127
    canvas[mask] = warped[mask]


def _ease(share: float) -> float:
    """Return a share of 0 to 1 that begins and ends slowly, as people move."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)
