"""Measure a network in float32, float16 and int8, and all embedded ones: accuracy on validation, size, time per face.

Bars for the embedded default, the most accurate that reaches both: 8 MB and 2 ms per face in batches of 8. Times are
medians of interleaved rounds on one core, network and preprocessing together, of crops of 112 x 112 pixels in colour as
video has them.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from common import create_parser, write_result
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import find_network, load_embedded
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.export.export import export_variant
from emoscope.study.measuring.metrics import compute_metrics

ROUNDS = 40


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="float32 ONNX file, for example of a study")
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    source = arguments.model
    spec = Recognizer(source).spec
    validation = create_split(dataset, spec).validation
    with tempfile.TemporaryDirectory() as folder:
        files = {"float32": source}
        for precision in ("float16", "int8"):
            files[precision] = Path(folder) / f"{precision}.onnx"
            export_variant(source, files[precision], precision, dataset)
        files |= {name: find_network(name) for name in load_embedded()[1]}
        recognizers = {precision: Recognizer(file) for precision, file in files.items()}
        times = measure_times(recognizers)
        variants: dict[str, Any] = {}
        plain = recognizers["float32"].predict(dataset.pixels[validation])
        for precision, recognizer in recognizers.items():
            probabilities = recognizer.predict(dataset.pixels[validation])
            figures = compute_metrics(probabilities, dataset.emotion[validation])
            variants[precision] = {
                "bytes": files[precision].stat().st_size,
                **times[precision],
                **{key: figures[key] for key in ("accuracy", "macro_f1", "ece")},
                "same_emotion_as_float32": float((probabilities.argmax(1) == plain.argmax(1)).mean()),
            }
    bars = {
        f"{name}: file <= 8 MB, 2 ms per face": v["bytes"] <= 8e6 and v["ms_per_face_batch_8"] <= 2
        for name, v in variants.items()
    }
    write_result("recognition", {"model": spec.name, "bars": bars, "variants": variants})


def measure_times(recognizers: dict[str, Recognizer]) -> dict[str, dict[str, float]]:
    """Return median milliseconds per face, alone and in batches of 8, the networks taking turns."""
    crops = np.random.default_rng(0).integers(0, 256, (8, 112, 112, 3), np.uint8)
    times: dict[str, dict[str, list[float]]] = {name: {"1": [], "8": []} for name in recognizers}
    for _ in range(ROUNDS):
        for name, recognizer in recognizers.items():
            for n in (1, 8):
                start = time.perf_counter()
                recognizer.predict(crops[:n])
                times[name][str(n)].append(1000 * (time.perf_counter() - start) / n)
    return {
        name: {f"ms_per_face_batch_{n}": round(float(np.median(values)), 3) for n, values in entry.items()}
        for name, entry in times.items()
    }


if __name__ == "__main__":
    main()
