"""What training beside near-copies of test images is worth: one network, with and without them, on the same images.

FER2013's PublicTest is the test part here (PrivateTest is not touched). A tenth of Training validates, by groups, none
of it related to PublicTest. Trained with all the rest of Training, and without near-copies of PublicTest; some seeds
each.

The leak is how much more the images with a near-copy in Training gain by it than the others do, which gain by more
images alone. Its interval takes photographs (near-copies together) anew, with their answers by all seeds.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.study.data.dataset import Dataset
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.repeats import measure_run
from emoscope.study.training.threads import limit_threads
from emoscope.study.training.train import train

ARMS = ("with", "without")
RESAMPLES = 10_000
Rows = NDArray[np.int64]


def choose_rows(dataset: Dataset) -> tuple[dict[str, Rows], Rows, Rows]:
    """Return what trains in each arm, what validates, and what tests."""
    rng = np.random.default_rng(0)
    training, test = (np.flatnonzero(dataset.usage == usage) for usage in ("Training", "PublicTest"))
    is_related = np.isin(dataset.relative[training], dataset.relative[test])
    photographs = np.unique(dataset.relative[training[~is_related]])
    held_back = rng.choice(photographs, len(photographs) // 10, replace=False)
    validates = np.isin(dataset.relative[training], held_back)
    rest, apart = training[~validates], training[~validates & ~is_related]
    return {"with": rest, "without": apart}, training[validates], test


def arrange(dataset: Dataset, train: Rows, validation: Rows, test: Rows) -> Dataset:
    """Return a dataset whose official split is this one."""
    rows = np.concatenate([train, validation, test])
    parts = np.repeat(["Training", "PublicTest", "PrivateTest"], [len(train), len(validation), len(test)])
    chosen = dataset.select(rows)
    return Dataset.create(chosen.pixels, chosen.emotion, parts, chosen.relative, chosen.classes)


def compute_leak(
    right: dict[str, NDArray[np.float64]], has_copy: NDArray[np.bool_], photographs: NDArray[np.int64]
) -> dict[str, Any]:
    """Return by how many points images with and without a copy are read better beside copies, and the leak."""
    gain = 100 * (right["with"] - right["without"])
    unique, place = np.unique(photographs, return_inverse=True)
    weights = gain * has_copy, has_copy, gain * ~has_copy, ~has_copy
    sums = np.stack([np.bincount(place, values, len(unique)) for values in weights])
    rng = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        a, n, b, m = sums[:, rng.integers(len(unique), size=len(unique))].sum(axis=1)
        found.append((a / n, b / m, a / n - b / m))
    bounds = np.quantile(found, [0.025, 0.975], axis=0)
    values = gain[has_copy].mean(), gain[~has_copy].mean()
    named = zip(("with_a_copy", "others", "leak"), (*values, values[0] - values[1]), bounds.T, strict=True)
    return {name: [round(float(x), 2) for x in (value, *interval)] for name, value, interval in named}


def main() -> None:
    """Train, measure and write."""
    parser = create_parser(__doc__)
    parser.add_argument("data", type=Path, help="fer2013.npz")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trainings; goes on where it ended")
    parser.add_argument("--network", default="compact-tiny")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    rows, validation, test = choose_rows(dataset)
    settings = {"network": arguments.network, "epochs": arguments.epochs, "near_copies": True, "precision": "float32"}
    settings |= {"sizes_px": [48], "size_shares": [1.0], "batch_size": 128, "patience": arguments.epochs}
    right: dict[str, NDArray[np.float64]] = {arm: np.zeros(len(test)) for arm in ARMS}
    figures: dict[str, Any] = {arm: [] for arm in ARMS}
    with limit_threads(1):
        for seed in range(1, arguments.seeds + 1):
            for arm in ARMS:
                faces = arrange(dataset, rows[arm], validation, test)
                config = TrainConfig.from_dict({**settings, "seed": seed})
                run = train(faces, config, arguments.runs / arm)
                figures[arm].append(measure_run(run, faces, (1,))["views"]["1"])
                with np.load(run.folder / "test.npz") as saved:
                    answers = saved["logits_1"].reshape(len(test), -1)
                right[arm] += (answers.argmax(1) == dataset.emotion[test]) / arguments.seeds
                print(arm, seed, round(float(right[arm].mean()), 4), flush=True)
    has_copy = np.isin(dataset.relative[test], dataset.relative[rows["with"]])
    write_result(
        "leak",
        {
            "network": arguments.network,
            "epochs": arguments.epochs,
            "seeds": arguments.seeds,
            "images": {**{arm: len(rows[arm]) for arm in ARMS}, "validation": len(validation), "test": len(test)},
            "test_with_a_copy_in_training": int(has_copy.sum()),
            "accuracy": {
                arm: {
                    "all": round(float(right[arm].mean()), 4),
                    "with_a_copy": round(float(right[arm][has_copy].mean()), 4),
                    "others": round(float(right[arm][~has_copy].mean()), 4),
                }
                for arm in ARMS
            },
            "macro_f1": {arm: [round(float(row["macro_f1"]), 4) for row in figures[arm]] for arm in ARMS},
            "points_gained_with_copies": compute_leak(right, has_copy, dataset.relative[test]),
        },
    )


if __name__ == "__main__":
    main()
