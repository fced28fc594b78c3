"""Compare the devices that ONNX Runtime has here with the processor: emotions, probabilities, people, time.

Run it in an environment of its own: with onnxruntime-openvino (or -gpu, -directml) in place of onnxruntime.
Bar: the same likeliest emotion in at least 99.5 % of validation faces.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from common import create_parser, write_result
from emoscope.analysis.device_check import check_devices
from emoscope.core.timecode import Every
from emoscope.faces.devices import list_devices
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import load_embedded
from emoscope.media.find import find_sources
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split

ROUNDS = 9


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=2000, help="of the validation images")
    parser.add_argument("--every", type=int, default=2, help="use every n-th frame of the clip")
    parser.add_argument("--without-times", action="store_true", help="on a machine on which others work")
    arguments = parser.parse_args()
    names = [name for name in list_devices() if name != "cpu"]
    aliases = load_embedded()[0]
    dataset = Dataset.load(arguments.data)
    rows = create_split(dataset, Recognizer(device="cpu").spec).validation[: arguments.faces]
    networks = {
        alias: {name: compare(model, name, dataset.pixels[rows], not arguments.without_times) for name in names}
        for alias, model in aliases.items()
    }
    [source] = find_sources([arguments.clip], Every(arguments.every))
    clip = [vars(row) for row in check_devices(list(source), names)]
    if arguments.without_times:
        clip = [{key: value for key, value in row.items() if not key.startswith("ms_")} for row in clip]
    bars = {
        f"{alias} on {name}: same emotion >= 0.995": row["same_emotion"] >= 0.995
        for alias, by_device in networks.items()
        for name, row in by_device.items()
    }
    write_result(
        "devices",
        {
            "onnxruntime": onnxruntime.__version__,
            "providers": onnxruntime.get_available_providers(),
            "faces": len(rows),
            "networks": {aliases[alias]: by_device for alias, by_device in networks.items()},
            "clip": {"name": arguments.clip.name, "devices": clip},
            "bars": bars,
        },
    )


def compare(model: str, name: str, faces: np.ndarray, with_times: bool) -> dict[str, Any]:
    """Return how far a device's readings are from the processor's, and its time beside the processor's."""
    theirs, mine = Recognizer(model, device="cpu"), Recognizer(model, device=name)
    p, q = theirs.predict(faces), mine.predict(faces)
    change = np.abs(p - q).max(axis=1)
    return {
        "ran_on": mine.device.name,
        "same_emotion": round(float((p.argmax(axis=1) == q.argmax(axis=1)).mean()), 5),
        "max_difference": round(float(change.max()), 5),
        "difference_99": round(float(np.quantile(change, 0.99)), 5),
        **(compare_times(theirs, mine, name, faces[:8]) if with_times else {}),
    }


def compare_times(theirs: Recognizer, mine: Recognizer, name: str, faces: np.ndarray) -> dict[str, Any]:
    """Return the time of a face on both, taken in turns."""
    times: dict[str, list[float]] = {"cpu": [], name: []}
    for _ in range(ROUNDS):
        for key, recognizer in (("cpu", theirs), (name, mine)):
            start = time.perf_counter()
            recognizer.predict(faces)
            times[key].append(1000 * (time.perf_counter() - start) / len(faces))
    ratios = [a / b for a, b in zip(times[name], times["cpu"], strict=True)]
    return {
        "ms_per_face": {key: round(statistics.median(values), 3) for key, values in times.items()},
        "time_ratio": round(statistics.median(ratios), 3),
        "time_ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
    }


if __name__ == "__main__":
    main()
