"""Agreement on made-up codes whose truth is known: what kappa's intervals hold, what a calibration gains."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.faces.recalibration import recalibrate
from emoscope.groups.agreement import compute_kappa, count_confusion, estimate_kappa
from emoscope.groups.recalibrate import cross_validate, fit

N_PROJECTS = 2000
N_CALIBRATIONS = 200
SHARES = np.array([0.08, 0.03, 0.06, 0.25, 0.13, 0.1, 0.35])
"""Of emotions in a project; each participant's differ around them."""
TRUE_PEOPLE = 40_000


def draw_codes(rng: np.random.Generator, n_people: int, n_each: int) -> tuple[NDArray[np.int64], ...]:
    """Return what a coder saw and what was read of n_each moments of each participant, and whose they are."""
    whose = np.repeat(np.arange(n_people), n_each)
    shares = rng.dirichlet(8 * SHARES, n_people)
    # Some people are read well and some are not.
    is_clear = rng.random(len(whose)) < rng.beta(4, 3, n_people)[whose]
    draws = (rng.random(len(whose))[:, None] > shares.cumsum(axis=1)[whose]).sum(axis=1).clip(max=6)
    guesses = rng.choice(7, len(whose), p=SHARES)
    return draws, np.where(is_clear, draws, guesses), whose


def measure_coverage(n_people: int, n_each: int, truth: float) -> dict[str, Any]:
    """Return how often the interval holds the kappa of all participants like these."""
    rng = np.random.default_rng(n_people * 1000 + n_each)
    n_printed, n_held, widths = 0, 0, []
    for _ in range(N_PROJECTS):
        kappa = estimate_kappa(*draw_codes(rng, n_people, n_each), 7)
        if kappa.low is None or kappa.high is None:
            continue
        n_printed += 1
        n_held += kappa.low <= truth <= kappa.high
        widths.append(kappa.high - kappa.low)
    return {
        "participants": n_people,
        "moments_each": n_each,
        "printed": n_printed / N_PROJECTS,
        "coverage": n_held / n_printed if n_printed else None,
        "mean_width": float(np.mean(widths)) if widths else None,
    }


def measure_moments(n: int) -> dict[str, Any]:
    """Return what the asymptotic interval holds for further moments of one person."""
    rng = np.random.default_rng(n)
    n_held = 0
    for _ in range(N_PROJECTS):
        shares, clear = rng.dirichlet(8 * SHARES), rng.beta(4, 3)
        joint = (1 - clear) * np.outer(shares, SHARES) + clear * np.diag(shares)
        truth = compute_kappa(joint)
        cells = rng.choice(49, n, p=joint.ravel())
        kappa = estimate_kappa(cells // 7, cells % 7, np.zeros(n, np.int64), 7)
        n_held += kappa.low is None or truth is None or bool(kappa.low <= truth <= (kappa.high or 1))
    return {"moments": n, "coverage_or_withheld": n_held / N_PROJECTS}


def measure_gain(n_people: int, n_each: int, temperature: float, bias: float) -> dict[str, Any]:
    """Return what a calibration changes on 5,000 further moments, whether it is written or withheld."""
    rng = np.random.default_rng(round(1000 * temperature) + n_people)
    kept, gains, all_gains = 0, [], []
    for _ in range(N_CALIBRATIONS):
        n = n_people * n_each
        truth = rng.dirichlet(4 * SHARES, n + 5000)
        seen = np.eye(7)[(rng.random(len(truth))[:, None] > truth.cumsum(axis=1)).sum(axis=1).clip(max=6)]
        stated = recalibrate(truth, 1 / temperature, (0, 0, 0, bias, 0, 0, -bias))
        whose = np.repeat(np.arange(n_people), n_each)
        before, after, error = cross_validate(stated[:n], seen[:n], whose)
        changed = recalibrate(stated[n:], *fit(stated[:n], seen[:n]))
        losses = [-(seen[n:] * np.log(np.maximum(p, 1e-12))).sum(axis=1).mean() for p in (stated[n:], changed)]
        all_gains.append(float(losses[0] - losses[1]))
        if before - after > error:
            kept += 1
            gains.append(all_gains[-1])
    return {
        "participants": n_people,
        "codes": n_people * n_each,
        "too_sure_by": temperature,
        "bias": bias,
        "written": kept / N_CALIBRATIONS,
        "log_loss_gain": float(np.mean(gains)) if gains else None,
        "worst_log_loss_gain": float(np.min(gains)) if gains else None,
        "log_loss_gain_if_always": float(np.mean(all_gains)),
    }


def main() -> None:
    """Measure all and write it."""
    create_parser(__doc__).parse_args()
    first, second, _ = draw_codes(np.random.default_rng(0), TRUE_PEOPLE, 12)
    truth = compute_kappa(count_confusion(first, second, 7)) or 0.0
    coverage = [measure_coverage(n, each, truth) for n in (5, 6, 8, 10, 20, 40) for each in (6, 12, 30)]
    gains = [
        measure_gain(n, each, t, b)
        for n, each in ((4, 15), (6, 20), (10, 60))
        for t, b in ((1, 0), (1.5, 0.3), (2, 0.6))
    ]
    figures = {
        "projects": N_PROJECTS,
        "true_kappa": truth,
        "participants_like_these": coverage,
        "moments_of_these_people": [measure_moments(n) for n in (30, 60, 120)],
        "calibrations": N_CALIBRATIONS,
        "calibration": gains,
    }
    write_result("agreement", figures)


if __name__ == "__main__":
    main()
