"""What was run, on what, where and how long, and how far it is: evidence in, the report's first sections out."""

import json

from emoscope.study.data.dataset import Dataset
from emoscope.study.data.describe import describe_dataset
from emoscope.study.drawings.axes import draw_counts
from emoscope.study.networks.catalogue import find_network_facts
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.report.blocks import Block, Drawing, Drawings, Facts, Paragraph, Section, TableBlock
from emoscope.study.report.evidence import Evidence, Family
from emoscope.study.report.family import estimate_f1
from emoscope.study.report.hyperparameters import SOURCE
from emoscope.study.report.samples import show_augmented, show_samples
from emoscope.study.report.svg import create_svg
from emoscope.study.report.typeset import (
    Column,
    Row,
    Table,
    format_duration,
    format_interval,
    format_spread,
    join_names,
)
from emoscope.study.running.status import PHASES, estimate_left_s

PHASE_NAMES = {"search": "search", "crossval": "cross-validation", "final": "final repeats"}
SAMPLERS = {"gp": "Gaussian process with expected improvement", "tpe": "Parzen estimator", "random": "random"}
PROTOCOLS = {
    "random": "random (20 % test; the rest drawn into train and validation; copies of an image stay on one side)",
    "thesis": "thesis (20 % test; the rest drawn into train and validation; copies of an image stay on one side)",
    "folders": "folders (the parts that the dataset marks)",
    "naive": "naive (20 % test; copies of an image may stand on both sides)",
}
LEAK_WARNING = (
    "This study uses the naive split: copies of test images stand among the training images, as in the reference "
    "study, and so its test figures are too good. Where they can be told apart, figures without these images stand "
    "beside. Never set these figures beside those of another protocol without saying so."
)


def create_summary(evidence: Evidence) -> Section:
    """Create the summary: facts, what was run and, of an unfinished study, how far it is."""
    blocks: list[Block] = []
    if "naive" in evidence.protocols:
        blocks.append(Paragraph(LEAK_WARNING, "warning"))
    if evidence.comparison.images:
        share = "each class with its share" if evidence.comparison.stratified else "as many of each class"
        text = (
            f"This study uses about {evidence.comparison.images:,} images, {share}. Such a sample compares networks "
            "with each other at best; it does not tell how good one is with all images."
        )
        blocks.append(Paragraph(text, "warning"))
    if lead := _write_lead(evidence):
        blocks.append(Paragraph(lead))
    blocks.append(Facts(_list_facts(evidence)))
    if any(phase.n_left for phase in evidence.phases):
        blocks += _create_status(evidence)
    blocks.append(TableBlock(_create_extent(evidence)))
    return Section("summary", "Summary", blocks)


def _write_lead(evidence: Evidence) -> str:
    measured = [family for family in evidence.families.values() if family.measured]
    if not measured:
        return ""
    ours = {family.name: estimate_f1(family) for family in measured}
    best = max(measured, key=lambda family: ours[family.name]["mean"])
    top = ours[best.name]
    interval = format_interval(top["interval_95"])
    text = (
        f"Highest mean macro F1 on the test images{'' if len(measured) == len(evidence.families) else ' so far'}: "
        f"{best.name} ({best.measured[0].config.network}), {format_spread(top)} over {top['n']} "
        f"{'repeat' if top['n'] == 1 else 'repeats'}"
    )
    return f"{text}, 95 % interval {interval}." if top["interval_95"] else f"{text}."


def _list_facts(evidence: Evidence) -> list[tuple[str, str]]:
    comparison, trainings = evidence.comparison, evidence.trainings
    search = comparison.search
    rows = [
        ("Search", f"at most {search.trials} trials per family by {SAMPLERS[search.sampler]}, by macro F1"),
        ("Cross-validation", f"the {search.candidates} best trials of each family on {comparison.folds} folds"),
        ("Final", f"the winner of each family trained {comparison.repeats} times and measured on the test images"),
        ("Protocol", "; ".join(PROTOCOLS.get(p, p) for p in evidence.protocols)),
        ("Dataset", f"fingerprint (SHA-256) {evidence.data_sha256}"),
    ]
    if trainings:
        n_train, n_validation, n_test = trainings[0].part_sizes
        text = f"{n_train + n_validation + n_test:,}, of which {n_test:,} test"
        seconds = sum(t.result["train_s"] for t in trainings)
        rows += [
            ("Images", text),
            ("Trainings", f"{len(trainings):,} finished, {format_duration(seconds)} of training"),
            ("Precision", join_names(sorted({t.result["precision"] for t in trainings}))),
            *_describe_environments(evidence),
        ]
    return [*rows, *_describe_weights(evidence), ("Reference study", SOURCE)]


def _describe_environments(evidence: Evidence) -> list[tuple[str, str]]:
    """Return each different machine with its packages, and how many trainings it did."""
    counts: dict[str, int] = {}
    for training in evidence.trainings:
        text = json.dumps(training.facts["environment"], sort_keys=True)
        counts[text] = counts.get(text, 0) + 1
    rows = []
    for text, n in sorted(counts.items(), key=lambda item: -item[1]):
        values = json.loads(text)
        packages = values.pop("packages", {})
        machine = f"{values.pop('processor', '')} ({values.pop('machine', '')})"
        rest = [f"{key} {value}" for key, value in values.items()]
        share = f" – {n} trainings" if len(counts) > 1 else ""
        rows.append((f"Machine{share}", ", ".join([machine, *rest])))
        rows.append((f"Packages{share}", ", ".join(f"{name} {version}" for name, version in packages.items())))
    return rows


