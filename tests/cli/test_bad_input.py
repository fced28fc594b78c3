"""Whatever a user gives: a clear one-line error or a correct result, no traceback, nothing half-written."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Command
from emoscope.core.errors import EmoscopeError, ModelError
from emoscope.core.picture import load_picture, to_image
from emoscope.core.types import Image
from emoscope.faces.registry import load_embedded


def save_pillow(path: Path, image: PIL.Image.Image, **options: object) -> None:
    image.save(path, **options)  # type: ignore[arg-type]


PICTURES: dict[str, Callable[[Path, Image], None]] = {
    "grey.png": lambda path, bgr: save_pillow(path, PIL.Image.fromarray(bgr[:, :, 1])),
    "alpha.png": lambda path, bgr: save_pillow(path, PIL.Image.fromarray(bgr[:, :, ::-1]).convert("RGBA")),
    "deep.png": lambda path, bgr: (
        path.write_bytes(cv2.imencode(".png", bgr.astype(np.uint16) * 257)[1].tobytes()) and None
    ),
    "cmyk.jpg": lambda path, bgr: save_pillow(path, PIL.Image.fromarray(bgr[:, :, ::-1]).convert("CMYK"), quality=95),
    "cmyk.tif": lambda path, bgr: save_pillow(path, PIL.Image.fromarray(bgr[:, :, ::-1]).convert("CMYK")),
    "Bild mit Leerzeichen 写真.webp": lambda path, bgr: save_pillow(path, PIL.Image.fromarray(bgr[:, :, ::-1])),
}


def save_rotated(path: Path, bgr: Image) -> None:
    # EXIF orientation 6: stored lying on its left side, to be shown turned clockwise.
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    save_pillow(path, PIL.Image.fromarray(np.rot90(bgr[:, :, ::-1]).copy()), exif=exif, quality=95)


PICTURES["exif.jpg"] = save_rotated


@pytest.mark.parametrize("name", PICTURES)
def test_any_picture_is_read_upright(name: str, portrait: Image, tmp_path: Path) -> None:
    wide = portrait[:300]
    PICTURES[name](tmp_path / name, wide)
    image = load_picture(tmp_path / name)
    assert image.shape == wide.shape and image.dtype == np.uint8
    expected = np.repeat(wide[:, :, 1:2], 3, axis=2) if name == "grey.png" else wide
    # Compression and CMYK's way there and back change a little, a wrong turn or channel order a lot.
    assert np.abs(image.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("size_wh", [(1, 1), (12_000, 9_000)])
def test_tiny_and_huge_pictures(size_wh: tuple[int, int], tmp_path: Path, emoscope: Command) -> None:
    path = tmp_path / "p.png"
    cv2.imwrite(str(path), np.full((size_wh[1], size_wh[0]), 99, np.uint8))
    code, stdout, stderr = emoscope("analyze", path, "-o", tmp_path / "o", "--detector", "own")
    assert (code, stderr) == (0, "") and "0 people" in stdout


def write_bad(name: str, content: bytes) -> Callable[[Path, Path], Path]:
    def make(folder: Path, clip: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def write_cut(folder: Path, clip: Path) -> Path:
    data = clip.read_bytes()
    (folder / "cut.mp4").write_bytes(data[:200])
    return folder / "cut.mp4"


def make_empty_folder(folder: Path, clip: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


BAD_SOURCES: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "missing": (lambda folder, clip: folder / "nothing.mp4", "there is no file or folder"),
    "empty file": (write_bad("empty.mp4", b""), "is empty"),
    "empty picture": (write_bad("empty.jpg", b""), "is empty"),
    "text as mp4": (write_bad("text.mp4", b"dear diary, " * 400), "cannot be decoded as video"),
    "text as jpg": (write_bad("text.jpg", b"dear diary, " * 400), "cannot be decoded as a picture"),
    "cut before any frame": (write_cut, "cut.mp4 has no video"),
    "sound only": (
        write_bad(
            "x.wav",
            b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\x08\0\0\0" + b"\x80" * 8,
        ),
        "has no video",
    ),
    "no media": (make_empty_folder, "holds no picture or video"),
    "playlist": (
        write_bad("list.m3u8", b"#EXTM3U\n#EXTINF:5,\nhttp://localhost:9/x.ts\n#EXT-X-ENDLIST\n"),
        "list.m3u8",
    ),
}


@pytest.mark.parametrize("case", BAD_SOURCES)
def test_bad_source_is_one_line_and_leaves_nothing(case: str, clip: Path, tmp_path: Path, emoscope: Command) -> None:
    make, words = BAD_SOURCES[case]
    source = make(tmp_path, clip)
    before = set(tmp_path.iterdir())
    code, stdout, stderr = emoscope("analyze", source, "-o", tmp_path / "out", "--detector", "own")
    assert code == 2 and stdout == "" and words in stderr
    assert stderr.startswith("error: ") and stderr.count("\n") == 1 and "Traceback" not in stderr
    assert set(tmp_path.iterdir()) == before


def test_unwritable_output(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "sub", Path("/proc/nothing")):
        code, _, stderr = emoscope("analyze", clip, "-o", out, "--detector", "own")
        assert code == 2 and "cannot write" in stderr and stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_what_the_system_refuses_is_said_in_one_line(
    clip: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / (300 * "x"), "--detector", "own")
    assert code == 2 and "File name too long" in stderr and stderr.count("\n") == 1 and len(stderr) < 1000
    # One bad name does not stop the rest.
    code, _, stderr = emoscope("analyze", clip.with_name(300 * "x"), clip, "-o", tmp_path / "out", "--detector", "own")
    assert code == 2 and "File name too long" in stderr and (tmp_path / "out" / clip.stem / "summary.json").is_file()
    for name, make in (("jobs", Path.touch), (".lock", Path.mkdir)):
        (tmp_path / f"data{name}").mkdir()
        make(tmp_path / f"data{name}" / name)
        code, _, stderr = emoscope("serve", "--data", tmp_path / f"data{name}", "--port", 0)
        assert code == 2 and "cannot make" in stderr and stderr.count("\n") == 1


def test_what_cannot_be_looked_into_is_said(
    clip: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "films" / "P01").mkdir(parents=True)
    shutil.copy(clip, tmp_path / "films")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("P01"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(os, "scandir", refuse)
    code, _, stderr = emoscope("analyze", tmp_path / "films", "-o", tmp_path / "out", "--detector", "own")
    assert code == 0 and re.search(r"left out \S+P01, which cannot be read \(Permission denied\)\n", stderr)


def test_failure_in_the_middle_leaves_nothing(
    clip: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("emoscope.analysis.recorder.Observations.write_csv", fail)
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "out", "--detector", "own")
    assert code == 2 and "No space left" in stderr
    assert list(tmp_path.iterdir()) == []


def test_our_own_fault_is_said_without_a_traceback(
    clip: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("emoscope.analysis.recorder.compute_summary", fail)
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "out", "--detector", "own")
    assert code == 1 and "RuntimeError: two lines" in stderr and stderr.count("\n") == 1


def test_models_that_are_not_ours(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    aliases, embedded = load_embedded()
    data = embedded[aliases["default"]].path.read_bytes()
    foreign = onnx.load_from_string(data)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "cut.onnx").write_bytes(data[: len(data) // 2])
    for model, words in {
        "nobody": "there is no model 'nobody'",
        tmp_path / "foreign.onnx": "holds no emoscope specification",
        tmp_path / "text.onnx": "no ONNX model that can be loaded",
        tmp_path / "cut.onnx": "no ONNX model that can be loaded",
    }.items():
        code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "out", "--detector", "own", "--model", model)
        assert code == 2 and words in stderr and stderr.count("\n") == 1, stderr
        assert not (tmp_path / "out").exists()


def test_wrong_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clip: Path, emoscope: Command) -> None:
    monkeypatch.setenv("EMOSCOPE_CACHE", str(tmp_path))
    (tmp_path / "face_detection_yunet_2026may.onnx").write_bytes(b"other bytes")
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "out", "--detector", "yunet")
    assert code == 2 and "damaged or replaced" in stderr and stderr.count("\n") == 1
    monkeypatch.setattr("emoscope.faces.registry.compute_sha256", lambda path: "0" * 64)
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "out", "--detector", "own")
    assert code == 2 and "install emoscope again" in stderr


def test_without_network_or_cache(
    clip: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOSCOPE_CACHE", str(tmp_path / "cache"))
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "a", "--no-report")
    assert code == 0 and stderr.count("embedded detector") == 1, "auto falls back with one warning"
    code, _, stderr = emoscope("analyze", clip, "-o", tmp_path / "b", "--detector", "yunet")
    assert code == 2 and "cannot fetch the model yunet" in stderr
    assert f"into {tmp_path / 'cache'}" in stderr and (tmp_path / "cache").is_dir(), "what it advises can be done"


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["analyze", "x.mp4", "--every", "0"],
        ["analyze", "x.mp4", "--detector", "mtcnn"],
        ["fly"],
        ["train"],
    ],
)
def test_bad_usage(arguments: list[str], emoscope: Command) -> None:
    code, stdout, stderr = emoscope(*arguments)
    assert code == 2 and stdout == "" and "Traceback" not in stderr


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_pictures_never_escape(data: st.DataObject, tmp_path: Path, portrait: Image) -> None:
    kind = data.draw(st.sampled_from([".jpg", ".png", ".webp", ".bmp"]))
    content = bytearray(cv2.imencode(kind, portrait[100:164, 100:164])[1].tobytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"p{kind}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = load_picture(path)
    except EmoscopeError as e:
        assert "\n" not in str(e)
    else:
        assert image.ndim == 3 and image.dtype == np.uint8


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 5), np.float32), np.zeros((4, 5, 2), np.uint8), np.zeros((0, 5, 3), np.uint8), [[1, 2]]],
)
def test_arrays_that_are_no_image(array: object) -> None:
    with pytest.raises(EmoscopeError, match="expected uint8 or uint16"):
        to_image(array)
    with pytest.raises(EmoscopeError, match=r"None, as cv2\.imread returns"):
        to_image(None)


def test_damaged_spec() -> None:
    from emoscope.faces.spec import ModelSpec

    good = ModelSpec("x").to_metadata()
    assert ModelSpec.from_metadata(good) == ModelSpec("x")
    for text in (
        "",
        "[]",
        "{}",
        '{"version": 99}',
        '{"version": 2, "name": "x", "labels": ["happy"]}',
        '{"version": 2}',
    ):
        with pytest.raises(ModelError):
            ModelSpec.from_metadata({"emoscope": text})
