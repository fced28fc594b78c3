"""people.csv in a result folder: all that is made of it follows, without it all is as before, nobody touches it."""

import errno
import json
import os
from pathlib import Path

import pytest

import emoscope as product
from conftest import Command, clip_time_s, write_clip
from emoscope.analysis.result_folder import load_result
from emoscope.core.types import Image

HEADER = "track_id,name,role,exclude,merged_with\n"
MADE = ("summary.json", "audience.csv", "observations.csv", "observations.parquet", "observations.eaf", "report.html")


@pytest.fixture
def folder(tmp_path: Path, portrait: Image, emoscope: Command) -> Path:
    write_clip(tmp_path / "clip.mp4", [(portrait, clip_time_s(i)) for i in range(45)])
    call = ["analyze", tmp_path / "clip.mp4", "-o", tmp_path / "out", "--formats", "eaf", "--baseline", "auto"]
    assert emoscope(*call, "--thumbnails", "clear")[0] == 0
    return tmp_path / "out"


def test_everything_follows_and_the_original_comes_back(folder: Path, emoscope: Command) -> None:
    before = {name: (folder / name).read_bytes() for name in MADE}
    (folder / "people.csv").write_text(HEADER + "1,Anna,,0-0:01,\n")
    _, curated = load_result(folder)
    assert curated.people[0].label == "Anna" and (folder / "summary.json").read_bytes() == before["summary.json"]
    assert product.load_analysis(folder).observations["track_id"].notna().sum() == curated.faces
    code, _, err = emoscope("report", folder)
    assert code == 0 and "left out by people.csv: Anna from 0 to 1 s" in err
    written = json.loads((folder / "summary.json").read_text())
    assert written["faces"] == curated.faces < json.loads(before["summary.json"])["faces"]
    assert load_result(folder)[1].to_json() == (folder / "summary.json").read_text()
    for name in ("audience.csv", "observations.eaf", "report.html"):
        assert (folder / name).read_bytes() != before[name]
    for name in ("observations.csv", "observations.parquet"):
        assert (folder / name).read_bytes() == before[name]
    assert "Anna" in (folder / "report.html").read_text() and "Anna" in (folder / "observations.eaf").read_text()
    (folder / "people.csv").unlink()
    assert emoscope("report", folder)[0] == 0
    assert {name: (folder / name).read_bytes() for name in MADE if name != "report.html"} == {
        name: content for name, content in before.items() if name != "report.html"
    }


def test_a_new_analysis_keeps_the_file_and_applies_it(folder: Path, emoscope: Command) -> None:
    text = HEADER + "1,Anna,interviewer,,\n"
    (folder / "people.csv").write_text(text)
    assert emoscope("analyze", folder.parent / "clip.mp4", "-o", folder)[0] == 0
    assert (folder / "people.csv").read_text() == text
    assert json.loads((folder / "summary.json").read_text())["faces"] == 0
    assert "Nobody is left" in (folder / "report.html").read_text()
    (folder / "people.csv").write_text(HEADER + "77,Anna,,,\n")
    code, _, err = emoscope("analyze", folder.parent / "clip.mp4", "-o", folder)
    assert code == 0 and "there is no person 77" in err
    code, _, err = emoscope("report", folder)
    assert code == 2 and "there is no person 77" in err and len(err.splitlines()) == 1


def test_the_template_is_never_written_over_work(folder: Path, emoscope: Command) -> None:
    assert emoscope("people", folder)[0] == emoscope("people", folder)[0] == 0
    assert '<img class="face"' in (folder / "people.html").read_text()
    assert emoscope("report", folder)[0] == 0 and load_result(folder)[1].people[0].label == "Person 1"
    edited = (folder / "people.csv").read_text().replace("1,,", "1,Anna,", 1)
    (folder / "people.csv").write_text(edited)
    code, _, err = emoscope("people", folder)
    assert code == 2 and "may hold your work" in err and (folder / "people.csv").read_text() == edited


def test_a_folder_of_results_is_told_what_it_holds(folder: Path, emoscope: Command) -> None:
    code, _, err = emoscope("people", folder.parent)
    assert code == 2 and "it holds result folders" in err and folder.name in err and err.count("\n") == 1


def test_another_baseline_afterwards(folder: Path, emoscope: Command) -> None:
    (folder.parent / "events.csv").write_text("name,start_s,end_s\nrest,0,1\n")
    code, _, err = emoscope("report", folder, "--events", folder.parent / "events.csv", "--baseline", "event:rest")
    assert code == 0, err
    table, summary = load_result(folder)
    assert summary.settings.baseline == "event:rest" and summary.people[0].baseline and table.has_changes
    code, _, err = emoscope("report", folder, "--baseline", "event:rset")
    assert code == 0 and "was not seen in the event 'rset'" in err
    table, summary = load_result(folder)
    assert not table.has_changes and summary.people[0].no_baseline
    code, _, err = emoscope("analyze", folder.parent / "clip.mp4", "-o", folder, "--baseline", "event:rest")
    assert code == 2 and "there is no event 'rest'" in err


def test_a_full_disk_is_said_and_leaves_nothing_half(
    folder: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    events = folder.parent / "events.csv"
    events.write_text("name,start_s,end_s\nad,0,1\n")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for place, call in (
        ("pathlib.Path.write_text", ("report", folder, "--events", events)),
        ("pyarrow.parquet.ParquetWriter.write_batch", ("report", folder, "--baseline", "0-1")),
        ("tempfile.NamedTemporaryFile", ("people", folder)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, fail)
            code, _, stderr = emoscope(*call)
        assert code == 2 and "No space left on device); make room there" in stderr, stderr
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert emoscope("people", folder)[0] == 0 and (folder / "people.csv").stat().st_size > 0
