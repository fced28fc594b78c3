"""What pruning saves and whether it changes who wins: recorded curves of trainings, replayed in many orders.

    python benchmarks/pruning.py RUNS [RUNS ...]

RUNS are folders of trainings, such as those of benchmarks/pruning.yaml: 64 settings of two thin networks, 3,000 faces.
Each order is a search that asks for all of them, one after the other; those that fall behind the bars of
running/search.py end there. The candidates are the best of what was reached. Bar: 40 % of the epochs saved, the best
training of all among the candidates in 19 of 20 orders.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.core.errors import InputError
from emoscope.study.recipes.families import Pruner
from emoscope.study.running.search import compute_bars
from emoscope.study.training.run_folder import load_run

N_ORDERS = 20
PRUNERS: tuple[Pruner, ...] = ("quarter", "median", "halving")
N_CANDIDATES = 3


def load_curves(folders: list[Path]) -> list[list[float]]:
    """Return validation macro F1 per epoch of every finished training that has several."""
    curves = []
    for path in sorted(p for folder in folders for p in folder.glob("*/result.json")):
        try:
            curve = load_run(path.parent).load_curve()
        except InputError:
            continue
        if len(curve) > 1:
            curves.append(list(curve))
    return curves


def replay(curves: list[list[float]], order: NDArray[np.integer], pruner: Pruner) -> tuple[int, bool]:
    """Return the epochs that a search in this order trains, and whether the best is among its candidates."""
    done: list[list[float]] = []
    for i in order:
        curve, bars = curves[i], compute_bars(done, pruner)
        behind = (e for e in range(len(curve)) if e < len(bars) and max(curve[: e + 1]) < bars[e])
        done.append(curve[: next(behind, len(curve) - 1) + 1])
    best = max(range(len(curves)), key=lambda i: max(curves[i]))
    reached = np.argsort([-max(curve) for curve in done], kind="stable")[:N_CANDIDATES]
    return sum(map(len, done)), best in {int(order[i]) for i in reached}


def main() -> None:
    """Replay and write."""
    parser = create_parser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    curves = load_curves(parser.parse_args().runs)
    whole = sum(map(len, curves))
    result: dict[str, Any] = {"curves": len(curves), "epochs": whole, "orders": N_ORDERS}
    for pruner in PRUNERS:
        orders = [np.random.default_rng(seed).permutation(len(curves)) for seed in range(N_ORDERS)]
        found = [replay(curves, order, pruner) for order in orders]
        saved = 1 - float(np.mean([n for n, _ in found])) / whole
        result[pruner] = {"saved": round(saved, 4), "best_among_candidates": sum(is_kept for _, is_kept in found)}
    write_result("pruning", result)


if __name__ == "__main__":
    main()
