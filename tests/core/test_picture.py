"""Pictures: whatever a caller has gives the same image; what is none is refused in one line."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pillow_heif
import pytest

from conftest import Command
from emoscope.core.errors import InputError
from emoscope.core.headers import count_pages
from emoscope.core.picture import load_picture, to_image
from emoscope.core.types import Image
from films import CORNERS, name_corners, write_turned

GIVEN: dict[str, Callable[[Path], object]] = {
    "text": str,
    "path": lambda path: path,
    "bytes": Path.read_bytes,
    "view": lambda path: memoryview(path.read_bytes()),
    "file": lambda path: path.open("rb"),
    "memory": lambda path: io.BytesIO(path.read_bytes()),
    "pillow": PIL.Image.open,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_given_in_any_way_it_is_the_same_upright_image(
    kind: str, orientation: int, portrait: Image, tmp_path: Path
) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"p.{kind}"
    PIL.Image.fromarray(np.ascontiguousarray(portrait[:90, 60:180, ::-1])).save(path, exif=exif)
    images = [to_image(give(path)) for give in GIVEN.values()]
    assert images[0].shape == ((90, 120, 3) if orientation < 5 else (120, 90, 3))
    assert all(np.array_equal(images[0], image) for image in images)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I;16"])
def test_pillow_pictures_keep_their_colours(mode: str, portrait: Image) -> None:
    colour = PIL.Image.fromarray(np.ascontiguousarray(portrait[:200, 100:300, ::-1]))
    picture = PIL.Image.fromarray(portrait[:200, 100:300, 1].astype(np.uint16) * 257)
    if mode != "I;16":
        picture = colour.convert(mode)
    assert picture.mode == mode
    expected = portrait[:200, 100:300].astype(int)
    if mode in ("1", "L", "LA", "I;16"):
        expected = np.repeat(np.asarray(colour.convert("L"), int)[:, :, None], 3, axis=2)
    # Dots and a palette are coarse in single pixels only; colours in the wrong order differ by 40 everywhere.
    difference = cv2.blur(to_image(picture).astype(float) - expected, (15, 15))
    assert np.abs(difference).mean() < 12


def test_arrays(portrait: Image) -> None:
    deep = portrait.astype(np.uint16) * 257
    opaque = np.dstack([portrait, np.full(portrait.shape[:2], 9, np.uint8)])
    for given in (portrait, deep, deep.astype(">u2"), opaque, portrait[:, ::-1][:, ::-1]):
        assert np.array_equal(to_image(given), portrait)
    for grey in (portrait[:, :, 0], portrait[:, :, :1]):
        assert np.array_equal(to_image(grey)[:, :, 2], portrait[:, :, 0])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: b"", "the picture is empty"),
        (lambda folder: b"no picture", "the picture cannot be decoded"),
        (lambda folder: folder / "none.png", "none.png"),
        (lambda folder: io.StringIO("text"), "gives str, expected bytes; open it with mode 'rb'"),
        (lambda folder: io.BytesIO(), "is empty"),
        (lambda folder: [[1, 2], [3]], "cannot be read"),
        (lambda folder: PIL.Image.new("F", (9, 9)), "float32 of shape"),
        (lambda folder: PIL.Image.open(io.BytesIO(cut())), "cannot be read"),
    ],
)
def test_what_is_no_picture(make: Callable[[Path], object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        to_image(make(tmp_path))
    assert "\n" not in str(caught.value)


def cut() -> bytes:
    """The first half of a picture."""
    file = io.BytesIO()
    PIL.Image.effect_noise((64, 64), 50).save(file, "png")
    return file.getvalue()[: len(file.getvalue()) // 2]


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp", "avif", "heic"])
def test_every_orientation_in_every_format(kind: str, orientation: int, tmp_path: Path) -> None:
    write_turned(tmp_path / f"p.{kind}", orientation)
    assert name_corners(load_picture(tmp_path / f"p.{kind}")) == CORNERS[orientation]


def test_several_pictures_in_one_heic_are_counted(tmp_path: Path) -> None:
    for n in (1, 3):
        file = pillow_heif.from_pillow(PIL.Image.new("RGB", (64, 48)))
        for _ in range(n - 1):
            file.add_from_pillow(PIL.Image.new("RGB", (64, 48), "red"))
        file.save(str(tmp_path / "p.heic"))
        assert count_pages(tmp_path / "p.heic") == n


def test_without_its_decoder_a_heic_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emoscope: Command
) -> None:
    write_turned(tmp_path / "p.heic", 1)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"needs a decoder that is missing .*; install emoscope anew"):
        to_image(tmp_path / "p.heic")
    code, _, stderr = emoscope("analyze", tmp_path / "p.heic", "-o", tmp_path / "out", "--detector", "own")
    assert code == 2 and stderr.count("\n") == 1 and "needs a decoder that is missing" in stderr
