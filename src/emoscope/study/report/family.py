"""One family: evidence in; its search, cross-validation and final repeats out, the reference study's beside."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import pandas as pd

from emoscope.study.drawings.axes import draw_search
from emoscope.study.measuring.metrics import compute_f1_deviation
from emoscope.study.measuring.reference import METRICS
from emoscope.study.measuring.statistics import (
    MeanInterval,
    Unknown,
    compute_corrected_t_test,
    compute_mean_interval,
    widen_by_images,
)
from emoscope.study.recipes.families import Comparison, Space
from emoscope.study.report.best import create_best
from emoscope.study.report.blocks import Block, Drawing, Drawings, Paragraph, Section, TableBlock
from emoscope.study.report.branches import create_branches
from emoscope.study.report.evidence import Candidate, Evidence, Family, Training
from emoscope.study.report.hyperparameters import (
    REFERENCE_COLUMNS,
    REFERENCE_KEYS,
    create_columns,
    describe_fixed,
    find_auc,
    find_beside,
    format_point,
    format_reference,
)
from emoscope.study.report.searched import create_search_drawings
from emoscope.study.report.svg import create_svg
from emoscope.study.report.typeset import (
    NONE,
    Column,
    Row,
    Table,
    format_duration,
    format_figure,
    format_interval,
    format_spread,
)

Score = Literal["accuracy", "macro_precision", "macro_recall", "macro_f1"]
Figure = Literal["accuracy", "macro_precision", "macro_recall", "macro_f1", "ece", "mean_auc", "mean_auc_hard"]
FIGURES: Final[tuple[Score, ...]] = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
FINAL_FIGURES: Final[tuple[Figure, ...]] = (*FIGURES, "ece", "mean_auc", "mean_auc_hard")
TITLES = ("accuracy", "precision", "recall", "macro F1")
RUN = Column("run", "run")


def create_family(evidence: Evidence, family: Family) -> Section:
    """Create a family's section; phases that have not begun are named as missing."""
    space = evidence.comparison.families[family.name]
    blocks = [Paragraph(f"In every training: {describe_fixed(space)}.", "note")]
    sections = [
        Section(f"{family.key}-search", "Search", _create_search(evidence.comparison, family, space)),
        Section(f"{family.key}-crossval", "Cross-validation", _create_crossval(evidence.comparison, family, space)),
        Section(f"{family.key}-final", "Final repeats", _create_final(family, space)),
    ]
    if family.measured:
        sections.append(create_best(family, find_auc(family.name, space)))
    return Section(f"family-{family.key}", f"Family {family.name}", list(blocks), sections)


def name_missing(family: Family, phase: str) -> list[Paragraph]:
    """Return a line that says what of a phase is not there yet, or nothing."""
    status = family.phases[phase]
    if not status.n_left:
        return []
    failed = f", {status.n_failed} failed" if status.n_failed else ""
    text = f"Not finished: {status.n_done} of {status.n_total} trainings are done{failed}."
    return [Paragraph(text, "missing")]


def _create_search(comparison: Comparison, family: Family, space: Space) -> list[Block]:
    blocks: list[Block] = [*name_missing(family, "search")]
    beside = find_beside("search", family.name, space)
    reference = None if beside.empty else float(beside["f1_macro"].max())
    if family.trials:
        chosen = {c.config: i + 1 for i, c in enumerate(family.candidates)}
        scores = [e.training.validation["macro_f1"] if e.training else None for e in family.trials]
        rows = []
        for i, entry in enumerate(family.trials):
            cells = [str(i + 1), *format_point(space, entry.config)]
            if (run := entry.training) is None:
                cells += [*[NONE] * 4, "", f"failed: {entry.problem}"]
            else:
                cells += [format_figure(run.validation[key]) for key in ("macro_f1", "accuracy")]
                cells += [str(run.result["epochs"]), format_duration(run.result["train_s"])]
                cells += [str(chosen.get(entry.config, "")), run.name]
            rows.append(Row(cells, is_best=entry.config in chosen))
        numbers = [Column("macro F1"), Column("accuracy"), Column("epochs"), Column("time")]
        table = Table(
            f"{family.key}-search",
            f"{family.name}: trials of the search, measured on the hold-out's validation part.",
            [Column("trial"), *create_columns(space), *numbers, Column("candidate"), RUN],
            rows,
        )
        svg = create_svg(
            f"{family.key}-search",
            (9.0, 3.0),
            lambda axes: draw_search(axes, scores, reference),
            _describe_search(scores),
        )
        caption = f"{family.name}: macro F1 of each trial on the hold-out's validation part, and the best so far."
        blocks += [TableBlock(table), Drawings([Drawing(f"{family.key}-search", caption, svg)])]
        blocks += create_search_drawings(family, space)
        if branches := create_branches(family, space):
            blocks.append(TableBlock(branches))
    return blocks + _list_reference(f"{family.key}-search", f"{family.name}: best trials of the search", beside)


