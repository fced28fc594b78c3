"""What must not change who was seen and what they showed: container, clock, orientation, names, --every."""

import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emoscope as product
from emoscope.core.picture import turn
from emoscope.core.types import Image

FPS = 5


@pytest.fixture(scope="module")
def frames(portrait: Image) -> list[Image]:
    """A film of two people: both for 12 frames, then one of them alone after a cut."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    hopper = np.asarray(cv2.imread(str(path)), np.uint8)
    one = cv2.resize(portrait[0:300, 80:380], (160, 160), interpolation=cv2.INTER_AREA)
    other = cv2.resize(hopper[40:440, 70:470], (160, 160), interpolation=cv2.INTER_AREA)
    shown = []
    for i in range(20):
        canvas = np.full((180, 400, 3), 90 if i < 12 else 200, np.uint8)
        canvas[10:170, 10 + i : 170 + i] = one if i < 12 else other
        if i < 12:
            canvas[10:170, 210 + i : 370 + i] = other
        shown.append(canvas)
    return shown


def write(path: Path, frames: list[Image], offset_s: float = 0.0, orientation: int = 1) -> Path:
    """Write frames without loss, stored so that this orientation shows them upright."""
    # Turning back by 90 degrees the one way is turning by the other.
    stored = [turn(frame, {6: 8, 8: 6}.get(orientation, orientation)) for frame in frames]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width = stored[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        for i, frame in enumerate(stored):
            picture = av.VideoFrame.from_ndarray(frame, format="bgr24").reformat(format="yuv444p")
            picture.pts, picture.time_base = round(offset_s * FPS) + i, Fraction(1, FPS)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    if orientation > 1:
        data = bytearray(path.read_bytes())
        at = data.find(b"tkhd") + 44
        a, b, c, d = MATRICES[orientation]
        data[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
        path.write_bytes(data)
    return path


ONE = 1 << 16
MATRICES = {
    2: (-ONE, 0, 0, ONE), 3: (-ONE, 0, 0, -ONE), 4: (ONE, 0, 0, -ONE), 5: (0, ONE, ONE, 0),
    6: (0, ONE, -ONE, 0), 7: (0, -ONE, -ONE, 0), 8: (0, -ONE, ONE, 0),
}  # fmt: skip


def read(path: Path, every: int | str = 1) -> list[tuple[int, int, dict[str, float]]]:
    summary = product.analyze_video(path, every=every, detector="own", report=False).summary
    return [(p.track_id, p.frames, {k: round(v, 6) for k, v in p.shares.items()}) for p in summary.people]


@pytest.fixture(scope="module")
def expected(frames: list[Image], tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, int, dict[str, float]]]:
    people = read(write(tmp_path_factory.mktemp("plain") / "a.mp4", frames))
    assert len(people) == 2
    return people


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["mp4", "mov", "mkv", "ts"]),
    st.sampled_from([0.0, 0.4, 3600.0, 95443.0]),
    st.integers(1, 8),
    st.text(st.sampled_from("ab 0:%-é結"), min_size=1, max_size=8),
    st.booleans(),
)
def test_people_and_shares_do_not_depend_on_how_a_film_is_stored(
    frames: list[Image],
    expected: list[tuple[int, int, dict[str, float]]],
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    offset_s: float,
    orientation: int,
    name: str,
    is_here: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        can_turn = suffix in ("mp4", "mov")
        path = write(Path(folder) / f"{name}.{suffix}", frames, offset_s, orientation if can_turn else 1)
        if is_here:
            patch.chdir(folder)
        assert read(Path(path.name) if is_here else path) == expected


@pytest.mark.parametrize("every", [2, "0.5s", "1s", "1.6s"])
def test_people_do_not_depend_on_every(every: int | str, frames: list[Image], tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [frame for frame in frames for _ in range(2)])
    assert [track_id for track_id, _, _ in read(path, every)] == [1, 2]


def test_a_film_on_its_head_is_said(frames: list[Image], tmp_path: Path, yunet: None) -> None:
    upside_down = [frame[::-1, ::-1] for frame in frames[:8]]
    summary = product.analyze_video(write(tmp_path / "a.mp4", upside_down)).summary
    assert summary.status == "complete" and "stand on their heads" in str(summary.message)
    turned = product.analyze_video(write(tmp_path / "b.mp4", [frame[::-1, ::-1] for frame in upside_down])).summary
    assert turned.message is None and turned.people_count == summary.people_count == 2
