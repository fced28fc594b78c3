"""Large frames, converted where they are looked at, against the same frames converted as a whole."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscope.core.picture import turn
from emoscope.core.types import Deferred, Image
from emoscope.faces.crop import crop_faces, crop_turned
from emoscope.faces.preprocess import shrink, to_grey
from emoscope.media.planes import Planes, Reformatters, can_defer
from emoscope.media.source import Source

W, H = 1280, 718
FORMATS = ("yuv420p", "yuvj420p")
SPACES, SPANS = (0, 1, 5, 6, 9), (0, 1, 2)
"""FFmpeg's numbers of matrices (unknown, BT.709, BT.601 twice, BT.2020) and ranges (unknown, limited, full)."""


def create_picture(format: str = "yuv420p", space: int = 1, span: int = 1) -> av.VideoFrame:
    """Return a frame that is smooth, as films are, with noise on it."""
    rng = np.random.default_rng(3)
    picture = av.VideoFrame(W, H, format)
    for i, plane in enumerate(picture.planes):
        h, w = (H, W) if i == 0 else (H // 2, W // 2)
        # Colours as of faces and rooms: more saturated ones cannot be shown, and are cut off.
        spread = (40, 200) if i == 0 else (108, 148)
        coarse = cv2.resize(rng.integers(*spread, (12, 20), np.uint8), (w, h), interpolation=cv2.INTER_CUBIC)
        values = np.asarray(memoryview(plane)).reshape(-1, plane.line_size)
        values[:h, :w] = np.clip(coarse + rng.normal(0, 3, (h, w)), 0, 255)
    picture.colorspace, picture.color_range = space, span
    return picture


def defer(picture: av.VideoFrame, orientation: int = 1) -> tuple[Planes, Image]:
    """Return a picture not converted yet, and the same as a whole."""
    assert can_defer(picture)
    whole = picture.reformat(format="bgr24").to_ndarray()
    return Planes(picture, Reformatters(), orientation), turn(whole, orientation)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("span", SPANS)
def test_a_part_is_that_of_the_whole_whatever_the_colours_mean(format: str, space: int, span: int) -> None:
    planes, whole = defer(create_picture(format, space, span))
    for part in (np.s_[31:256, 77:301], np.s_[H - 9 : H, W - 33 : W], np.s_[0:718:7, 3:900:5]):
        np.testing.assert_array_equal(planes[part], whole[part])


PICTURE = create_picture()
SIDE = st.integers(0, W + 50)
SLICES = st.builds(slice, SIDE, SIDE, st.sampled_from((None, 1, 1, 2, 3, 7, -1)))


@given(st.tuples(SLICES, SLICES), st.integers(1, 8))
def test_any_part_is_that_of_the_whole_however_it_is_turned(part: tuple[slice, slice], orientation: int) -> None:
    planes, whole = defer(PICTURE, orientation)
    assert planes.shape == whole.shape
    np.testing.assert_array_equal(planes[part], whole[part])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [60, 113, 240, 470, 690])
def test_faces_are_cut_as_from_the_whole(orientation: int, side: int) -> None:
    planes, whole = defer(PICTURE, orientation)
    h, w = whole.shape[:2]
    boxes = np.array([[9, 13, 9 + side, 13 + side], [w - side, h - side, w + 20, h + 20]], np.float32)
    for mine, theirs in zip(crop_faces(planes, boxes, 0.0), crop_faces(whole, boxes, 0.0), strict=True):
        assert mine.shape == theirs.shape
        if side < 224:
            np.testing.assert_array_equal(mine, theirs)
        # Averaged before it is converted, not after: the brightness, which is read, is the same but for rounding.
        assert cv2.absdiff(to_grey(mine), to_grey(theirs)).mean() < 1
    grey = crop_turned(planes, boxes[0], 0.0, 20.0), crop_turned(whole, boxes[0], 0.0, 20.0)
    assert grey[0].shape == grey[1].shape
    assert cv2.absdiff(*grey).mean() < 1


PLACE = st.floats(-900, W + 900, width=32)


