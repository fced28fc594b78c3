"""The resizing study: families that vary pictures' size or kernel in, figures by size and the kernels out."""

from emoscope.study.data.dataset import Dataset
from emoscope.study.recipes.families import Space
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.report.blocks import Paragraph, Section, TableBlock
from emoscope.study.report.evidence import Candidate, Evidence, Family, Training
from emoscope.study.report.family import estimate_folds
from emoscope.study.report.hyperparameters import find_beside, list_sizes, list_varied
from emoscope.study.report.samples import show_kernels
from emoscope.study.report.typeset import NONE, Column, Row, Table, format_figure, format_interval, format_spread

KEYS = ("sizes_px", "kernel")


def create_resizing(evidence: Evidence, dataset: Dataset | None) -> Section | None:
    """Create the section of the resizing study; None where no family varies size or kernel."""
    families = [
        family
        for family in evidence.families.values()
        if set(KEYS) & set(list_varied(evidence.comparison.families[family.name]))
    ]
    if not families:
        return None
    section = Section("resizing", "Resizing the pictures")
    for family in families:
        space = evidence.comparison.families[family.name]
        if any(entry.training for entry in family.trials):
            section.blocks.append(TableBlock(_create_sizes(evidence, family, space)))
        else:
            section.blocks.append(Paragraph(f"{family.name}: no trial of its search is done yet.", "missing"))
    largest = max(max(list_sizes(evidence.comparison.families[family.name])) for family in families)
    section.blocks.append(show_kernels(dataset, largest))
    return section


def _describe(config: TrainConfig) -> tuple[int, str]:
    return config.size_px, config.kernel


def _create_sizes(evidence: Evidence, family: Family, space: Space) -> Table:
    """Return one row per size and kernel: its best trial, and its best candidate's folds where it has one."""
    done = [entry.training for entry in family.trials if entry.training]
    beside = find_beside("search", family.name, space)
    rows: list[Row] = []
    best = max(done, key=_score)
    for size_px, kernel in sorted({_describe(run.config) for run in done}):
        runs = [run for run in done if _describe(run.config) == (size_px, kernel)]
        top = max(runs, key=_score)
        cells = [str(size_px), kernel, str(len(runs))]
        cells += [format_figure(top.validation["macro_f1"]), format_figure(top.validation["accuracy"]), top.name]
        cells += _average(evidence, [c for c in family.candidates if _describe(c.config) == (size_px, kernel)])
        # Kernels were compared by eye there; its figures are bilinear.
        same = beside[(beside["input_px"] == size_px) & (kernel in ("bilinear", "auto"))]["f1_macro"]
        cells.append(NONE if same.empty else format_figure(float(same.max())))
        rows.append(Row(cells, is_best=top is best))
    columns = [Column("size, px"), Column("kernel", "text"), Column("trials"), Column("macro F1"), Column("accuracy")]
    columns += [Column("run", "run"), Column("cross-validation macro F1"), Column("95 % interval")]
    columns.append(Column("reference: macro F1 of the trial"))
    notes = [
        "The best trial of each on the hold-out's validation part, and mean ± standard deviation over the folds of a "
        "candidate. Single trials differ by chance as repeats do, so small differences between rows are no findings. "
        "The reference study's figures are bilinear, one trial each."
    ]
    names = [fold.name for candidate in family.candidates for fold in candidate.folds]
    caption = f"{family.name}: validation figures by the pictures' size and kernel."
    return Table(f"{family.key}-sizes", caption, columns, rows, notes, names)


def _score(run: Training) -> float:
    return float(run.validation["macro_f1"])


def _average(evidence: Evidence, candidates: list[Candidate]) -> list[str]:
    """Return mean and interval of the best candidate that was trained on all folds."""
    whole = [estimate_folds(c.folds) for c in candidates if len(c.folds) == evidence.comparison.folds]
    if not whole:
        return [NONE, NONE]
    top = max(whole, key=lambda estimate: float(estimate["mean"]))
    return [format_spread(top), format_interval(top["interval_95"])]
