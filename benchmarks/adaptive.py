"""Compare `--reading adaptive` with reading every face of every frame: which share is kept, and what differs.

Films: those that are named, and some made from a picture of five people by benchmarks/analyze.py, which also takes the
times. The rule's bounds were chosen on WolfgangLanger_Pexels.mp4: its row says how well they fit there, not how well
they hold. Films made of pictures show expressions that never change. Bar: the same emotion in at least 99 % of the
faces of all films.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from analyze import SIZES_WH, write_film
from common import create_parser, write_result
from emoscope.core.frame_result import FrameResult
from emoscope.media.find import find_sources
from emoscope.pipeline.analyzer import Analyzer


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--picture", type=Path, help="of five people")
    parser.add_argument("--seconds", type=float, default=5, help="length of the films that are made of it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        films = {clip.name: clip for clip in arguments.clips}
        for size in ("360p", "1080p") if arguments.picture else ():
            path = Path(name) / f"{size}.mp4"
            films[f"{size}, five faces"] = write_film(arguments.picture, 5, SIZES_WH[size], arguments.seconds, path)
        compared = {key: compare(film) for key, film in films.items()}
    n = sum(row["faces"] for row in compared.values())
    same = sum(row["faces"] * row["same_emotion"] for row in compared.values()) / n
    write_result(
        "adaptive",
        {
            "films": compared,
            "same_emotion": round(same, 5),
            "bars": {
                "same emotion >= 0.99": same >= 0.99,
                "in each film": min(row["same_emotion"] for row in compared.values()) >= 0.99,
            },
        },
    )


def compare(film: Path) -> dict[str, Any]:
    """Return how adaptive readings of a film agree with those of every frame."""
    every, adaptive = (read(film, reading) for reading in ("every", "adaptive"))
    p, q = (np.concatenate([result.probabilities for result in results]) for results in (every, adaptive))
    kept = np.concatenate([result.faces.kept for result in adaptive if result.faces.kept is not None])
    change, is_same = np.abs(p - q).max(axis=1), p.argmax(axis=1) == q.argmax(axis=1)
    return {
        "frames": len(every),
        "faces": len(p),
        "kept": round(float(kept.mean()), 4),
        "same_emotion": round(float(is_same.mean()), 5),
        "mean_difference": round(float(change.mean()), 4),
        "difference_99": round(float(np.quantile(change, 0.99)), 4),
        "max_difference": round(float(change.max()), 4),
        "largest_difference_of_a_read_face": round(float(change[~kept].max()), 6),
    }


def read(film: Path, reading: str) -> list[FrameResult]:
    """Return what is read of each frame."""
    [source] = find_sources([film])
    return [result for _, result in Analyzer(reading=reading).analyze_frames(source)]  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
