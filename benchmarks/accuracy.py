"""Collect the figures of a study that `emoscope study run --final` measured, into results/NAME.json.

Test images are not measured again: their figures come from the study's final.json, with the number of times they were
measured. On validation images, for a study that makes a network: the time of `emoscope evaluate` (bar: 30 s), a batch
against single faces (1e-5) and ONNX Runtime against torch on 1,000 images (1e-4).
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from common import create_parser, write_result
from emoscope.faces.recognize import Recognizer, compute_probabilities
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.export.export import load_network
from emoscope.study.measuring.final import measure_finally
from emoscope.study.training.predict import predict_logits
from emoscope.study.training.run_folder import load_run

BARS = {
    "compact-2": {"accuracy": 0.71, "macro_f1": 0.69},
    "compact-4-int8": {"accuracy": 0.71, "macro_f1": 0.69},
    "compact-pair": {"accuracy": 0.71, "macro_f1": 0.69},
    "wide-pair": {"accuracy": 0.735, "macro_f1": 0.72},
    "wide-vgg": {"accuracy": 0.74, "macro_f1": 0.725},
    "compact-trio": {"accuracy": 0.755, "macro_f1": 0.74},
    "flagship": {"accuracy": 0.737, "macro_f1": 0.72},
    "ensemble": {"accuracy": 0.755, "macro_f1": 0.74},
    "compact-repeats": {"accuracy": 0.71, "macro_f1": 0.69},
}
"""At least, with ten views on test images."""
MAX_ECE = 0.03


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument(
        "study",
        type=Path,
        help="folder of `study run --final`; any other: an embedded network is measured there",
    )
    parser.add_argument("--model", default="default", help="which embedded network")
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    if not (arguments.study / "study.json").is_file():
        measure_embedded(arguments.model, arguments.study, arguments.data)
        return
    study = json.loads((arguments.study / "study.json").read_text())
    final = json.loads((arguments.study / "final.json").read_text())
    bars = check_bars(study["name"], final)
    runs_folder = arguments.study / study["runs"]
    if "mean" in final:
        names = list(final["repeats"])
        checks: dict[str, Any] = {}
    else:
        model = arguments.study / f"{study['name']}.onnx"
        runs = [runs_folder / name for name in Recognizer(model).spec.run.split(" + ")]
        # Members that existed were trained elsewhere.
        names = [run.name for run in runs if run.is_dir()]
        checks = check_model(model, runs if len(names) == len(runs) else [], arguments.data)
        bars["evaluate < 30 s"] = checks["evaluate_s"] < 30
    trained = {name: describe_training(runs_folder / name) for name in names}
    write_result(study["name"], {"bars": bars, "trained": trained, "checks": checks, "final": final})


def check_bars(name: str, final: dict[str, Any]) -> dict[str, bool]:
    """Return whether a network reaches what it should."""
    ten = final["mean"]["10"] if "mean" in final else final["views"]["10"]
    bars = {f"{key}, ten views >= {bar}": ten[key] >= bar for key, bar in BARS.get(name, {}).items()}
    if "views" in final:
        bars |= {f"ECE, {n} views <= {MAX_ECE}": f["ece"] <= MAX_ECE for n, f in final["views"].items()}
    return bars


def measure_embedded(model: str, folder: Path, data: Path) -> None:
    """Write an embedded network's figures: measured in a folder, once; a second call reads them there."""
    final = measure_finally(model, Dataset.load(data), folder)
    write_result(final["model"], {"bars": check_bars(final["model"], final), "final": final})


def describe_training(folder: Path) -> dict[str, Any]:
    """Return where, how long and how well a run trained."""
    facts = json.loads((folder / "run.json").read_text())
    result = load_run(folder).load_result()
    return {
        "processor": facts["environment"]["processor"],
        "minutes": round(result["train_s"] / 60, 1),
        **{key: result[key] for key in ("epochs", "best_epoch", "precision")},
        "validation": {key: result["validation"][key] for key in ("accuracy", "macro_f1")},
    }


def check_model(model: Path, runs: list[Path], data: Path) -> dict[str, Any]:
    """Time `emoscope evaluate`, compare batches with single faces and ONNX Runtime with torch, if the runs are here."""
    command = ["-m", "emoscope", "evaluate", "--data", str(data), "--split", "validation", "--model", str(model)]
    start = time.perf_counter()
    subprocess.run([sys.executable, *command, "--json"], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    recognizer, dataset = Recognizer(model), Dataset.load(data)
    spec = recognizer.spec
    faces = dataset.pixels[create_split(dataset, spec).validation[:1000]]
    singles = np.concatenate([recognizer.predict(face[None]) for face in faces[:200]])
    checks = {
        "evaluate_s": round(seconds, 1),
        "batch_against_singles": float(np.abs(recognizer.predict(faces[:200]) - singles).max()),
    }
    if runs:
        logits = [predict_logits(load_network(load_run(run)), faces, spec)[:, 0] for run in runs]
        ours = np.mean([compute_probabilities(values) for values in logits], axis=0)
        theirs = compute_probabilities(recognizer.compute_logits(faces)[:, 0])
        checks["onnx_against_torch_1000_images"] = float(np.abs(ours - theirs).max())
    return checks


if __name__ == "__main__":
    main()