@given(PLACE, PLACE, st.floats(1, 1500, width=32), st.floats(-180, 180), st.integers(1, 8))
def test_a_face_anywhere_is_cut_as_from_the_whole(
    x: float, y: float, side: float, turned_deg: float, orientation: int
) -> None:
    planes, whole = defer(PICTURE, orientation)
    box = np.array([x, y, x + side, y + side], np.float32)
    for mine, theirs in (
        [crop_faces(image, box[None], 0.0)[0] for image in (planes, whole)],
        [crop_turned(image, box, 0.0, turned_deg) for image in (planes, whole)],
    ):
        assert mine.shape == theirs.shape
        assert cv2.absdiff(to_grey(mine), to_grey(theirs)).mean() < 2


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("scale", [0.5, 0.41, 0.1])
def test_the_small_picture_is_that_of_the_whole(orientation: int, scale: float) -> None:
    planes, whole = defer(PICTURE, orientation)
    mine, theirs = shrink(planes, scale), shrink(whole, scale)
    assert max(abs(a - b) for a, b in zip(mine.shape, theirs.shape, strict=True)) <= 1
    h, w = np.minimum(mine.shape, theirs.shape)[:2]
    assert cv2.absdiff(to_grey(mine[:h, :w]), to_grey(theirs[:h, :w])).mean() < 3
    assert planes.whole is None


def test_many_parts_are_taken_from_the_whole_at_once() -> None:
    planes, _ = defer(PICTURE)
    planes.prepare(2)
    assert planes.whole is None
    planes.prepare(40)
    assert planes.whole is not None


def test_the_blocks_of_interlaced_frames_lie_in_fields(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"flags": "+ilme+ildct", "x264-params": "tff=1"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for plane in (picture := create_picture()).planes:
            np.asarray(memoryview(plane))[::3] += 40
        out.mux(stream.encode(picture.reformat(1280, 720)))
        out.mux(stream.encode())
    with av.open(str(path)) as container:
        [decoded] = container.decode(video=0)
    assert decoded.interlaced_frame
    assert not can_defer(decoded)


@pytest.mark.parametrize(
    ("size_wh", "kind"), [((1280, 720), Planes), ((320, 240), np.ndarray), ((1279, 719), np.ndarray)]
)
def test_a_film_gives_large_frames_unconverted(tmp_path: Path, size_wh: tuple[int, int], kind: type) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1" if size_wh[0] % 2 else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((*size_wh[::-1], 3), 90, np.uint8), format="bgr24")))
        out.mux(stream.encode())
    [frame] = Source(path, "video")
    assert isinstance(frame.raster, kind)
    assert isinstance(frame.raster, Deferred) == (kind is Planes)
    assert frame.size_wh == size_wh
    assert frame.image.shape == (*size_wh[::-1], 3)


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_high_dynamic_range_is_seen_as_screens_of_standard_range_show_it(transfer: str) -> None:
    """A ramp of greys, white at 203 cd/m2 (ITU-R BT.2408), as both systems encode it (ITU-R BT.2100)."""
    shown = np.linspace(0, 1, 64)
    light = 203 * np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    if transfer == "PQ":
        power = (light / 10_000) ** (2610 / 16384)
        signal = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    else:
        scene, a, b, c = (light / 1000) ** (1 / 1.2), 0.17883277, 0.28466892, 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    brightness = np.tile((64 + 876 * signal).round().astype(np.uint16), (720, 16))
    colours = np.full((360, 1024), 512, np.uint16)
    picture = av.VideoFrame.from_ndarray(np.concatenate([brightness, colours]), format="yuv420p10le")
    picture.colorspace, picture.color_primaries, picture.color_range = 9, 9, 1
    picture.color_trc = 16 if transfer == "PQ" else 18
    found = Reformatters().convert(picture)[10, :64].mean(axis=1)
    assert np.abs(found - 255 * shown).max() < 16 and not can_defer(picture)
    picture.color_trc = 1
    assert np.abs(Reformatters().convert(picture)[10, :64].mean(axis=1) - 255 * shown).max() > 60, "as it is stored"
