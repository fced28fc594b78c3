"""Count FER2013's near-copies, plant a thousand more and find them, and import it: time, memory, and what splits leak.

A planted copy loses 0 to 3 px of each side (--cut), is mirrored or not, lit otherwise (gain 0.7 to 1.3, offset of up to
20) and written as JPEG of quality 30 to 95; alone it stands beside its original, with nothing that could link them but
itself. What a split leaks is counted by the plainest measure too: thumbnails of 16 x 16 as they lie, cosine 0.95.
"""

import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.describe import describe_dataset
from emoscope.study.data.importers import import_dataset
from emoscope.study.data.relatives import find_pairs
from emoscope.study.data.splits import Split, create_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.recipes.training import TrainConfig

N_PLANTED = 1000
Face = NDArray[np.uint8]


def plant(face: Face, cut_px: float, rng: np.random.Generator) -> Face:
    """Return a near-copy of a face (48, 48)."""
    side = len(face)
    top, bottom, left, right = rng.uniform(0, cut_px, 4)
    y, x = side / (side - top - bottom), side / (side - left - right)
    matrix = np.array([[x, 0, -left * x + (x - 1) / 2], [0, y, -top * y + (y - 1) / 2]])
    cut = cv2.warpAffine(face, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    lit = np.clip(cut * rng.uniform(0.7, 1.3) + rng.uniform(-20, 20), 0, 255)[:, :: rng.choice([-1, 1])]
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
    _, data = cv2.imencode(".jpg", np.rint(lit).astype(np.uint8), quality)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def find_planted(dataset: Dataset, cut_px: float) -> float:
    """Return the share of planted copies that are found beside their originals."""
    rng = np.random.default_rng(0)
    originals = dataset.pixels[rng.choice(np.unique(dataset.group, return_index=True)[1], N_PLANTED, replace=False)]
    pairs = find_pairs(np.concatenate([originals, np.stack([plant(face, cut_px, rng) for face in originals])]))
    return len({int(min(i, j)) for i, j in pairs if abs(i - j) == N_PLANTED}) / N_PLANTED


def count_leaks(dataset: Dataset, thumbnails: NDArray[np.float32], split: Split) -> dict[str, int]:
    """Return the parts' sizes, and how many test images have a relative, or a like thumbnail, in another part."""
    others = np.concatenate([split.train, split.validation])
    alike = [(thumbnails[r] @ thumbnails[others].T).max(1) >= 0.95 for r in np.array_split(split.test, 8)]
    return {
        **{part: len(getattr(split, part)) for part in ("train", "validation", "test")},
        "test_with_a_relative": int(np.isin(dataset.relative[split.test], dataset.relative[others]).sum()),
        "test_with_a_like_thumbnail": int(np.concatenate(alike).sum()),
    }


def write_gallery(path: Path) -> None:
    """Write a picture of drawn faces, each with planted copies of it on its right; no person is shown."""
    rng = np.random.default_rng(0)
    rows = [[face, *(plant(face, 3.0, rng) for _ in range(6))] for face in create_synthetic(14).pixels[::2]]
    sheet = np.vstack([np.hstack([np.pad(face, 2, constant_values=255) for face in row]) for row in rows])
    cv2.imwrite(str(path), cv2.resize(sheet, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST))


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--gallery", type=Path, help="only write the documentation's picture")
    parser.add_argument("--csv", type=Path, help="fer2013.csv")
    parser.add_argument("--cut", type=float, default=3.0, help="px")
    arguments = parser.parse_args()
    if arguments.gallery:
        write_gallery(arguments.gallery)
        return
    if not arguments.csv:
        parser.error("name fer2013.csv by --csv")
    start = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        dataset = import_dataset(arguments.csv)
        dataset.save(Path(folder) / "faces.npz")
    cost = {
        "cpu_s": round(time.process_time() - start[0], 1),
        "wall_s": round(time.perf_counter() - start[1], 1),
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        "memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }
    thumbnails = dataset.pixels.reshape(-1, 16, 3, 16, 3).mean((2, 4)).reshape(len(dataset), -1).astype(np.float32)
    thumbnails -= thumbnails.mean(axis=1, keepdims=True)
    thumbnails /= np.maximum(np.linalg.norm(thumbnails, axis=1, keepdims=True), 1e-6)
    leaks: dict[str, Any] = {}
    for protocol in ("official", "thesis"):
        for kept, name in ((True, "near-copies anywhere"), (False, "near-copies apart")):
            split = create_split(dataset, TrainConfig.from_dict({"protocol": protocol, "near_copies": kept}))
            leaks[f"{protocol}, {name}"] = count_leaks(dataset, thumbnails, split)
    facts = describe_dataset(dataset)
    found = find_planted(dataset, arguments.cut)
    bars = {
        "planted copies found >= 0.95": found >= 0.95,
        "import <= 60 s of one core": cost["cpu_s"] <= 60,
        "import <= 2 GB": cost["memory_gb"] <= 2,
        "no test image has a relative elsewhere": all(
            row["test_with_a_relative"] == row["test_with_a_like_thumbnail"] == 0
            for name, row in leaks.items()
            if name.endswith("apart")
        ),
    }
    kinds = {key: facts[key] for key in ("duplicates", "near_copies")}
    write_result("near_copies", {"bars": bars, "planted_found": found, "import": cost, "leaks": leaks, **kinds})


if __name__ == "__main__":
    main()
