"""What a recording says of itself is right or said: times, orientation, damage; each kind made here."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from emoscope.core.errors import InputError
from emoscope.media.source import Source, find_sources
from emoscope.media.video import find_orientation

CORNERS = np.zeros((48, 64, 3), np.uint8)
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32] = (250, 20, 20), (20, 250, 20), (20, 20, 250)


def write(path: Path, first_s: float = 0.0, n: int = 25, codec: str = "libx264") -> Path:
    """Write n frames, 25 per second, a key frame every 5."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options={"g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(n):
            picture = av.VideoFrame.from_ndarray(np.roll(CORNERS, 3 * i, axis=1), format="bgr24")
            picture.pts, picture.time_base = round(first_s * 25) + i, Fraction(1, 25)
            out.mux(stream.encode(picture.reformat(format="yuv420p")))
        out.mux(stream.encode())
    return path


def remux(path: Path, to: Path) -> Path:
    """Copy the packets into another container, with all that is said of the stream."""
    with av.open(str(path)) as container, av.open(str(to), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return to


def read(path: Path) -> tuple[Source, list[float]]:
    [source] = find_sources([path])
    return source, [frame.time_s for frame in source]


@pytest.mark.parametrize(
    ("name", "first_s"),
    [("a.mp4", 0), ("a.mkv", 3600), ("a.ts", 0), ("a.ts", 3600), ("a.avi", 0), ("a.h264", 0)],
)
def test_time_begins_with_the_recording(name: str, first_s: float, tmp_path: Path) -> None:
    source, times = read(write(tmp_path / name, first_s))
    assert times == pytest.approx([i / 25 for i in range(25)], abs=1e-3) and not source.problems
    assert source.duration_s == pytest.approx(1, abs=1e-3)


def test_streams_one_behind_the_other(tmp_path: Path) -> None:
    part = write(tmp_path / "part.ts").read_bytes()
    (tmp_path / "both.ts").write_bytes(part + part)
    source, times = read(tmp_path / "both.ts")
    assert times == pytest.approx([i / 25 for i in range(50)], abs=1e-3)
    assert not source.problems and "begin anew at 1.00 s" in source.notes[0]


def test_a_range_without_frames_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    for start_s, end_s in ((2.0, None), (0.5, 0.51)):
        [source] = find_sources([path], start_s=start_s, end_s=end_s)
        with pytest.raises(InputError, match=r"shows nothing"):
            list(source)


@pytest.mark.parametrize("packet", [1, 12, 23])
def test_one_damaged_packet(packet: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        position, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][packet]
    data = bytearray(path.read_bytes())
    data[position : position + size] = np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
    path.write_bytes(data)
    source, times = read(path)
    assert len(times) >= 23 and "is damaged" in source.problems[0]
    if len(times) == 24 and packet < 23:
        assert [(s.start_s, s.end_s) for s in source.unread] == [
            pytest.approx((packet / 25, (packet + 1) / 25), abs=1e-3)
        ]
        assert source.frames_unread == 1


MATRICES = {
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("matrix", [*MATRICES.values(), (0, 0, 0, 0), (1, 1, 1, 1)])
def test_every_flip_and_turn(matrix: tuple[int, int, int, int], suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / ("a.mov" if suffix == "mov" else "a.mp4"), n=1)
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    a, b, c, d = (v << 16 for v in matrix)
    data[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    path.write_bytes(data)
    if suffix == "mkv":
        path = remux(path, tmp_path / "a.mkv")
    with av.open(str(path)) as container:
        orientation = find_orientation(next(container.decode(video=0)))
    assert orientation == next((i for i, m in MATRICES.items() if m == matrix), 1)
    [source] = find_sources([path])
    [frame] = source
    # Where the picture's upper left corner, which is blue-red, is shown: the matrix's own arithmetic.
    h, w = frame.image.shape[:2]
    x, y = matrix[0] + matrix[2], matrix[1] + matrix[3]
    if matrix in MATRICES.values():
        corner = frame.image[2 if y > 0 else h - 3, 2 if x > 0 else w - 3]
        assert np.abs(corner.astype(int) - (250, 20, 20)).max() < 60
