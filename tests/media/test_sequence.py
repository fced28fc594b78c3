"""A folder of numbered pictures as a film: order, times, damage, and what is refused."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import Command
from emoscope.core.errors import InputError
from emoscope.core.timecode import Every, Span
from emoscope.core.types import Image
from emoscope.media.find import find_sources
from emoscope.media.video import load_frames
from emoscope.tables.observations import Observations


def write_numbered(folder: Path, numbers: list[int], name: str = "frame{}.png") -> Path:
    """Pictures as bright as their number says."""
    folder.mkdir()
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), np.full((24, 32, 3), 10 * number, np.uint8))
    return folder


def test_frames_come_in_natural_order_with_their_times(tmp_path: Path) -> None:
    folder = write_numbered(tmp_path / "shot2", list(range(3, 15)))
    (folder / "notes.txt").write_text("x")
    [source] = find_sources([folder], Every(2), start_s=0.25, end_s=1.0, sequence=10)
    frames = [(frame.index, round(frame.time_s, 6), int(frame.image[0, 0, 0]) // 10) for frame in source]
    assert frames == [(4, 0.4, 7), (6, 0.6, 9), (8, 0.8, 11)]
    assert (source.kind, source.length_s, source.duration_s, source.progress) == ("video", 1.2, 1.0, 1.0)
    [(_, again)] = load_frames(folder, [(8, 0.8)])
    assert int(again[0, 0, 0]) == 110


def test_a_damaged_picture_is_a_gap(tmp_path: Path) -> None:
    folder = write_numbered(tmp_path / "film", list(range(6)), "f_{:03d}.png")
    for number in (2, 3):
        (folder / f"f_{number:03d}.png").write_bytes(b"\x89PNG\r\n")
    [source] = find_sources([folder], sequence=4)
    assert [frame.index for frame in source] == [0, 1, 4, 5]
    assert source.unread == [Span(0.5, 1.0)] and source.frames_unread == 2 and len(source.problems) == 2


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ["a1.png", "a2.png", "a4.png", "a9.png"],
            "but 3, 5 to 8 is missing; add what is missing, or number them anew",
        ),
        (["a1.png", "b1.png"], "have the same number; keep one sequence only"),
        (["a1.png", "cover.png"], "cover.png has no number in its name; move it out"),
        (["a1.txt"], "holds no pictures; expected numbered ones"),
    ],
)
def test_what_is_no_sequence_is_refused_in_one_line(names: list[str], sentence: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes())
    with pytest.raises(InputError, match=sentence):
        find_sources([tmp_path], sequence=25)
    with pytest.raises(InputError, match="is no folder of numbered pictures; leave out --sequence"):
        find_sources([tmp_path / names[0]], sequence=25)


def test_an_empty_range_of_a_sequence_is_one_line(tmp_path: Path) -> None:
    [source] = find_sources([write_numbered(tmp_path / "film", [1, 2])], start_s=9, sequence=1)
    with pytest.raises(InputError, match=r"shows nothing from 9 s on .*; choose an earlier --start"):
        list(source)


def test_a_sequence_leaves_what_a_film_leaves(portrait: Image, tmp_path: Path, emoscope: Command) -> None:
    folder = tmp_path / "film"
    folder.mkdir()
    for number in range(1, 12):
        shown = portrait[:300, 80 + number : 380 + number]
        cv2.imwrite(str(folder / f"{number}.jpg"), shown if number < 9 else 255 - shown // 2)
    code, out, _ = emoscope(
        *("analyze", folder, "-o", tmp_path / "out", "--sequence", "5"),
        *("--annotate", "--explain", "--formats", "eaf,vtt"),
    )
    assert code == 0 and "11 frames" in out
    result = tmp_path / "out" / "film"
    summary = json.loads((result / "summary.json").read_text())
    assert (summary["kind"], summary["duration_s"], summary["cuts"]) == ("video", 2.2, [1.6])
    table = Observations(result / "observations.parquet").to_pandas()
    assert table.drop_duplicates("frame")["shot"].tolist() == [1] * 8 + [2] * 3
    assert "2 shots were found" in (result / "report.html").read_text()
    assert (result / "annotated.mp4").exists() and list((result / "explanations").iterdir())
    assert "MEDIA_DESCRIPTOR" not in (result / "observations.eaf").read_text()
