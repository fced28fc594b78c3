"""Do branches help: a family that varies them in, its trials' figures by their number out, the reference's beside."""

import numpy as np

from emoscope.study.recipes.families import Space
from emoscope.study.report.evidence import Family
from emoscope.study.report.hyperparameters import find_beside, list_varied
from emoscope.study.report.typeset import NONE, Column, Row, Table, format_figure


def create_branches(family: Family, space: Space) -> Table | None:
    """Create the table of trials by number of branches; None where the search does not choose it or has not begun."""
    done = [entry.training for entry in family.trials if entry.training]
    if "branches" not in list_varied(space) or not done:
        return None
    beside = find_beside("search", family.name, space)
    rows = []
    for n in sorted({run.config.branches for run in done}):
        runs = sorted((run for run in done if run.config.branches == n), key=lambda run: -run.validation["macro_f1"])
        scores = [run.validation["macro_f1"] for run in runs]
        # The reference study's networks are named `vgg16 (2 branches)`, some with their head.
        is_same = beside["architecture"].str.contains(rf"\({n} branch(?:es)?\b")
        theirs = beside[is_same]["f1_macro"]
        cells = [str(n), str(len(runs)), format_figure(scores[0]), runs[0].name, format_figure(float(np.mean(scores)))]
        rows.append(Row([*cells, NONE if theirs.empty else format_figure(float(theirs.max()))]))
    columns = [Column("branches"), Column("trials"), Column("best macro F1"), Column("run of the best", "run")]
    columns += [Column("mean macro F1"), Column("reference: best macro F1")]
    note = (
        "Trials differ in other settings too, and a search tries what looks good more often: the rows hint, the "
        "cross-validation tells."
    )
    caption = f"{family.name}: trials of the search by number of branches, on the hold-out's validation part."
    names = [run.name for run in done]
    return Table(f"{family.key}-branches", caption, columns, rows, [note], names)
