"""Coverage of the intervals over people: simulated populations in, how often each 95 % interval holds the truth out.

usage: python benchmarks/interval_coverage.py [--samples 4000]   writes results/interval_coverage.json
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from common import write_result
from emoscope.tables.curve_inference import find_clusters
from emoscope.tables.inference import compute_intervals, contrast_independent, contrast_paired

SIZES = (3, 5, 10, 20)
Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]
POPULATIONS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, size: rng.normal(0.3, 0.1, size), 0.3),
    "uniform": (lambda rng, size: rng.uniform(0, 1, size), 0.5),
    "beta(2, 5)": (lambda rng, size: rng.beta(2, 5, size), 2 / 7),
    "log-normal(0.5)": (lambda rng, size: rng.lognormal(0, 0.5, size), float(np.exp(0.125))),
    "exponential": (lambda rng, size: rng.exponential(1, size), 1.0),
    "beta(0.5, 3)": (lambda rng, size: rng.beta(0.5, 3, size), 0.5 / 3.5),
    "60 % zeros": (lambda rng, size: np.where(rng.random(size) < 0.6, 0, rng.beta(2, 3, size)), 0.16),
}
"""From what people's probabilities usually look like to what rare emotions do."""


def measure_means(rng: np.random.Generator, n_samples: int) -> list[dict[str, Any]]:
    rows = []
    for name, (draw, truth) in POPULATIONS.items():
        for n in SIZES:
            values = draw(rng, (n, n_samples))
            _, low, high = compute_intervals(values)
            is_printed = np.isfinite(low)
            half = stats.t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
            draws = values[rng.integers(0, n, (400, n)), :200].mean(axis=1)
            old = np.quantile(draws, [0.025, 0.975], axis=0)
            rows.append(
                {
                    "population": name,
                    "n": n,
                    "printed": float(is_printed.mean()),
                    "coverage": float(np.mean((low <= truth) & (truth <= high), where=is_printed)),
                    "student_t": float(np.mean(np.abs(values.mean(axis=0) - truth) <= half)),
                    "percentile_bootstrap": float(np.mean((old[0] <= truth) & (truth <= old[1]))),
                }
            )
            print(rows[-1])
    return rows


def measure_contrasts(rng: np.random.Generator, n_samples: int) -> list[dict[str, Any]]:
    """Differences and effect sizes of normal and of skewed people, whose true values are known."""
    rows = []
    n_samples //= 8
    for n in SIZES:
        first, second = rng.normal(0.4, 0.1, (n, n_samples)), rng.normal(0.34, 0.1, (n, n_samples))
        skewed = rng.beta(2, 5, (n, n_samples)), rng.beta(1, 4, (n, n_samples))
        for kind, contrasts, truth, effect in (
            ("paired, normal", contrast_paired(first, second), 0.06, 0.06 / (0.1 * np.sqrt(2))),
            ("independent, normal", contrast_independent(first, second), 0.06, 0.6),
            ("paired, skewed", contrast_paired(*skewed), 2 / 7 - 1 / 5, None),
            ("independent, skewed", contrast_independent(*skewed), 2 / 7 - 1 / 5, None),
        ):
            ends = np.array([c.difference.interval for c in contrasts], float)
            row: dict[str, Any] = {
                "contrast": kind,
                "n": n,
                "coverage": float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))),
            }
            if effect is not None:
                # Of those that are printed.
                found = np.array([c.effect.interval for c in contrasts if c.effect.interval], float).reshape(-1, 2)
                inside = (found[:, 0] <= effect) & (effect <= found[:, 1])
                row["effect_coverage"] = float(inside.mean()) if len(inside) else None
            rows.append(row)
            print(row)
    return rows


def measure_clusters(rng: np.random.Generator, n_projects: int = 300) -> list[dict[str, Any]]:
    """False alarms of the cluster test in projects without an effect, and its power with one."""

    def draw(n: int) -> Any:
        return np.cumsum(rng.normal(0, 0.2, (n, 60)), axis=1) + rng.normal(0, 1, (n, 60))

    def is_found(curves: Any) -> bool:
        return any(cluster.p < 0.05 for cluster in find_clusters(curves))

    rows = []
    for n in (6, 10, 20):
        alarms = np.mean([is_found(draw(n)) for _ in range(n_projects)])
        planted = []
        for _ in range(n_projects // 3):
            curves = draw(n)
            curves[:, 30:36] += 1.0
            planted.append(is_found(curves))
        rows.append(
            {"n": n, "false_alarms": float(alarms), "power_one_deviation_for_six_seconds": float(np.mean(planted))}
        )
        print(rows[-1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4000)
    n_samples = parser.parse_args().samples
    rng = np.random.default_rng(0)
    means, contrasts = measure_means(rng, n_samples), measure_contrasts(rng, n_samples)
    write_result(
        "interval_coverage",
        {"samples": n_samples, "means": means, "contrasts": contrasts, "clusters": measure_clusters(rng)},
    )


if __name__ == "__main__":
    main()
