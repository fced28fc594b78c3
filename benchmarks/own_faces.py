"""Fine-tuning on few own faces: accuracy of an embedded network on them before and after, and of one from scratch.

The faces are drawn (`emoscope data import synthetic`): another kind of picture than the network has ever seen.

    python benchmarks/own_faces.py
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from common import create_parser, write_result
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import find_network
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.measuring.metrics import compute_metrics
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.repeats import measure_run
from emoscope.study.training.own_faces import choose_fine_tuning
from emoscope.study.training.threads import limit_threads
from emoscope.study.training.train import train

N_FACES = 280
"""Of which 70 % train: about 200."""
SEEDS = (0, 1, 2)
INIT = "fast"


def measure(faces: Dataset, seed: int, runs: Path) -> dict[str, Any]:
    """Return accuracy and macro F1 on the test images of one split: before, after, and from scratch."""
    settings = {**choose_fine_tuning(INIT, faces), "protocol": "thesis", "split_seed": seed, "seed": seed}
    config = TrainConfig.from_dict({**settings, "init": INIT})
    split = create_split(faces, config)
    rows = split.test
    before = compute_metrics(Recognizer(find_network(INIT)).predict(faces.pixels[rows]), faces.emotion[rows])
    found: dict[str, Any] = {"n_train": len(split.train), "n_test": len(rows), "before": select(before)}
    scratch = TrainConfig.from_dict({**settings, "frozen": 0.0})
    for name, one in (("after", config), ("from_scratch", scratch)):
        run = train(faces, one, runs, split=split)
        found[name] = select(measure_run(run, faces, (1,), split)["views"]["1"])
    return found


def select(figures: Any) -> dict[str, float]:
    """Return what is compared."""
    return {key: round(float(figures[key]), 4) for key in ("accuracy", "macro_f1")}


def main() -> None:
    """Measure and write."""
    create_parser(__doc__).parse_args()
    faces = create_synthetic(N_FACES, seed=0)
    with tempfile.TemporaryDirectory() as folder, limit_threads(1):
        splits = [measure(faces, seed, Path(folder)) for seed in SEEDS]
    means = {
        part: {key: round(float(np.mean([s[part][key] for s in splits])), 4) for key in ("accuracy", "macro_f1")}
        for part in ("before", "after", "from_scratch")
    }
    write_result("own_faces", {"init": INIT, "mean": means, "splits": splits})


if __name__ == "__main__":
    main()
