"""The report of a comparison: every figure is a run's, what is missing is said, the page stands alone."""

import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from conftest import Command
from emoscope.core.errors import InputError
from emoscope.core.manifest import MANIFEST
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.measuring.metrics import compute_metrics
from emoscope.study.measuring.reference import compute_headline, find_reference
from emoscope.study.measuring.statistics import compute_corrected_t_test, compute_mcnemar, compute_mean_interval
from emoscope.study.recipes.families import Comparison, Space
from emoscope.study.report import show_blocks, show_report, write_report
from emoscope.study.report.between_families import judge
from emoscope.study.report.evidence import Entry, load_evidence
from emoscope.study.report.hyperparameters import find_beside
from emoscope.study.report.samples import show_samples
from emoscope.study.report.searched import compute_importances
from emoscope.study.running.phases import run_comparison

TINY = """
name: tiny
settings:
  {network: compact-tiny, protocol: thesis, epochs: 2, patience: 6, size_shares: [1.0], ema_decay: 0, batch_size: 32,
   precision: float32}
families:
  vgg: {settings: {sizes_px: [24]}, space: {learning_rate: [0.01, 0.05]}}
  "own_50%": {space: {sizes_px: [[24], [32]], kernel: [lanczos3]}}
search: {trials: 2, candidates: 2}
folds: 2
repeats: 2
"""
"""One family that the reference study has and one of a name that must be escaped."""

FIGURES = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "ece", "mean_auc", "mean_auc_hard")
FORMS = ("report.html", "tables.md", "tables.tex")


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, its text, whether every element is closed."""

    VOID = ("meta", "img", "link", "br", "hr", "path", "use")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


@pytest.fixture(scope="module")
def tiny(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished comparison with its report."""
    folder = tmp_path_factory.mktemp("tiny")
    run_comparison(faces, Comparison.from_dict(yaml.safe_load(TINY)), folder, folder / "runs")
    assert write_report(folder, faces) == folder / "report" / "report.html"
    return folder


def read(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text(encoding="utf-8") for name in FORMS}


def cut(tiny: Path, folder: Path, change: Any) -> Path:
    """A study of the same runs whose results.json says less."""
    results = json.loads((tiny / "results.json").read_text())
    change(results["families"])
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("report", "*.safetensors", "tensorboard"))
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_every_test_figure_stands_in_every_form(tiny: Path) -> None:
    texts = read(tiny / "report")
    results = json.loads((tiny / "results.json").read_text())["families"]
    for found in results.values():
        figures = {}
        for entry in found["final"]:
            figures[entry["run"]] = json.loads((tiny / "runs" / entry["run"] / "final.json").read_text())["views"]["1"]
        best = max(figures.values(), key=lambda f: f["macro_f1"])
        means = [compute_mean_interval([f[key] for f in figures.values()]) for key in FIGURES]
        expected = [f[key] for f in figures.values() for key in FIGURES]
        expected += [e[key] for e in means for key in ("mean", "sd")]
        expected += [row[key] for row in best["per_class"].values() for key in ("precision", "recall", "f1", "auc")]
        for form, text in texts.items():
            assert all(f"{value:.4f}" in text for value in expected), form
            assert all(run in text for run in figures), form
        for trial in found["trials"]:
            score = json.loads((tiny / "runs" / trial["run"] / "result.json").read_text())["validation"]["macro_f1"]
            assert all(f"{score:.4f}" in text and trial["run"] in text for text in texts.values())
    assert all(str(count) in texts["tables.md"] for row in best["confusion"] for count in row)


