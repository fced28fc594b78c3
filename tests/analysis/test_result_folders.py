"""Where results go: by whose they are, never by a file's name alone, and never over what a person had."""

import json
import shutil
from pathlib import Path

import pytest

from conftest import Command
from emoscope import load_analysis
from emoscope.analysis.result_folders import choose_folders, identify
from emoscope.core.manifest import MANIFEST
from emoscope.core.owned import open_owned
from emoscope.media.find import find_sources

FAST = ("--detector", "own", "--every", "10", "--no-report")


def put(path: Path, text: str = "film") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def choose(arguments: list[Path], output: Path | None, overwrite: bool = False) -> list[str]:
    sources = find_sources(arguments)
    folders = choose_folders(arguments, sources, output, overwrite)
    for source, folder in zip(sources, folders, strict=True):
        with open_owned(folder, "analysis", identify(source), ("summary.json",), overwrite) as new:
            put(new / "summary.json", str(source.path))
    return [str(folder) for folder in folders]


def test_a_place_does_not_depend_on_how_much_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("data/P01/session.mp4"))
    assert choose([Path("data")], Path("out")) == ["out/P01/session"]
    put(Path("data/P02/session.mp4"))
    put(Path("data/P02/photo.jpg"))
    assert choose([Path("data")], Path("out")) == ["out/data", "out/P01/session", "out/P02/session"]
    # Several folders lie below what holds them all; pictures beside films keep out of the films' way.
    expected = ["few/P01/session", "few/P02/pictures", "few/P02/session"]
    assert choose([Path("data/P01"), Path("data/P02")], Path("few")) == expected
    assert choose([Path("data/P01/session.mp4")], Path("one")) == ["one"]


def test_names_that_are_alike_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mon/clip.mp4", "tue/clip.mp4", "wed/Clip.mkv", "wed/clip.avi", "wed/...mp4"):
        put(Path(name))
    assert choose([Path("mon/clip.mp4")], None) == ["clip-emoscope"]
    assert choose([Path("tue/clip.mp4")], None) == ["clip-emoscope-2"]
    assert choose([Path("mon/clip.mp4")], None) == ["clip-emoscope"], "its own is replaced"
    assert sorted(choose([Path("wed")], Path("out"))) == ["out/Clip", "out/clip-2"]
    (tmp_path / "wed" / "Clip.mkv").unlink()
    assert sorted(choose([Path("wed")], Path("out"))) == ["out/clip-2"]
    assert choose([Path("wed/...mp4")], None) == ["...mp4-emoscope"]


def test_a_folder_with_other_things_gets_a_folder(tmp_path: Path) -> None:
    film = put(tmp_path / "annotated.mp4")
    for _ in range(2):
        assert choose([film], tmp_path) == [str(tmp_path / "annotated-emoscope")]
    put(tmp_path / "annotated-emoscope" / MANIFEST, "spoilt")
    assert choose([film], tmp_path) == [str(tmp_path / "annotated-emoscope-2")]
    assert film.read_text() == "film"


def test_what_was_analysed_is_kept_and_known(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    shutil.copy(clip, put(tmp_path / "in" / "annotated.mp4"))
    shutil.copy(clip, put(tmp_path / "in" / "sub" / "b.mp4"))
    before = (tmp_path / "in" / "annotated.mp4").read_bytes()
    for n_passed in (0, 2):
        code, stdout, stderr = emoscope(
            "analyze", tmp_path / "in", "-o", tmp_path / "in", *FAST, "--annotate", "--json"
        )
        assert code == 0
        assert [e["frames"] for e in json.loads(stdout)["sources"]] == [3, 3]
        assert (f"passed over {n_passed} pictures and videos" in stderr) == bool(n_passed)
    assert (tmp_path / "in" / "annotated.mp4").read_bytes() == before
    # Another source's result, and what a person made of an own one, stay without a word that says otherwise.
    result = tmp_path / "in" / "annotated-2"
    assert not result.exists() and (tmp_path / "in" / "annotated" / "summary.json").exists()
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "in" / "annotated", *FAST)
    assert code == 2 and "--overwrite" in stderr and stderr.count("\n") == 1
    assert emoscope("analyze", clip, "-o", tmp_path / "in" / "annotated", *FAST, "--overwrite")[0] == 0


def test_results_of_0_6_0_are_read_and_never_sources_nor_replaced(
    clip: Path, tmp_path: Path, emoscope: Command
) -> None:
    results = [tmp_path / "in" / "a", tmp_path / "b"]
    for result in results:
        options = ("-o", result, *FAST, "--annotate", "--thumbnails", "clear")
        assert emoscope("analyze", clip, *options)[0] == 0
        (result / MANIFEST).unlink()
    # What that version wrote has fewer keys.
    written = Path(__file__).parents[1] / "tables" / "summary-0.6.0.json"
    shutil.copy(written, put(tmp_path / "in" / "c" / "summary.json"))
    shutil.copy(clip, tmp_path / "in" / "c" / "annotated.mp4")
    mine = put(results[0] / "thumbnails" / "mine.mp4")
    assert [source.path for source in find_sources([tmp_path / "in"])] == [mine]
    before = {path: path.stat().st_mtime_ns for path in results[0].rglob("*")}
    stderr = emoscope("analyze", tmp_path / "in", "-o", tmp_path / "out", *FAST)[2]
    n_thumbnails = len(list(results[0].glob("thumbnails/*.jpg")))
    assert n_thumbnails and f"passed over {2 + n_thumbnails} pictures and videos" in stderr
    code, _, stderr = emoscope("analyze", clip, "-o", results[0], *FAST, "--overwrite")
    assert code == 2 and stderr.count("\n") == 1 and "as version 0.6.0 wrote them" in stderr
    assert before == {path: path.stat().st_mtime_ns for path in results[0].rglob("*")}
    assert emoscope("report", results[0], "-o", tmp_path / "page.html")[0] == 0
    assert emoscope("compare", *results, "-o", tmp_path / "both.html")[0] == 0
    assert load_analysis(results[0]).summary.frames == 3


def test_pages_replace_only_pages_of_the_same(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    results = []
    for name in ("a", "b"):
        film = tmp_path / f"{name}.mp4"
        shutil.copy(clip, film)
        results.append(tmp_path / name)
        assert emoscope("analyze", film, "-o", results[-1], *FAST)[0] == 0
    page, mine = tmp_path / "page.html", put(tmp_path / "mine.html", "mine")
    for _ in range(2):
        assert emoscope("report", results[0], "-o", page)[0] == 0
        assert emoscope("report", results[0])[0] == 0
        assert emoscope("compare", *results, "-o", tmp_path / "both.html")[0] == 0
    for arguments, words in (
        (("report", results[1], "-o", page), "--overwrite"),
        (("report", results[0], "-o", mine), "is not a report of emoscope"),
        (("compare", *results, "-o", mine, "--overwrite"), "is not a comparison of emoscope"),
        (("compare", *results, "-o", page), "is not a comparison of emoscope"),
    ):
        code, _, stderr = emoscope(*arguments)
        assert code == 2 and words in stderr and stderr.count("\n") == 1
    assert mine.read_text() == "mine"
    page.write_text(page.read_text().replace("</body>", "<p>My notes.</p></body>"))
    assert emoscope("report", results[0], "-o", page)[0] == 2
    assert emoscope("report", results[1], "-o", page, "--overwrite")[0] == 2
