"""What files of figures hold; apart from what computes them, which takes a second to load."""

from typing import NotRequired

from typing_extensions import TypedDict


class ClassFigures(TypedDict):
    """Figures of one class."""

    precision: float
    recall: float
    f1: float
    auc: float | None
    auc_hard: float | None
    n: int


class Losses(TypedDict):
    """How far probabilities are off."""

    ece: float
    classwise_ece: float
    nll: float
    brier: float


class SetFigures(TypedDict):
    """Sets of emotions on some faces."""

    coverage: float
    """Share whose set holds the label."""
    size: float
    """Emotions in a set, on average."""


class Figures(Losses):
    """Figures of one measurement; see compute_metrics()."""

    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    mean_auc: float | None
    mean_auc_hard: float | None
    n: int
    per_class: dict[str, ClassFigures]
    interval_95: dict[str, list[float]]
    confusion: list[list[int]]


class TestFigures(Figures):
    """Figures on test images; see describe_test()."""

    balanced: Figures
    uncalibrated: Losses
    without_leaked: NotRequired[Figures]
    """Without images of which an identical one trained."""
    without_near_copies: NotRequired[Figures]
    """Without images of which a near-copy trained or validated."""
    sets: NotRequired[SetFigures]
