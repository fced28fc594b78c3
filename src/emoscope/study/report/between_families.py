"""The families side by side: evidence in; test figures with intervals, and which differences are findings, out."""

import itertools
from collections.abc import Mapping

import pandas as pd

from emoscope.study.drawings.axes import Estimate, draw_estimates
from emoscope.study.measuring.reference import METRICS
from emoscope.study.measuring.statistics import (
    MeanInterval,
    compute_corrected_t_test,
    compute_mcnemar,
    compute_mean_interval,
)
from emoscope.study.report.blocks import Block, Drawing, Drawings, Paragraph, Section, TableBlock
from emoscope.study.report.evidence import Evidence, Family, Training
from emoscope.study.report.family import (
    FIGURES,
    FINAL_FIGURES,
    TITLES,
    estimate_f1,
    estimate_repeats,
    format_spreads,
    list_f1,
)
from emoscope.study.report.hyperparameters import find_auc, find_beside
from emoscope.study.report.svg import create_svg
from emoscope.study.report.typeset import (
    NONE,
    Column,
    Row,
    Table,
    format_difference,
    format_figure,
    format_interval,
    format_p,
)

LEVEL = 0.05
"""Of significance, for all comparisons together."""

INTERVAL = "95 % interval of macro F1"


def create_comparison(evidence: Evidence) -> Section:
    """Create the section that compares the families that were measured."""
    section = Section("comparison", "Comparison of the families")
    families = [family for family in evidence.families.values() if family.measured]
    waiting = [family.name for family in evidence.families.values() if not family.measured]
    if waiting:
        section.blocks.append(Paragraph(f"Not measured on test images yet: {', '.join(waiting)}.", "missing"))
    if families:
        # The best first, as in the reference study.
        ours = {family.name: estimate_f1(family) for family in families}
        families.sort(key=lambda f: -ours[f.name]["mean"])
        section.blocks += [
            TableBlock(_create_headline(evidence, families, ours)),
            _draw_headline(evidence, families, ours),
        ]
    if len(evidence.families) > 1:
        section.sections.append(Section("paired", "Which differences are findings", _create_paired(evidence)))
    return section


def _create_headline(evidence: Evidence, families: list[Family], ours: Mapping[str, MeanInterval]) -> Table:
    rows = []
    for family in families:
        estimates = {key: estimate_repeats(family.measured, key) for key in FINAL_FIGURES}
        cells = [family.name, family.measured[0].config.network, str(len(family.measured))]
        cells += format_spreads([estimates[key] for key in FIGURES])
        cells.append(format_interval(ours[family.name]["interval_95"]))
        cells += [format_figure(estimates[key]["mean"]) for key in ("mean_auc", "mean_auc_hard", "ece")]
        rows.append(Row(cells, is_first=True, is_best=family is families[0]))
        beside = _find_final(evidence, family)
        if not beside.empty:
            theirs = [compute_mean_interval(beside[m].tolist()) for m in METRICS]
            cells = [
                "reference",
                f"{beside.iloc[0]['architecture']}, {beside.iloc[0]['input_px']} px",
                str(len(beside)),
            ]
            cells += [*format_spreads(theirs), format_interval(theirs[-1]["interval_95"])]
            auc = find_auc(family.name, evidence.comparison.families[family.name])
            rows.append(Row([*cells, NONE, format_figure(auc), NONE], "reference"))
    columns = [Column("family", "text"), Column("network", "text"), Column("repeats"), *map(Column, TITLES)]
    columns += [Column(INTERVAL), Column("mean AUC"), Column("mean AUC, hard predictions"), Column("ECE")]
    notes = [
        "Mean ± standard deviation over the final repeats, single views. Our interval is that of other repeats on "
        "other test images of the same kind (t over the repeats and bootstrap over the images together), the "
        "reference's that of other repeats on its own. Reference: the figures of the reference study "
        "(2022) on its own test part, of which copies stood among its training images; its AUC is its best repeat's, "
        "from hard predictions."
    ]
    protocol = " and ".join(evidence.protocols)
    names = [t.name for family in families for t in family.measured]
    caption = f"Test figures of each family's winner, {protocol} protocol, beside the reference study's."
    return Table("comparison", caption, columns, rows, notes, names)


def _find_final(evidence: Evidence, family: Family) -> pd.DataFrame:
    return find_beside("final", family.name, evidence.comparison.families[family.name])


def _draw_headline(evidence: Evidence, families: list[Family], ours: Mapping[str, MeanInterval]) -> Drawings:
    rows = []
    for family in families:
        found = ours[family.name]
        beside = _find_final(evidence, family)["f1_macro"].tolist()
        theirs = compute_mean_interval(beside) if beside else None
        reference = (theirs["mean"], theirs["interval_95"]) if theirs else None
        rows.append(Estimate(family.name, list_f1(family), found["mean"], found["interval_95"], reference))
    alt = "Mean test macro F1: " + ", ".join(f"{row.name} {row.mean:.4f}" for row in rows)
    size = (9.0, 1.3 + 0.55 * len(rows))
    svg = create_svg("estimates", size, lambda axes: draw_estimates(axes, rows, "test macro F1"), alt)
    caption = (
        "Test macro F1 of each family: every repeat, their mean and its 95 % interval; below, the reference study's."
    )
    return Drawings([Drawing("estimates", caption, svg)])


