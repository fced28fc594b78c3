"""Measure embedded networks on PrivateTest once more, one view: all images, without identical, without near-copies.

For networks that were measured before near-copies were known and whose predictions were not kept. Nothing is chosen by
it; each measurement is counted in the user's ledger as every other (`emoscope evaluate --split private`).
"""

from pathlib import Path

from common import create_parser, write_result
from emoscope.study.data.dataset import Dataset
from emoscope.study.measuring.evaluate import evaluate

KEYS = ("accuracy", "macro_f1", "n", "interval_95")


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    dataset, models = Dataset.load(arguments.data), {}
    for model in arguments.models:
        figures = evaluate(dataset, "private", model)
        models[figures["model"]] = {
            "all": {key: figures[key] for key in KEYS},
            **{key: figures[key] for key in ("without_leaked", "without_near_copies")},
        }
    write_result("official_subsets", {"split": "PrivateTest", "views": 1, "models": models})


if __name__ == "__main__":
    main()
