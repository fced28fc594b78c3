"""`emoscope compare`: names, warnings, segments of one name, one page."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_report import Page, read_series

from conftest import Command
from emoscope.report.comparison import name_recordings
from recordings import make_event, make_summary, make_table, write_result


def write(folder: Path, duration_s: float, source: str, events: list[dict[str, Any]], **settings: Any) -> Path:
    table = make_table({1: (0, duration_s), 2: (1, duration_s / 2)}, duration_s, seed=int(duration_s))
    return write_result(folder, table, make_summary(table, settings, source=source, events=events))


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [
        write(tmp_path / "a", 20, "clip.mp4", [make_event("Product", 2, 6, 12, 0.3)]),
        write(tmp_path / "b", 30, "clip.mp4", [make_event("Product", 4, 9), make_event("Break", 10, 20)], every=3),
    ]


def test_recordings_stand_side_by_side(folders: list[Path], tmp_path: Path, emoscope: Command) -> None:
    page_path = tmp_path / "compare.html"
    code, out, err = emoscope("compare", *folders, "-o", page_path, "--json")
    assert code == 0 and err == ""
    facts = json.loads(out)
    assert [r["name"] for r in facts["recordings"]] == ["clip.mp4 (a)", "clip.mp4 (b)"]
    assert facts["recordings"][1]["duration_s"] == 30.0
    assert [(e["name"], len(e["recordings"])) for e in facts["events"]] == [("Product", 2), ("Break", 1)]
    assert facts["warnings"] == [
        "They were analysed with different distances between frames (--every: frames or seconds): "
        "1 in clip.mp4 (a); 3 in clip.mp4 (b)."
    ]
    document = page_path.read_text(encoding="utf-8")
    page = Page(document)
    assert page.loads == [] and "https://" not in document
    text = " ".join(page.text.split())
    assert "2 recordings side by side" in text and facts["warnings"][0] in text
    assert "Product Recording" in text and "Break only in one recording" in text
    # All on the axis of the longest.
    data = read_series(document)
    assert data["end"] == 30.0 and set(data["series"]) == {"r1", "r2"}
    assert 'class="unanalysed" style="--x:66.667;--w:33.333"' in document


def test_alike_recordings_bring_no_warning(tmp_path: Path, emoscope: Command) -> None:
    folders = [write(tmp_path / name, 20, f"{name}.mp4", []) for name in ("a", "b")]
    code, out, err = emoscope("compare", *folders, "-o", tmp_path / "c.html")
    assert code == 0 and err == "" and "a.mp4, b.mp4" in out
    assert "Not all of this can be compared" not in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_hostile_names_and_faceless_recordings(tmp_path: Path, emoscope: Command) -> None:
    name = '"><script>alert(1)<img src=x>.mp4'
    folders = [write(tmp_path / "a", 20, name, [make_event(name, 1, 2)])]
    empty = make_table({}, 5)
    folders.append(write_result(tmp_path / "b", empty, make_summary(empty)))
    assert emoscope("compare", *folders, "-o", tmp_path / "c.html")[0] == 0
    document = (tmp_path / "c.html").read_text(encoding="utf-8")
    page = Page(document)
    assert "<script>alert" not in document and "img" not in page.tags
    assert name in page.text and "no face found" in page.text


def test_one_folder_is_no_comparison(folders: list[Path], emoscope: Command) -> None:
    for arguments in (folders[:1], [folders[0], folders[0]]):
        code, _, err = emoscope("compare", *arguments)
        assert code == 2 and "two different result folders" in err and err.count("\n") == 1


def test_names_are_unique() -> None:
    sources = ["x/a.mp4", "y/a.mp4", "b.mp4", "a.mp4"]
    folders = [Path("/r/one"), Path("/r/two"), Path("/r/three"), Path("/q/one")]
    assert name_recordings(sources, folders) == ["a.mp4 (one) #1", "a.mp4 (two)", "b.mp4", "a.mp4 (one) #2"]