def _describe_search(scores: Sequence[float | None]) -> str:
    done = [score for score in scores if score is not None]
    if not done:
        return f"All {len(scores)} trials failed."
    best = max(done)
    return f"Macro F1 of {len(scores)} trials; the best, {best:.4f}, was trial {scores.index(best) + 1}."


def _list_reference(key: str, caption: str, rows: pd.DataFrame) -> list[TableBlock]:
    """Return the reference study's trainings one by one."""
    if rows.empty:
        return []
    notes = []
    if rows["is_f1_only"].any():
        notes.append(
            "Accuracy, precision and recall are left out: the source's table repeats those of another family there."
        )
    body = []
    for _, row in rows.iterrows():
        # Its table of DenseNet's search repeats another table's figures but for macro F1.
        figures = [None if row["is_f1_only"] and m != "f1_macro" else row[m] for m in METRICS]
        body.append(Row([*format_reference(row), *map(format_figure, figures)], "reference"))
    columns = [*REFERENCE_COLUMNS, *(Column(title) for title in TITLES)]
    table = Table(f"{key}-reference", f"Reference study, 2022 – {caption}.", columns, body, notes)
    return [TableBlock(table)]


def _average_reference(key: str, caption: str, rows: pd.DataFrame) -> list[TableBlock]:
    """Return the reference study's trainings averaged over folds."""
    if rows.empty:
        return []
    body = []
    for _, group in rows.groupby(REFERENCE_KEYS, sort=False):
        spreads = format_spreads([compute_mean_interval(group[m].tolist()) for m in METRICS])
        body.append(Row([*format_reference(group.iloc[0]), str(len(group)), *spreads], "reference"))
    columns = [*REFERENCE_COLUMNS, Column("folds"), *(Column(title) for title in TITLES)]
    return [TableBlock(Table(f"{key}-reference", f"Reference study, 2022 – {caption}.", columns, body))]


def estimate_folds(folds: Sequence[Training], key: Score = "macro_f1") -> MeanInterval:
    """Compute mean, standard deviation and interval over folds, widened because their training parts overlap."""
    scores = [fold.validation[key] for fold in folds]
    n_train, n_validation, _ = folds[0].part_sizes
    # A test against nothing gives the interval of the mean itself.
    interval = compute_corrected_t_test(scores, [0.0] * len(scores), n_train, n_validation)["interval_95"]
    return {**compute_mean_interval(scores), "interval_95": bound(interval)}


def format_spreads(estimates: Sequence[MeanInterval | Unknown]) -> list[str]:
    """Return accuracy and macro F1 with their standard deviations; of precision and recall the means are enough."""
    accuracy, precision, recall, f1 = estimates
    return [format_spread(accuracy), *(format_figure(e["mean"]) for e in (precision, recall)), format_spread(f1)]


def bound(interval: Sequence[float] | None) -> list[float] | None:
    """Cut an interval of a share off at 0 and 1, which few repeats' can pass."""
    return None if interval is None else [min(max(end, 0.0), 1.0) for end in interval]


def _create_crossval(comparison: Comparison, family: Family, space: Space) -> list[Block]:
    blocks: list[Block] = [*name_missing(family, "crossval")]
    started = [(i, c) for i, c in enumerate(family.candidates) if c.folds or c.problem]
    if started:
        columns = [Column("candidate"), *create_columns(space), Column("folds")]
        columns += [*(Column(title) for title in TITLES), Column("95 % interval of macro F1"), Column("", "text")]
        rows = []
        for i, candidate in started:
            cells = [str(i + 1), *format_point(space, candidate.config), str(len(candidate.folds))]
            # Some folds' mean is no candidate's figure.
            if len(candidate.folds) == comparison.folds:
                estimates = [estimate_folds(candidate.folds, key) for key in FIGURES]
                cells += [*format_spreads(estimates), format_interval(estimates[-1]["interval_95"])]
                state = "winner" if i == family.winner else ""
            else:
                cells += [NONE] * 5
                state = f"failed: {candidate.problem}" if candidate.problem else "not finished"
            rows.append(Row([*cells, state], is_best=i == family.winner))
        notes = [
            "Mean ± standard deviation over the folds. The interval allows for the overlap of their training parts "
            "(Nadeau and Bengio, 2003). The winner was chosen by these means, which makes its own a little optimistic."
        ]
        caption = f"{family.name}: candidates by cross-validation on the same {comparison.folds} folds."
        names = [fold.name for _, c in started for fold in c.folds]
        blocks.append(TableBlock(Table(f"{family.key}-candidates", caption, columns, rows, notes, names)))
        blocks.append(TableBlock(_create_folds(comparison, family, [(i, c) for i, c in started if c.folds])))
    beside = find_beside("cross-validation", family.name, space)
    caption = f"{family.name}: candidates by cross-validation"
    return blocks + _average_reference(f"{family.key}-crossval", caption, beside)


