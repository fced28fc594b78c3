"""Fine-tuning on few own faces: accuracy of an embedded network on them before and after.

The faces are drawn (`emoscope data import synthetic`): another kind of picture than the network has ever seen.

    python benchmarks/own_faces.py
"""

import tempfile
from pathlib import Path
from typing import Any

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
"""About 180 train, 45 validate, 56 test."""
INIT = "fast"


def measure(faces: Dataset, runs: Path) -> dict[str, Any]:
    """Return accuracy and macro F1 on the test images, before and after."""
    settings = {**choose_fine_tuning(INIT, faces), "protocol": "thesis", "n_folds": 5, "init": INIT}
    config = TrainConfig.from_dict(settings)
    split = create_split(faces, config)
    rows = split.test
    before = compute_metrics(Recognizer(find_network(INIT)).predict(faces.pixels[rows]), faces.emotion[rows])
    run = train(faces, config, runs, split=split)
    after = measure_run(run, faces, (1,), split)["views"]["1"]
    return {
        "n_train": len(split.train),
        "n_validation": len(split.validation),
        "n_test": len(rows),
        "before": select(before),
        "after": select(after),
    }


def select(figures: Any) -> dict[str, float]:
    """Return what is compared."""
    return {key: round(float(figures[key]), 4) for key in ("accuracy", "macro_f1")}


def main() -> None:
    """Measure and write."""
    create_parser(__doc__).parse_args()
    faces = create_synthetic(N_FACES, seed=0)
    with tempfile.TemporaryDirectory() as folder, limit_threads(1):
        write_result("own_faces", {"init": INIT, **measure(faces, Path(folder))})


if __name__ == "__main__":
    main()
