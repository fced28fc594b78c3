"""Measure the embedded network on FER2013 as `emoscope evaluate` does, on validation and on PrivateTest.

Bars: accuracy at least 0.67 and macro F1 at least 0.64 on PrivateTest with a single view, in under 30 s. Intervals:
Wilson for accuracy, bootstrap over images for macro F1. The largest difference of probabilities between the ONNX file
and torch is measured on 1,000 PrivateTest images when the run's folder is given.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score

from common import create_parser, write_result
from emoscope.recognize import Recognizer
from emoscope.study.dataset import Dataset


def compute_wilson(accuracy: float, n: int) -> list[float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    z = 1.959964
    centre = (accuracy + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(accuracy * (1 - accuracy) / n + z * z / (4 * n * n))
    return [round(float(centre - half), 4), round(float(centre + half), 4)]


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="the embedded network's run folder, for parity with torch")
    arguments = parser.parse_args()
    results = {}
    for split, views in (("validation", 1), ("validation", 2), ("private", 1), ("private", 2), ("private", 10)):
        command = ["-m", "emoscope", "evaluate", "--data", str(arguments.data), "--split", split, "--views", str(views)]
        start = time.perf_counter()
        done = subprocess.run([sys.executable, *command, "--json"], capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start
        figures = json.loads(done.stdout)
        figures["accuracy_interval_95"] = compute_wilson(figures["accuracy"], figures["n"])
        results[f"{split}, {views} views"] = {**figures, "wall_s": round(seconds, 1)}

    dataset, recognizer = Dataset.load(arguments.data), Recognizer()
    rows = np.flatnonzero(dataset.usage == "PrivateTest")
    predictions, labels = recognizer.predict(dataset.pixels[rows]).argmax(axis=1), dataset.emotion[rows]
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(rows), len(rows)) for _ in range(1000)]
    scores = [f1_score(labels[d], predictions[d], average="macro") for d in draws]
    results["private, 1 views"]["macro_f1_interval_95"] = [
        round(float(v), 4) for v in np.percentile(scores, [2.5, 97.5])
    ]
    singles = np.concatenate([recognizer.predict(dataset.pixels[r : r + 1]) for r in rows[:200]])
    batch_gap = float(np.abs(recognizer.predict(dataset.pixels[rows[:200]]) - singles).max())
    parity = {"batch_against_singles": batch_gap}
    if arguments.run:
        parity["onnx_against_torch_1000_images"] = measure_parity(arguments.run, dataset.pixels[rows[:1000]])
    private = results["private, 1 views"]
    met = {
        "accuracy >= 0.67": private["accuracy"] >= 0.67,
        "macro_f1 >= 0.64": private["macro_f1"] >= 0.64,
        "evaluate < 30 s": private["wall_s"] < 30,
    }
    write_result("accuracy", {"bars": met, "parity": parity, "evaluations": results})


def measure_parity(run_folder: Path, pixels: np.ndarray) -> float:
    """Return the largest difference of probabilities between torch and the embedded file."""
    from emoscope.models.registry import find_network
    from emoscope.study.export import compare_with_onnx
    from emoscope.study.networks import create_network
    from emoscope.study.runs import load_run
    from emoscope.study.train import load_weights

    run = load_run(run_folder)
    network = create_network(run.config.network)
    load_weights(network, run.best_path)
    return compare_with_onnx(network, find_network("default"), Recognizer().spec, pixels)


if __name__ == "__main__":
    main()
