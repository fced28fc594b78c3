"""Calibration for a project: probabilities and what people saw in; temperature and biases that held elsewhere, out."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.faces.recalibration import MAX_BIAS, MAX_TEMPERATURE, Recalibration, identify_model, recalibrate
from emoscope.groups.coded import RecordingFaces

MIN_CODES: Final = 50
MIN_PARTICIPANTS: Final = 4
MAX_FOLDS: Final = 10
WEIGHT: Final = 4.0
"""How strongly the network's own calibration is held on to: as if log temperature and biases had a normal prior with a
standard deviation of a half, so that few codes move little (results/agreement.json tells what that gives)."""

Floats = NDArray[np.float64]
Parameters = tuple[float, tuple[float, ...]]
"""Temperature and biases."""


def fit(probabilities: Floats, labels: Floats, weight: float = WEIGHT) -> Parameters:
    """Return the temperature and biases with the greatest posterior likelihood.

    Args:
        probabilities: (n, classes) of the network.
        labels: (n, classes) share of the coders who saw each emotion; rows sum to 1.
        weight: precision of the prior, around temperature 1 and biases of 0.
    """
    from scipy.optimize import minimize

    logarithms = np.log(np.maximum(probabilities, 1e-30))
    limits = [(-np.log(MAX_TEMPERATURE), np.log(MAX_TEMPERATURE)), *([(-MAX_BIAS, MAX_BIAS)] * labels.shape[1])]

    def compute_loss(values: Floats) -> tuple[float, Floats]:
        scale = np.exp(-values[0])
        scaled = logarithms * scale + values[1:]
        top = scaled.max(axis=1, keepdims=True)
        log_sum = top + np.log(np.exp(scaled - top).sum(axis=1, keepdims=True))
        gaps = np.exp(scaled - log_sum) - labels
        slope = np.concatenate([[-(gaps * logarithms).sum() * scale], gaps.sum(axis=0)])
        loss = (labels * (log_sum - scaled)).sum() + weight / 2 * (values**2).sum()
        return float(loss), slope + weight * values

    start = np.zeros(1 + labels.shape[1])
    found = minimize(compute_loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    return float(np.exp(found[0])), tuple(float(b) for b in found[1:])


def cross_validate(
    probabilities: Floats, labels: Floats, participants: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Return the log loss of participants that a calibration was not fitted on, without and with it.

    Every participant counts once, however many of their moments were coded.

    Returns:
        Log loss without it, with it, and the standard error of their difference over participants.
    """
    folds = participants % MAX_FOLDS
    changed = np.empty_like(probabilities)
    for fold in np.unique(folds):
        is_out = folds == fold
        changed[is_out] = recalibrate(probabilities[is_out], *fit(probabilities[~is_out], labels[~is_out]))
    losses = []
    for values in (probabilities, changed):
        each = -(labels * np.log(np.maximum(values, 1e-12))).sum(axis=1)
        losses.append(np.array([each[participants == p].mean() for p in np.unique(participants)]))
    before, after = losses
    error = float((before - after).std(ddof=1) / np.sqrt(len(before))) if len(before) > 1 else float("inf")
    return float(before.mean()), float(after.mean()), error


def create_recalibration(
    probabilities: Floats,
    labels: Floats,
    participants: NDArray[np.int64],
    recordings: Sequence[RecordingFaces],
    coders: Sequence[str],
) -> Recalibration:
    """Fit a project's calibration.

    Args:
        probabilities: (n, classes) of the coded moments.
        labels: (n, classes) share of the coders who saw each emotion.
        participants: (n,) whose each moment is, numbered from 0.
        recordings: those that were coded.
        coders: their names.

    Raises:
        InputError: there are too few codes, the recordings were read in different ways, or it does not help.
    """
    problems = []
    n, n_people = len(labels), len(np.unique(participants))
    if n < MIN_CODES:
        problems.append(f"{n} coded moments are too few, {MIN_CODES} are needed")
    if n_people < MIN_PARTICIPANTS:
        problems.append(
            f"{n_people} participants are too few to see whether it holds for others, {MIN_PARTICIPANTS} are needed"
        )
    ways = {
        (identify_model(r.summary.model), r.summary.settings.views, r.summary.settings.balanced) for r in recordings
    }
    if len(ways) > 1:
        problems.append("the recordings were read by different models, views or operating points")
    if any(r.summary.settings.calibration for r in recordings):
        problems.append("the recordings were read with a project's calibration already; analyse them without one")
    if not problems:
        before, after, error = cross_validate(probabilities, labels, participants)
        # By more than chance gives: results/agreement.json tells how often that is mistaken.
        if not before - after > error:
            problems.append(
                f"on participants that it was not fitted on, log loss would be {after:.3f} instead of {before:.3f}, "
                f"give or take {error:.3f}: the network's own calibration may hold here as well"
            )
    if problems:
        raise InputError(f"no calibration was made: {'; '.join(problems)}")
    temperature, bias = fit(probabilities, labels)
    settings, model = recordings[0].summary.settings, recordings[0].summary.model
    return Recalibration(
        temperature=temperature,
        bias=bias,
        emotions=recordings[0].table.classes,
        model=str(model.get("name")),
        model_sha256=identify_model(model),
        views=settings.views or 1,
        balanced=bool(settings.balanced),
        codes=n,
        participants=n_people,
        coders=tuple(coders),
        log_loss=(before, after),
    )