def list_configs(evidence: Evidence, family: str) -> list[TrainConfig]:
    """Return one training of each network that a family may choose."""
    space = evidence.comparison.families[family]
    point = dict.fromkeys(space.values, 0)
    if "network" not in space.values:
        return [space.create_config(point)]
    return [space.create_config({**point, "network": i}) for i in range(len(space.values["network"]))]


def _describe_weights(evidence: Evidence) -> list[tuple[str, str]]:
    """Return what the networks' weights begin as."""
    configs = [config for family in evidence.families for config in list_configs(evidence, family)]
    pretrained = join_names(f"{c.network} ({find_network_facts(c.network).weights})" for c in configs if c.pretrained)
    scratch = join_names(config.network for config in configs if not config.pretrained)
    rows = [("Begun with ImageNet weights", pretrained), ("Begun with random weights", scratch)]
    return [row for row in rows if row[1]]


def _create_status(evidence: Evidence) -> list[Block]:
    left = sum(phase.n_left for phase in evidence.phases)
    left_s = estimate_left_s(evidence.phases)
    text = f"This study is not finished: {left} {'training is' if left == 1 else 'trainings are'} left"
    text += "" if left_s is None else f", about {format_duration(left_s)} by the time of those that are done"
    rows = [
        Row(
            [p.family, PHASE_NAMES[p.phase], *map(str, (p.n_done, p.n_failed, p.n_left, p.n_total))],
            is_first=p.phase == PHASES[0],
        )
        for p in evidence.phases
    ]
    columns = [Column("family", "text"), Column("phase", "text"), *map(Column, ("done", "failed", "left", "of"))]
    table = Table("status", "How far the study is: trainings.", columns, rows)
    return [Paragraph(f"{text}.", "missing"), TableBlock(table)]


def _create_extent(evidence: Evidence) -> Table:
    rows = [_list_extent(evidence, family) for family in evidence.families.values()]
    columns = [Column("family", "text"), Column("networks", "text"), Column("begins with", "text")]
    for phase in PHASES:
        columns += [Column(f"{PHASE_NAMES[phase]}: trainings"), Column(f"{PHASE_NAMES[phase]}: time")]
    totals = [[p for p in evidence.phases if p.phase == phase] for phase in PHASES]
    cells = ["all", "", ""]
    for phases in totals:
        cells += [str(sum(p.n_done for p in phases)), format_duration(sum(sum(p.seconds) for p in phases))]
    notes = ["A training that two phases share counts in both."]
    caption = "What was run: finished trainings and their time, by family and phase."
    return Table("extent", caption, columns, [*rows, Row(cells, "summary")], notes)


def _list_extent(evidence: Evidence, family: Family) -> Row:
    configs = list_configs(evidence, family.name)
    begins = join_names("ImageNet" if config.pretrained else "random weights" for config in configs)
    cells = [family.name, join_names(config.network for config in configs), begins]
    for phase in PHASES:
        status = family.phases[phase]
        cells += [str(status.n_done), format_duration(sum(status.seconds))]
    return Row(cells)


def create_data(evidence: Evidence, dataset: Dataset | None, whole: int) -> Section:
    """Create the section about the images.

    Args:
        evidence: the study.
        dataset: the images that it used, or None if they are not at hand.
        whole: how many images the dataset has of which these may be a sample.
    """
    section = Section("data", "Data")
    if dataset is None:
        text = (
            "The dataset is not at hand: write the report again with --data FILE for the classes' counts, their "
            "samples and augmented faces."
        )
        section.blocks.append(Paragraph(text, "missing"))
        return section
    facts = describe_dataset(dataset)
    copies = facts["duplicates"]
    sample = f", a sample of {whole:,}" if whole != len(dataset) else ""
    text = f"{len(dataset):,} grey faces of {dataset.pixels.shape[1]} × {dataset.pixels.shape[2]} px{sample}. "
    if copies["groups"]:
        text += (
            f"{copies['groups']:,} groups of identical images hold {copies['rows']:,} of them; "
            f"{copies['groups_with_conflicting_labels']:,} of these groups carry labels that contradict each other."
        )
    else:
        text += "No two of them are identical."
    counts = [facts["classes"][name] for name in dataset.classes]
    alt = "Images of each class: " + ", ".join(f"{n} {c:,}" for n, c in zip(dataset.classes, counts, strict=True))
    svg = create_svg(
        "classes", (9.0, max(2.6, 0.37 * len(counts))), lambda axes: draw_counts(axes, counts, dataset.classes), alt
    )
    rows = [
        Row([name, f"{count:,}", f"{count / len(dataset):.4f}"])
        for name, count in zip(dataset.classes, counts, strict=True)
    ]
    rows.append(Row(["all", f"{len(dataset):,}", "1.0000"], "summary"))
    table = Table(
        "classes", "Images of each class.", [Column("class", "text"), Column("images"), Column("share")], rows
    )
    config = list_configs(evidence, next(iter(evidence.families)))[0]
    section.blocks += [
        Paragraph(text),
        Drawings([Drawing("classes-drawing", "Images of each class.", svg)]),
        TableBlock(table),
        show_samples(dataset),
        show_augmented(dataset, config),
    ]
    return section