def _create_folds(comparison: Comparison, family: Family, started: list[tuple[int, Candidate]]) -> Table:
    rows = []
    for i, candidate in started:
        for n, fold in enumerate(candidate.folds):
            figures = [format_figure(fold.validation[key]) for key in FIGURES]
            rows.append(Row([str(i + 1), str(n + 1), *figures, fold.name], is_first=n == 0))
        if len(candidate.folds) == comparison.folds:
            estimates = [estimate_folds(candidate.folds, key) for key in FIGURES]
            rows += summarize(estimates, [str(i + 1)], [""])
    columns = [Column("candidate"), Column("fold", "text"), *(Column(title) for title in TITLES), RUN]
    return Table(f"{family.key}-folds", f"{family.name}: each candidate on each fold.", columns, rows)


def summarize(estimates: Sequence[MeanInterval | Unknown], before: list[str], after: list[str]) -> list[Row]:
    """Return the rows of mean, standard deviation and interval below single figures."""
    return [
        Row([*before, "mean", *(format_figure(e["mean"]) for e in estimates), *after], "summary"),
        Row([*before, "standard deviation", *(format_figure(e["sd"]) for e in estimates), *after], "summary"),
        *(
            Row([*before, f"95 % interval, {word}", *(format_figure(e) for e in ends), *after], "summary")
            for word, ends in zip(
                ("from", "to"), zip(*(e["interval_95"] or (None, None) for e in estimates), strict=True), strict=True
            )
        ),
    ]


def estimate_repeats(trainings: Sequence[Training], key: Figure) -> MeanInterval | Unknown:
    """Compute mean, standard deviation and interval of a test figure; all None where a repeat lacks it."""
    values = [value for t in trainings if t.test and (value := t.test[key]) is not None]
    if len(values) < len(trainings):
        return {"mean": None, "sd": None, "interval_95": None, "n": len(values)}
    return estimate(values)


def estimate(values: Sequence[float]) -> MeanInterval:
    """Compute mean, standard deviation and interval of shares."""
    found = compute_mean_interval(values)
    return {**found, "interval_95": bound(found["interval_95"])}


def list_f1(family: Family) -> list[float]:
    """Return the test macro F1 of each repeat that was measured."""
    return [t.test["macro_f1"] for t in family.measured if t.test]


def estimate_f1(family: Family) -> MeanInterval:
    """Compute mean, standard deviation and interval of test macro F1, for other repeats on other test images.

    Where repeats were measured on different images, their spread holds both already.
    """
    found = compute_mean_interval(list_f1(family))
    measured = [t.predictions for t in family.measured if t.test]
    rows, labels, _ = measured[0]
    if len(measured) > 1 and all(np.array_equal(rows, other) for other, _, _ in measured[1:]):
        predictions = np.stack([logits[:, 0].argmax(1) for _, _, logits in measured])
        found = {**found, "interval_95": widen_by_images(found, compute_f1_deviation(predictions, labels))}
    return {**found, "interval_95": bound(found["interval_95"])}


def _create_final(family: Family, space: Space) -> list[Block]:
    blocks: list[Block] = [*name_missing(family, "final")]
    beside = find_beside("final", family.name, space)
    if not family.measured:
        return blocks
    is_leaky = any("without_leaked" in (t.test or {}) for t in family.measured)
    rows = []
    for i, entry in enumerate(family.final):
        if (run := entry.training) is None or run.test is None:
            problem = f"failed: {entry.problem}" if entry.problem else "not measured yet"
            rows.append(Row([str(i + 1), *[NONE] * (len(FINAL_FIGURES) + is_leaky), problem]))
            continue
        figures = [run.test[key] for key in FINAL_FIGURES]
        if is_leaky:
            figures.append(run.test["without_leaked"]["macro_f1"])
        rows.append(Row([str(i + 1), *map(format_figure, figures), run.name]))
    after = [""] * (1 + is_leaky)
    rows += summarize([estimate_repeats(family.measured, key) for key in FINAL_FIGURES], [], after)
    if not beside.empty:
        rows += _summarize_reference(beside, after)
    columns = [Column("repeat", "text"), *(Column(title) for title in TITLES), Column("ECE"), Column("mean AUC")]
    columns.append(Column("mean AUC, hard predictions"))
    columns += [Column("macro F1 without copies of training images")] if is_leaky else []
    table = Table(
        f"{family.key}-final",
        f"{family.name}: the winner trained {len(family.final)} times, each measured on the same test images.",
        [*columns, RUN],
        rows,
        [
            "The interval says where the mean of many such trainings lies on these test images; others would move all "
            "repeats together. ECE is that of probabilities calibrated on the validation part."
        ],
    )
    return [*blocks, TableBlock(table)]


def _summarize_reference(rows: pd.DataFrame, after: list[str]) -> list[Row]:
    estimates = [compute_mean_interval(rows[m].tolist()) for m in METRICS]
    pad = [NONE] * (len(FINAL_FIGURES) - len(METRICS))
    name = f"reference, {rows.iloc[0]['architecture']} at {rows.iloc[0]['input_px']} px"
    return [
        Row(
            [f"{name}: mean of {len(rows)}", *(format_figure(e["mean"]) for e in estimates), *pad, *after], "reference"
        ),
        Row(["reference: standard deviation", *(format_figure(e["sd"]) for e in estimates), *pad, *after], "reference"),
    ]
