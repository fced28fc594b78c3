"""Names of files as people and cameras give them, and files that name other files."""

import csv
import json
import os
import shutil
import unicodedata
from pathlib import Path

import cv2
import pytest

from conftest import Command
from emoscope.core.types import Image

NAMES = ("=1+1.mp4", "@a.mp4", "a:b.mp4", "new\nline.mp4", "\x1b[31mred.mp4", "[b].mp4", os.fsdecode(b"\xff\xfe.mp4"))
FAST = ("--detector", "own", "--every", "15")


def test_any_name_is_analysed_like_any_other(
    clip: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        shutil.copy(clip, name)
    options = ("-o", "out", *FAST, "--formats", "jsonl,vtt,eaf")
    code, stdout, stderr = emoscope("analyze", *NAMES, *options)
    assert code == 0 and stderr == "" and stdout.count("\n") == len(NAMES) + 1 and "out/index.html" in stdout
    assert not [c for c in stdout if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"]
    for table in Path("out/project").glob("*.csv"):
        with table.open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row if cell[:1] in "=+@"]
        assert not any(cells), table
    for folder in (path.parent for path in Path("out").glob("*/summary.json")):
        with (folder / "observations.csv").open(encoding="utf-8", newline="") as file:
            assert all(row["source"][0] not in "=+-@" for row in csv.DictReader(file))
        json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    code, stdout, stderr = emoscope("analyze", *NAMES, *options, "--json", "--resume")
    assert code == 0 and [e["skipped"] for e in json.loads(stdout)["sources"]] == [True] * len(NAMES)
    code, stdout, stderr = emoscope("analyze", "no\x1b[2Jthing.mp4", *FAST)
    assert code == 2 and "no\\x1b[2Jthing.mp4" in stderr and stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["a:b.mp4", "file:a.mp4", 251 * "x" + ".mp4", 125 * "ä" + ".mp4"])
def test_a_result_is_named_by_its_source_whatever_that_is_called(
    name: str, clip: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, name)
    for _ in range(2):
        code, _, stderr = emoscope("analyze", name, *FAST, "--annotate")
        assert (code, stderr) == (0, "")
    [folder] = (p for p in Path().iterdir() if p.is_dir())
    assert name.startswith(folder.name.removesuffix("-emoscope")) and (folder / "annotated.mp4").is_file()
    code, _, _ = emoscope("live", name, "-o", f"live:{name[:9]}", "--detector", "own", "--view", "none")
    assert code == 0 and (Path(f"live:{name[:9]}") / "observations.parquet").is_file()


@pytest.mark.parametrize("is_video", [True, False])
def test_files_of_any_name_are_explained(
    is_video: bool, clip: Path, portrait: Image, tmp_path: Path, emoscope: Command
) -> None:
    path = tmp_path / os.fsdecode(b"\xff\x1b[31m." + (b"mp4" if is_video else b"png"))
    shutil.copy(clip, path) if is_video else path.write_bytes(cv2.imencode(".png", portrait)[1].tobytes())
    code, _, stderr = emoscope("analyze", path, "-o", tmp_path / "out", *FAST, "--no-report", "--explain")
    assert (code, stderr) == (0, "") and list((tmp_path / "out" / "explanations").glob("*.jpg"))


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {0}\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.avi"])
def test_a_file_that_names_others_is_refused(
    text: str, name: str, clip: Path, tmp_path: Path, emoscope: Command
) -> None:
    shutil.copy(clip, tmp_path / "secret.mp4")
    (tmp_path / name).write_text(text.format("secret.mp4"))
    code, _, stderr = emoscope("analyze", tmp_path / name, "-o", tmp_path / "out", *FAST)
    assert code == 2 and stderr.count("\n") == 1 and "cannot be decoded as video" in stderr
    code, _, stderr = emoscope("live", tmp_path / name, "-o", tmp_path / "out", "--detector", "own", "--view", "none")
    assert code == 2 and "cannot be decoded as video" in stderr
    assert not (tmp_path / "out").exists()