def test_the_reference_study_stands_beside_by_name(tiny: Path) -> None:
    texts = read(tiny / "report")
    headline = compute_headline().set_index(["family", "input_px"]).loc[("vgg", 48)]
    trials = find_reference("search", "vgg")["f1_macro"]
    for text in texts.values():
        assert all(f"{value:.4f}" in text for value in [headline["f1_macro"], headline["f1_macro_sd"], *trials])
        assert "0.7882" in text and "Reference study, 2022" in text
    page = texts["report.html"]
    rows = re.findall(r'<tr class="(\w+)[^>]*>(.*?)</tr>', page, re.DOTALL)
    assert {kind for kind, row in rows if f">{headline['accuracy']:.4f} ± " in row} == {"reference"}
    spaces = load_evidence(tiny).comparison.families
    assert find_beside("final", "own_50%", spaces["own_50%"]).empty
    resized = find_beside("final", "densenet201-resized", spaces["vgg"])
    assert set(resized["input_px"]) == {175} and set(resized["architecture"]) == {"densenet201"}
    assert set(find_beside("search", "densenet", spaces["vgg"])["input_px"]) == {48}
    assert not set(find_beside("search", "vgg", spaces["vgg"])["architecture"]) - {"vgg16", "vgg19"}


def test_the_page_stands_alone(tiny: Path) -> None:
    text = (tiny / "report" / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object"), tag
        for key in ("href", "src", "xlink:href"):
            assert attributes.get(key, "#").startswith(("#", "data:image/png;base64,")), attributes
        if tag == "img":
            assert len(attributes["alt"]) > 5
        if tag == "svg":
            assert attributes["role"] == "img" and len(attributes["aria-label"]) > 5
        assert not any(key.startswith("on") for key in attributes), attributes
    assert not re.search(r"https?:|url\((?!#)|@import", text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, a in page.elements for key, value in a.items() if key == "href"}
    targets |= {value for _, a in page.elements for key, value in a.items() if key == "aria-labelledby"}
    targets |= set(re.findall(r"url\(#([^)]+)\)", text.partition("</style>")[2]))
    assert targets and targets <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    n_tables, n_captions = (sum(tag == name for tag, _ in page.elements) for name in ("table", "caption"))
    assert n_captions == n_tables - 1, "all but the facts have captions"
    assert re.findall(r"<b>Table (\d+)\.</b>", text) == [str(i + 1) for i in range(n_captions)]
    assert sum(tag == "img" for tag, _ in page.elements) == 7 + 4 + 8, "samples, augmented faces, kernels"
    assert "mean, 0." in "".join(page.words), "text of drawings is text"
    assert "$" not in "".join(re.findall(r"<text.*?</text>", text)) and len(text) < 1_500_000


def test_a_report_while_it_runs_shows_what_is_there(tiny: Path, tmp_path: Path) -> None:
    def stop_after_search(families: dict[str, Any]) -> None:
        families["vgg"] |= {"candidates": [], "final": []}
        del families["vgg"]["winner"], families["own_50%"]

    folder = cut(tiny, tmp_path / "study", stop_after_search)
    write_report(folder)
    texts = read(folder / "report")
    results = json.loads((tiny / "results.json").read_text())["families"]
    trials = [entry["run"] for entry in results["vgg"]["trials"]]
    for path in (tiny / "runs").iterdir():
        assert all((path.name in text) == (path.name in trials) for text in texts.values())
    ours = set()
    for name in trials:
        figures = json.loads((tiny / "runs" / name / "result.json").read_text())["validation"]
        ours |= {f"{figures[key]:.4f}" for key in ("macro_f1", "accuracy")}
    rows = [row for row in texts["tables.md"].splitlines() if row.startswith("| ") and "| *" not in row]
    assert set(re.findall(r"\b[01]\.\d{4}\b", "\n".join(rows))) == ours
    page = texts["report.html"]
    assert "This study is not finished" in page and page.startswith("<!DOCTYPE") and "Unfinished: tiny" in page
    assert "Not measured on test images yet: vgg, own_50%." in page and "write the report again with --data" in page
    assert "0 of 4 trainings are done" in page and "best-final" not in page and "<img" not in page.split("resizing")[0]
    [left] = re.findall(r"(\d+) trainings are left", page)
    assert int(left) == 4 + 2 + 2 + 4 + 2


def test_a_run_that_is_missing_is_named(tiny: Path, tmp_path: Path, faces: Dataset, emoscope: Command) -> None:
    folder = cut(tiny, tmp_path / "study", lambda families: None)
    name = json.loads((folder / "results.json").read_text())["families"]["vgg"]["final"][0]["run"]
    shutil.rmtree(folder / "runs" / name)
    code, _, stderr = emoscope("study", "report", folder)
    assert code == 2 and stderr.count("\n") == 1 and f"names the run {name}" in stderr
    assert not (folder / "report").exists()
    with pytest.raises(InputError, match="made with other data"):
        write_report(tiny, create_synthetic(100, seed=3), tmp_path / "other")
    with pytest.raises(InputError, match="holds no study"):
        write_report(tmp_path)


def test_failed_trials_and_repeats_are_told(tiny: Path, tmp_path: Path) -> None:
    def fail_some(families: dict[str, Any]) -> None:
        families["vgg"]["trials"][1] |= {"run": None, "problem": "loss <nan> | 50 % & more"}
        families["vgg"]["final"][1] |= {"run": None, "problem": "the device says no"}

    folder = cut(tiny, tmp_path / "study", fail_some)
    write_report(folder)
    texts = read(folder / "report")
    assert "failed: loss &lt;nan&gt; | 50 % &amp; more" in texts["report.html"]
    assert "failed: loss <nan> &#124; 50 % & more" in texts["tables.md"]
    assert r"failed: loss $<$nan$>$ | 50 \% \& more" in texts["tables.tex"]
    assert all("failed: the device says no" in text for text in texts.values())


def test_differences_are_judged_by_paired_tests(tiny: Path) -> None:
    evidence = load_evidence(tiny)
    first, second = evidence.families.values()
    folds = [family.candidates[family.winner or 0].folds for family in (first, second)]
    scores = [[fold.validation["macro_f1"] for fold in part] for part in folds]
    n_train, n_validation, _ = folds[0][0].part_sizes
    test = compute_corrected_t_test(scores[0], scores[1], n_train, n_validation)
    repeats = [family.measured[0].predictions for family in (first, second)]
    assert np.array_equal(repeats[0][0], repeats[1][0]), "the same test images"
    right = [logits[:, 0].argmax(1) == labels for _, labels, logits in repeats]
    mcnemar = compute_mcnemar(*right)
    # Findings stand in bold.
    text = (tiny / "report" / "tables.md").read_text().replace("**", "")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| vgg − own_50%")]
    assert rows[0][1] == f"{test['mean_difference']:+.4f}".replace("-", "−") and rows[0][4] == f"{test['p']:.4f}"
    assert rows[1][1:4] == [str(mcnemar["b"]), str(mcnemar["c"]), f"{mcnemar['p']:.4f}"]
    assert [judge(p, 6) for p in (0.008, 0.04, 0.06, None)] == ["finding", "hint", "no finding", "–"]


def test_the_best_repeat_is_shown_as_it_was_measured(tiny: Path) -> None:
    for family in load_evidence(tiny).families.values():
        for run in family.measured:
            figures = compute_metrics(run.compute_probabilities()[1], run.predictions[1])
            assert run.test is not None
            assert figures["ece"] == pytest.approx(run.test["ece"]) and figures["mean_auc"] == pytest.approx(
                run.test["mean_auc"]
            )


def test_tables_are_whole_in_latex_and_markdown(tiny: Path) -> None:
    """As pdflatex and a Markdown reader need them: braces and environments closed, every row with all its cells."""
    texts = read(tiny / "report")
    tex = re.sub(r"\\[%&_#${}]", "", texts["tables.tex"])
    depths = list(itertools.accumulate({"{": 1, "}": -1}.get(c, 0) for c in tex))
    assert min(depths) == 0 == depths[-1]
    ends = re.findall(r"\\(begin|end)\{(\w+)\}", tex)
    open_ones: list[str] = []
    for kind, name in ends:
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    tables = re.findall(
        r"\\begin\{(?:tabular|longtable)\}\{((?:[lr]|p\{6cm\})+)\}(.*?)\\end\{(?:tab|long)", tex, re.DOTALL
    )
    assert not open_ones and len(tables) == texts["tables.md"].count("**Table ")
    for columns, body in tables:
        n = len(columns.replace("p{6cm}", "p"))
        rows = [row for row in body.split(r"\\") if "&" in row and "multicolumn" not in row]
        assert rows and {row.count("&") + 1 for row in rows} == {n}
    for block in re.findall(r"(?:^\|.*\n)+", texts["tables.md"], re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_naive_split_is_flagged(faces: Dataset, tmp_path: Path) -> None:
    values = {**yaml.safe_load(TINY), "search": {"trials": 1, "candidates": 1}, "repeats": 1}
    values["settings"] |= {"protocol": "naive", "epochs": 1}
    values["families"] = {"only": {"settings": {"sizes_px": [24]}, "space": {"learning_rate": [0.01, 0.05]}}}
    run_comparison(faces, Comparison.from_dict(values), tmp_path, tmp_path / "runs")
    write_report(tmp_path)
    [final] = [json.loads(path.read_text())["views"]["1"] for path in (tmp_path / "runs").glob("*/final.json")]
    for text in read(tmp_path / "report").values():
        assert "uses the naive split" in text and "naive protocol" in text
        assert "without copies of training images" in text and f"{final['without_leaked']['macro_f1']:.4f}" in text


def test_a_study_that_just_began_has_a_report(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    shutil.copyfile(tiny / "study.json", folder / "study.json")
    page = write_report(folder, output=tmp_path / "out").read_text(encoding="utf-8")
    assert "16 trainings are left" in page
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted((*FORMS, MANIFEST))


def test_a_notebook_shows_sections_of_the_report_and_nothing_that_reaches_beyond_them(
    tiny: Path, faces: Dataset
) -> None:
    text = show_report(tiny, ["vgg-search", "resizing"], faces)._repr_html_()
    page = (tiny / "report" / "report.html").read_text(encoding="utf-8")
    tables = re.findall(r'<table class="data".*?</table>', text, re.DOTALL)
    assert len(tables) >= 2 and all(table in page for table in tables)
    assert text.count("<img") == 8 and "<svg" in text
    # Every rule lies within the excerpt's own.
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style and re.fullmatch(r"/\*[^*]*\*/\s*\.emoscope-excerpt \{.*\}\s*", style[1], re.DOTALL)
    assert "Figure 1." in show_blocks(show_samples(faces))._repr_html_()
    with pytest.raises(InputError, match="no section nothing; choose from summary, data, comparison"):
        show_report(tiny, ["nothing"])


def test_the_setting_that_decides_is_ranked_first() -> None:
    """Planted differences: one setting's are four times the others', and every trial has its noise."""
    space = Space(
        {"network": "compact-tiny"},
        {
            "optimizer": ("adam", "sgd"),
            "learning_rate": (0.0001, 0.001, 0.01),
            "batch_size": (32, 64, 128, 256),
            "augment": (False, True),
        },
    )
    n_right = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        effects = {key: rng.permutation(np.linspace(-1, 1, len(values))) for key, values in space.values.items()}
        decisive = list(space.values)[seed % 4]
        done = []
        for _ in range(30):
            point = {key: int(rng.integers(len(values))) for key, values in space.values.items()}
            shares = {key: effects[key][i] * (0.2 if key == decisive else 0.05) for key, i in point.items()}
            done.append((Entry(space.create_config(point), None, ""), 0.5 + sum(shares.values()) + rng.normal(0, 0.02)))
        importances = compute_importances(space, done)
        assert set(importances) == set(space.values) and sum(importances.values()) == pytest.approx(1)
        n_right += next(iter(importances)) == decisive
    assert n_right >= 18
    assert compute_importances(space, done[:3]) == {}, "too few"
