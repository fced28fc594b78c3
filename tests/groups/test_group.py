"""`emoscope group`: participants' curves and means are those of the tables, and what is wrong is said at once."""

import csv
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import Command
from emoscope.core.emotions import EMOTIONS
from emoscope.core.manifest import MANIFEST, Identity, Manifest
from emoscope.groups.contrasts import Results, find_design
from emoscope.groups.project import Wish, load_project
from emoscope.tables.events import Event
from made_results import HAPPY, Stimulus, write_project, write_recording
from recordings import make_summary, make_table, write_result

SHORT = Stimulus(12.0, fps=5.0, effect=2.0, effect_s=(6.0, 8.0), events=(Event("before", 0, 6), Event("effect", 6, 8)))


def show(happy: float, n: int = 60) -> Any:
    """One who is happy with a probability all the time, else neutral."""
    p = np.zeros((n, 7))
    p[:, HAPPY], p[:, EMOTIONS.index("neutral")] = happy, 1 - happy
    return p


def write_constant(results: Path, happy: dict[str, float], events: tuple[Event, ...] = ()) -> Path:
    for name, value in happy.items():
        write_recording(results / name, show(value), Stimulus(12.0, fps=5.0, events=events), f"{name}.mp4")
    return results


def write_participants(results: Path, *rows: str) -> None:
    (results / "participants.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    write_project(results, 12, SHORT, effects=[6.0, 0.0] * 6)
    return results


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results"))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_participant_is_the_mean_of_their_recordings(tmp_path: Path) -> None:
    write_constant(tmp_path, {"a1": 0.2, "a2": 0.6, "b": 1.0})
    write_participants(tmp_path, "recording,participant,time", "a1,A,1", "a2,A,2", "b,B,1")
    results = Results(load_project(tmp_path))
    assert results.project.names == ("A", "B")
    assert np.allclose(results.values[:, 0], [0.4, 1.0])
    assert np.allclose(results.project.curves[0, :, 1 + HAPPY], 0.4)
    # A frame's reading is what was shown most often in its bin, over both recordings.
    assert np.allclose(results.project.shown[1, :, HAPPY], 1)


def test_the_same_film_twice_is_said(tmp_path: Path) -> None:
    write_constant(tmp_path / "results", {"anna": 0.2, "bert": 0.6, "copy": 0.2})
    for name, content in (("anna", b"one"), ("bert", b"other"), ("copy", b"one")):
        (tmp_path / f"{name}.mp4").write_bytes(content)
        folder = tmp_path / "results" / name
        source = Identity.create(tmp_path / f"{name}.mp4").describe(folder)
        (folder / MANIFEST).write_text(Manifest("analysis", source, {}).to_json())
    notes = load_project(tmp_path / "results").notes
    assert [note for note in notes if "same file" in note] == [
        "the same file stands behind several recordings, and each counts: anna, copy; move away all but one"
    ]


def test_recordings_are_aligned_at_the_start_of_the_stimulus(tmp_path: Path) -> None:
    late = np.concatenate([show(0.0, 20), show(1.0, 40)])
    write_recording(tmp_path / "late", late, Stimulus(12.0, fps=5.0, events=(Event("Go", 4, 12),)), "late.mp4")
    write_constant(tmp_path, {"early": 1.0})
    write_participants(tmp_path, "recording,start_s", "late,go", "early,0:00")
    project = load_project(tmp_path)
    assert [(t.start_s, t.start_by) for t in project.tracks] == [(4.0, "event"), (0.0, "table")]
    assert project.clock.end_s == 12.0
    curves = project.curves[..., 0]
    assert np.allclose(curves[0, : int(8 / project.clock.bin_s)], 1) and np.isnan(curves[0, -1])
    assert np.allclose(curves[1], 1)


def test_the_person_seen_most_is_the_participant_unless_all_are(tmp_path: Path) -> None:
    table = make_table({1: (0, 3), 2: (1, 10), 5: (4, 6)}, 10)
    write_result(tmp_path / "film", table, make_summary(table))
    project = load_project(tmp_path)
    assert [t.person for t in project.tracks] == [2]
    assert any("film: person 2 of 3" in note for note in project.notes)
    write_participants(tmp_path, "recording,participant,person", "film,Hall,all")
    assert load_project(tmp_path).names == ("Hall/1", "Hall/2", "Hall/5")
    write_participants(tmp_path, "recording,participant,person", "film,A,1", "film,B,5")
    project = load_project(tmp_path)
    assert [(t.participant, t.person) for t in project.tracks] == [("A", 1), ("B", 5)] and project.notes == ()


def test_bins_hold_frames_where_few_were_analysed(tmp_path: Path) -> None:
    write_recording(tmp_path / "a", show(0.5, 12), Stimulus(24.0, fps=0.5), "a.mp4")
    project = load_project(tmp_path)
    assert project.clock.bin_s == 2.0 and np.isfinite(project.curves).all()


def test_designs_are_told_by_who_has_which_condition(tmp_path: Path) -> None:
    write_constant(
        tmp_path, {f"{p}{c}": 0.2 + 0.1 * i + (0.3 + 0.02 * i) * (c == "x") for i, p in enumerate("abcd") for c in "xy"}
    )
    rows = [f"{p}{c},{p.upper()},{c},{'old' if p in 'ab' else 'young'}" for p in "abcd" for c in "xy"]
    write_participants(tmp_path, "recording,participant,ad,age", *rows)
    results = Results(load_project(tmp_path))
    ad, age = results.factors["ad"], results.factors["age"]
    assert find_design(*ad) == "within" and find_design(*age) == "between"
    found = {(d.of, d.measure): d.contrast for d in results.differences}
    paired = found["ad", "valence"]
    assert paired.n == 4 and paired.n_other is None and paired.difference.mean == pytest.approx(0.33)
    assert paired.p is not None and paired.p < 0.001
    # Two in a group allow no test, and that is said.
    assert (found["age", "valence"].n, found["age", "valence"].p) == (2, None)
    assert "age: fewer than 3 participants allow no test: old (2), young (2)" in list(results.find_notes())


def test_the_planted_effect_is_found_and_its_conditions_differ(results: Path) -> None:
    write_participants(results, "recording,ad", *(f"p{i:03d},{'strong' if i % 2 else 'weak'}" for i in range(1, 13)))
    found = Results(load_project(results))
    stretch = next(s for s in found.stretches if s.of == "ad")
    assert stretch.start_s <= 6.5 and stretch.end_s >= 7.5 and stretch.cluster.mass > 0
    assert any(6 <= peak.time_s < 8 and peak.measure == "happy" for peak in found.peaks)
    contrast = next(d for d in found.differences if d.of == "segment" and d.measure == "happy").contrast
    assert contrast.n == 12 and contrast.difference.mean is not None and contrast.difference.mean < 0


def test_segments_of_the_stimulus_stand_for_those_of_the_recordings(tmp_path: Path) -> None:
    p = np.concatenate([show(0.0, 30), show(1.0, 30)])
    write_recording(tmp_path / "a", p, Stimulus(12.0, fps=5.0, events=(Event("own", 0, 1),)), "a.mp4")
    write_participants(tmp_path, "recording,start_s", "a,2")
    project = load_project(tmp_path, Wish(events=(Event("logo", 3, 5),)))
    assert project.segments == ("logo",) and project.average_segment("logo")[0, 0] == pytest.approx(0.5)


def test_tables_open_without_work(results: Path, emoscope: Command) -> None:
    write_participants(results, "recording,participant,ad", *(f"p{i:03d},={i},a b" for i in range(1, 13)))
    code, out, err = emoscope("group", results, "--json")
    assert code == 0 and err == ""
    facts = json.loads(out)
    assert (facts["participants"], facts["recordings"], facts["template"]) == (12, 12, None)
    folder = results / "project"
    wide = pd.read_csv(folder / "participants.csv")
    assert len(wide) == 12 and wide["valence"].between(-1, 1).all() and (wide["ad"] == "a b").all()
    # A spreadsheet takes no name for a formula.
    assert wide["participant"][0] == "'=1"
    assert wide["p_happy_in_effect"].mean() > wide["p_happy_in_before"].mean()
    book = pd.read_excel(folder / "participants.xlsx", sheet_name=None) if has_openpyxl() else None
    assert book is None or list(book["participants"].columns) == list(wide.columns)
    curves = pd.read_parquet(folder / "curves.parquet")
    assert len(curves) == 12 * 48 and set(curves["shows"].dropna()) <= set(EMOTIONS)
    one = curves[curves["participant"] == "=1"]
    assert one["valence"].mean() == pytest.approx(wide["valence"][0], abs=0.02)
    described = {(row["table"], row["column"]) for row in read(folder / "codebook.csv")}
    for name in ("participants", "events", "recordings", "mean_curves", "contrasts", "stretches"):
        header = (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        assert {(name, column) for column in header} <= described
    with zipfile.ZipFile(folder / "project.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert names == {path.name for path in folder.iterdir()} - {"project.zip", "emoscope-manifest.json"}
    assert "n = 12" in (folder / "methods.txt").read_text(encoding="utf-8")


def has_openpyxl() -> bool:
    from importlib.util import find_spec

    return find_spec("openpyxl") is not None


def test_the_page_is_made_anew_and_a_template_is_written_once(results: Path, emoscope: Command) -> None:
    code, out, _ = emoscope("group", results)
    assert code == 0 and "12 participants in 12 recordings" in out and "to be filled in" in out
    page = (results / "index.html").read_text(encoding="utf-8")
    assert "https://" not in page and 'href="p001/report.html"' in page and len(page) < 2_000_000
    shutil.rmtree(results / "p012")
    code, out, _ = emoscope("group", results)
    assert code == 0 and "11 participants" in out
    # Nobody had filled the template in: it follows.
    assert "p012" not in (results / "participants.csv").read_text(encoding="utf-8")


def test_a_table_that_is_missing_is_made_to_be_filled_in(results: Path, tmp_path: Path, emoscope: Command) -> None:
    by, out = tmp_path / "who.csv", tmp_path / "out"
    code, _, err = emoscope("group", results, "--by", by, "-o", out)
    assert code == 2 and "a template is there now" in err and err.count("\n") == 1 and not out.exists()
    assert by.read_text(encoding="utf-8").startswith("recording,participant,person,start_s")
    # What it says is followed: filled in, it is used.
    by.write_text(by.read_text(encoding="utf-8").replace("p001,p001", "p001,Anna"), encoding="utf-8")
    assert emoscope("group", results, "--by", by, "-o", out)[0] == 0
    assert "Anna" in (out / "index.html").read_text(encoding="utf-8")


def test_results_that_were_moved_are_put_together_again(results: Path, tmp_path: Path, emoscope: Command) -> None:
    assert emoscope("group", results)[0] == 0 and emoscope("group", results, "-o", tmp_path / "page")[0] == 0
    for name in ("results", "page"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    moved = tmp_path / "elsewhere" / "results"
    for options in ((), ("-o", tmp_path / "elsewhere" / "page")):
        code, _, stderr = emoscope("group", moved, *options)
        assert code == 0, stderr
    # Other results are still other ones.
    shutil.copytree(moved, tmp_path / "others")
    code, _, stderr = emoscope("group", tmp_path / "others", "-o", tmp_path / "elsewhere" / "page")
    assert code == 2 and "is the project of something else" in stderr


def test_nothing_foreign_is_replaced(results: Path, emoscope: Command) -> None:
    (results / "index.html").write_text("mine", encoding="utf-8")
    code, _, err = emoscope("group", results)
    assert code == 2 and "index.html is not a project of emoscope" in err
    assert not (results / "project").exists() and not (results / "participants.csv").exists()
    assert emoscope("group", results, "-o", results.parent / "out")[0] == 0
    assert (results.parent / "out" / "project" / "participants.xlsx").is_file()
    assert (results / "index.html").read_text(encoding="utf-8") == "mine"


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_written(results: Path, emoscope: Command) -> None:
    (results / "p001" / "observations.parquet").write_bytes(b"no table")
    summary = json.loads((results / "p002" / "summary.json").read_text())
    (results / "p002" / "summary.json").write_text(json.dumps({**summary, "schema_version": 99}))
    (results / "p003" / "summary.json").unlink()
    before = sorted(results.rglob("*"))
    code, _, err = emoscope("group", results)
    assert code == 2 and err.count("\n") == 1
    assert "p001" in err and "schema version 99" in err and "p003 is no result folder" in err
    assert sorted(results.rglob("*")) == before


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("recording,start_s", "p001,13"), "would begin at 13 s, after the recording is over"),
        (("recording,start_s", "p001,nowhere", "p002,neither"), "'neither' is no time and no event"),
        (("recording,person", "p001,7"), "p001 has no person 7"),
    ],
)
def test_rows_that_do_not_fit_their_recordings_are_refused(
    rows: tuple[str, ...], expected: str, results: Path, emoscope: Command
) -> None:
    write_participants(results, *rows)
    code, _, err = emoscope("group", results)
    assert code == 2 and expected in err and not (results / "index.html").exists()


def test_recordings_of_other_classes_make_a_group_of_their_own(tmp_path: Path, emoscope: Command) -> None:
    write_constant(tmp_path, {"a": 0.2, "b": 0.4})
    classes = ("bored", "happy", "interested")
    rng = np.random.default_rng(0)
    for name in "cdef":
        events = (Event("first", 0, 6), Event("second", 6, 12))
        p = rng.dirichlet((1, 2, 3), 60)
        write_recording(tmp_path / name, p, Stimulus(12.0, fps=5.0, events=events), name, classes=classes)
    code, _, err = emoscope("group", tmp_path)
    assert code == 2 and err.count("\n") == 1
    assert f"a was read as {', '.join(EMOTIONS)}, and c as bored, happy, interested" in err
    # The advice is followed.
    other = tmp_path.parent / f"{tmp_path.name}-other"
    other.mkdir()
    for name in "cdef":
        shutil.move(tmp_path / name, other / name)
    assert emoscope("group", tmp_path)[0] == 0
    write_participants(other, "recording,ad", "c,x", "d,x", "e,y", "f,y")
    assert emoscope("group", other)[0] == 0
    found = Results(load_project(other))
    assert {d.measure for d in found.differences} == set(classes) and found.stretches == []
    assert np.allclose(found.values.sum(axis=1), 1) and found.means[2].interval
    described = {(row["table"], row["column"]) for row in read(other / "project" / "codebook.csv")}
    for path in (other / "project").glob("*.csv"):
        header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
        assert ("valence" not in header and {(path.stem, c) for c in header} <= described) or path.stem == "codebook"
    curves = pd.read_parquet(other / "project" / "curves.parquet")
    assert np.allclose(curves[[f"p_{name}" for name in classes]].sum(axis=1), 1)
    methods = (other / "project" / "methods.txt").read_text(encoding="utf-8")
    assert "3 expressions: bored, happy and interested" in methods and "valence" not in methods


def test_folders_without_results_are_refused(tmp_path: Path, results: Path, emoscope: Command) -> None:
    for folder, expected in ((tmp_path / "no", "is no folder"), (results / "p001", "the result of one recording")):
        code, _, err = emoscope("group", folder)
        assert code == 2 and expected in err
    (tmp_path / "empty").mkdir()
    assert "holds no results" in emoscope("group", tmp_path / "empty")[2]


def test_one_participant_has_a_page_without_intervals(tmp_path: Path, emoscope: Command) -> None:
    write_constant(tmp_path, {"only": 0.5})
    code, _, err = emoscope("group", tmp_path)
    assert code == 0 and err == ""
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "1 participant, one stimulus" in page and "allow no interval" in page
    assert [row["valence"] for row in read(tmp_path / "project" / "participants.csv")] == ["0.5"]


def test_hostile_names_stay_text(tmp_path: Path, emoscope: Command) -> None:
    write_constant(tmp_path, {"a": 0.1, "b": 0.2, "c": 0.3})
    name = "<script>alert(1)</script>"
    write_participants(tmp_path, f"recording,participant,{name}", *(f'{r},"{name}{r}",{name}' for r in "abc"))
    assert emoscope("group", tmp_path)[0] == 0
    assert name not in (tmp_path / "index.html").read_text(encoding="utf-8")