def _create_paired(evidence: Evidence) -> list[Block]:
    pairs = list(itertools.combinations(evidence.families.values(), 2))
    # Two tables with one row per pair each: a chance finding may come out of either.
    n_compared = 2 * len(pairs)
    folds = [row for pair in pairs if (row := _compare_folds(evidence, *pair, n_compared))]
    images = [row for pair in pairs if (row := _compare_images(*pair, n_compared))]
    blocks: list[Block] = [
        Paragraph(
            f"The p values are not corrected for the number of comparisons, {n_compared} in both tables. A difference "
            f"is called a finding only where p < {LEVEL / n_compared:.2g}, which is {LEVEL} / {n_compared} "
            f"(Bonferroni); a hint where p < {LEVEL}. Anything else may be chance, whatever its sign."
        )
    ]
    if folds:
        columns = [Column("families", "text"), Column("difference in macro F1"), Column("95 % interval"), Column("t")]
        columns += [Column("p"), Column("folds"), Column("verdict", "text")]
        note = (
            "Both winners on the same folds; the corrected resampled t-test (Nadeau and Bengio, 2003) allows for the "
            "overlap of the folds' training parts. It speaks of the way to train."
        )
        names = [t.name for family in evidence.families.values() for t in find_winner_folds(evidence, family)]
        caption = "The families' winners in cross-validation, in pairs (first minus second)."
        blocks.append(TableBlock(Table("t-test", caption, columns, folds, [note], names)))
    if images:
        columns = [Column("families", "text"), Column("only the first is right"), Column("only the second is right")]
        columns += [Column("p"), Column("test images"), Column("repeat"), Column("verdict", "text")]
        note = (
            "One repeat of each family on the same test images, McNemar's exact test. It speaks of these two trained "
            "networks and their accuracy, not of the families."
        )
        names = [t.name for family in evidence.families.values() for t in family.measured]
        blocks.append(
            TableBlock(Table("mcnemar", "Final repeats on the same images, in pairs.", columns, images, [note], names))
        )
    if len(folds) < len(pairs):
        text = f"{len(pairs) - len(folds)} of {len(pairs)} pairs cannot be compared on the same folds"
        blocks.append(Paragraph(f"{text}: a cross-validation is not finished, or its folds are others.", "missing"))
    return blocks


def find_winner_folds(evidence: Evidence, family: Family) -> list[Training]:
    """Return the winner's trainings on all folds; none before it is known."""
    return family.candidates[family.winner].folds if family.winner is not None else []


def judge(p: float | None, n_compared: int) -> str:
    """Return what a difference with this p value is among so many comparisons."""
    if p is None:
        return NONE
    return "finding" if p < LEVEL / n_compared else "hint" if p < LEVEL else "no finding"


def _compare_folds(evidence: Evidence, first: Family, second: Family, n_compared: int) -> Row | None:
    ours, theirs = find_winner_folds(evidence, first), find_winner_folds(evidence, second)
    if not ours or [t.facts["split"] for t in ours] != [t.facts["split"] for t in theirs]:
        return None
    n_train, n_validation, _ = ours[0].part_sizes
    scores = [[t.validation["macro_f1"] for t in folds] for folds in (ours, theirs)]
    test = compute_corrected_t_test(scores[0], scores[1], n_train, n_validation)
    t = NONE if test["t"] is None else f"{test['t']:.2f}".replace("-", "−")
    cells = [f"{first.name} − {second.name}", format_difference(test["mean_difference"])]
    cells += [format_interval(test["interval_95"], is_difference=True), t, format_p(test["p"]), str(test["n"])]
    verdict = judge(test["p"], n_compared)
    return Row([*cells, verdict], is_best=verdict == "finding")


def _compare_images(first: Family, second: Family, n_compared: int) -> Row | None:
    """Compare the first repeats of the same number that both families have, if their test images are the same."""
    for i, (a, b) in enumerate(zip(first.final, second.final, strict=False)):
        if a.training and b.training and a.training.test and b.training.test:
            (rows, labels, ours), (other_rows, _, theirs) = a.training.predictions, b.training.predictions
            if rows.tolist() != other_rows.tolist():
                return None
            test = compute_mcnemar(ours[:, 0].argmax(1) == labels, theirs[:, 0].argmax(1) == labels)
            verdict = judge(test["p"], n_compared)
            cells = [f"{first.name} − {second.name}", f"{test['b']:,}", f"{test['c']:,}", format_p(test["p"])]
            return Row([*cells, f"{test['n']:,}", str(i + 1), verdict], is_best=verdict == "finding")
    return None
