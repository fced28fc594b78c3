"""A family's best repeat in full: its evidence in; classes, confusion, ROC, reliability, learning curves out."""

import numpy as np

from emoscope.study.drawings.axes import MIN_IN_BIN, draw_confusion, draw_f1_curves, draw_reliability, draw_roc
from emoscope.study.measuring.metrics import describe_auc
from emoscope.study.measuring.records import TestFigures
from emoscope.study.report.blocks import Block, Drawing, Drawings, Paragraph, Section, TableBlock
from emoscope.study.report.evidence import Family, Training
from emoscope.study.report.svg import create_svg
from emoscope.study.report.typeset import NONE, Column, Row, Table, format_figure

SQUARE = (6.0, 5.0)
"""Inches."""


def find_best(family: Family) -> tuple[int, Training]:
    """Return the repeat with the highest test macro F1 and its index."""
    repeats = [(i, e.training) for i, e in enumerate(family.final) if e.training and e.training.test]
    scores = [t.test["macro_f1"] for _, t in repeats if t.test]
    return repeats[int(np.argmax(scores))]


def create_best(family: Family, reference: float | None) -> Section:
    """Create the section of the best repeat.

    Args:
        family: with a measured repeat.
        reference: mean AUC of hard predictions in the reference study, if it has the family.
    """
    i, run = find_best(family)
    assert run.test
    test = run.test
    n = len(family.measured)
    others = f"the best of {n} repeats by test macro F1" if n > 1 else "the only repeat measured yet"
    blocks: list[Block] = [
        Paragraph(
            f"Repeat {i + 1} (run {run.name}) is {others}: macro F1 {format_figure(test['macro_f1'])}. Picked by its "
            "test images, as the reference study does, it flatters: the result is the mean above.",
            "note",
        ),
        Paragraph(_describe_auc(test, reference)),
    ]
    drawings = [
        _draw_confusion(family.key, test),
        _draw_roc(family.key, run, test),
        _draw_reliability(family.key, run, test),
        _draw_history(family.key, run),
    ]
    blocks += [
        TableBlock(_create_classes(family, run, test)),
        Drawings(drawings),
        TableBlock(_create_confusion(family, run, test)),
    ]
    return Section(f"{family.key}-best", "Best repeat in full", blocks)


def _describe_auc(test: TestFigures, reference: float | None) -> str:
    mean, hard = test["mean_auc"], test["mean_auc_hard"]
    if mean is None:
        return "No area under a ROC curve can be given: the test images are all of one class."
    text = (
        f"The mean area under its {len(test['per_class'])} ROC curves is {format_figure(mean)} ({describe_auc(mean)} "
        "by Hosmer and Lemeshow's bands). That of curves drawn from hard predictions, one point per class, is "
        f"{format_figure(hard)}"
    )
    if reference is not None:
        return f"{text}; it alone compares with the reference study's {format_figure(reference)}."
    return f"{text}."


def _create_classes(family: Family, run: Training, test: TestFigures) -> Table:
    rows = []
    for name, figures in test["per_class"].items():
        band = NONE if figures["auc"] is None else describe_auc(figures["auc"])
        numbers = [format_figure(figures[key]) for key in ("precision", "recall", "f1", "auc")]
        rows.append(Row([name, *numbers, band, format_figure(figures["auc_hard"]), f"{figures['n']:,}"]))
    mean = [format_figure(test[key]) for key in ("macro_precision", "macro_recall", "macro_f1", "mean_auc")]
    band = NONE if test["mean_auc"] is None else describe_auc(test["mean_auc"])
    rows.append(Row(["mean", *mean, band, format_figure(test["mean_auc_hard"]), f"{test['n']:,}"], "summary"))
    numbers = ["precision", "recall", "F1", "AUC"]
    columns = [Column("class", "text"), *map(Column, numbers), Column("band of the AUC", "text")]
    columns += [Column("AUC of hard predictions"), Column("images")]
    caption = f"{family.name}: the best repeat, class by class, on the test images."
    return Table(f"{family.key}-classes", caption, columns, rows, runs=[run.name])


def _create_confusion(family: Family, run: Training, test: TestFigures) -> Table:
    rows = [
        Row([name, *(f"{count:,}" for count in counts)])
        for name, counts in zip(test["per_class"], test["confusion"], strict=True)
    ]
    columns = [Column("label", "text"), *map(Column, test["per_class"])]
    caption = f"{family.name}: the best repeat's predictions (columns) of each label's test images, counts."
    return Table(f"{family.key}-confusion", caption, columns, rows, runs=[run.name])


def _draw_confusion(key: str, test: TestFigures) -> Drawing:
    confusion = np.array(test["confusion"])
    shares = np.diag(confusion) / np.maximum(confusion.sum(axis=1), 1)
    alt = "Confusion matrix. Read rightly: " + ", ".join(
        f"{name} {share:.0%}" for name, share in zip(test["per_class"], shares, strict=True)
    )
    svg = create_svg(
        f"{key}-confusion-drawing", SQUARE, lambda axes: draw_confusion(axes, confusion, tuple(test["per_class"])), alt
    )
    return Drawing(f"{key}-confusion-drawing", "Confusion matrix, each row adds up to 100 %.", svg)


def _draw_roc(key: str, run: Training, test: TestFigures) -> Drawing:
    probabilities = run.compute_probabilities()[1]
    labels = run.predictions[1]
    alt = "ROC curves, one class against the rest. Areas: " + ", ".join(
        f"{name} {figures['auc']:.3f}" for name, figures in test["per_class"].items() if figures["auc"] is not None
    )
    svg = create_svg(
        f"{key}-roc", SQUARE, lambda axes: draw_roc(axes, probabilities, labels, tuple(test["per_class"])), alt
    )
    return Drawing(f"{key}-roc", "ROC curves from probabilities, one class against the rest, and their mean.", svg)


def _draw_reliability(key: str, run: Training, test: TestFigures) -> Drawing:
    plain, calibrated = run.compute_probabilities()
    labels = run.predictions[1]
    # So few test images that no bin would be left are shown as they are.
    least = min(MIN_IN_BIN, max(1, len(labels) // 50))
    curves = [("as trained", plain, labels), ("calibrated on the validation part", calibrated, labels)]
    before, after = test["uncalibrated"]["ece"], test["ece"]
    alt = f"Reliability diagram. Expected calibration error {before:.4f} as trained, {after:.4f} calibrated."
    svg = create_svg(f"{key}-reliability", SQUARE, lambda axes: draw_reliability(axes, curves, least), alt)
    caption = f"Reliability on the test images: ECE {before:.4f} as trained, {after:.4f} calibrated."
    if least < MIN_IN_BIN:
        caption += f" Bins hold as few as {least} of {len(labels)} images and scatter."
    return Drawing(f"{key}-reliability", caption, svg)


def _draw_history(key: str, run: Training) -> Drawing:
    history, best = run.run.load_history(), run.result["best_epoch"]
    alt = f"Macro F1 over {len(history)} epochs on training and validation part; epoch {best} was kept."
    svg = create_svg(f"{key}-history", SQUARE, lambda axes: draw_f1_curves(axes, history, best), alt)
    caption = "Learning curves: macro F1 on the training part, as predicted while learning, and on the validation part."
    return Drawing(f"{key}-history", caption, svg)
