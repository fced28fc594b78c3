"""What a recording says of itself is right or said: times, orientation, damage; each kind made here."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import pytest

from emoscope.core.errors import InputError
from emoscope.media.find import find_sources
from emoscope.media.source import Source
from emoscope.media.video import find_orientation, find_stream
from films import CORNERS, MATRICES, name_corners, remux_film, set_matrix, write_film


def read(path: Path) -> tuple[Source, list[float]]:
    [source] = find_sources([path])
    return source, [frame.time_s for frame in source]


@pytest.mark.parametrize(
    ("name", "first_s"),
    [("a.mp4", 0), ("a.mkv", 3600), ("a.ts", 0), ("a.ts", 3600), ("a.avi", 0), ("a.h264", 0)],
)
def test_time_begins_with_the_recording(name: str, first_s: float, tmp_path: Path) -> None:
    source, times = read(write_film(tmp_path / name, first_s))
    assert times == pytest.approx([i / 25 for i in range(25)], abs=1e-3) and not source.problems
    assert source.duration_s == pytest.approx(1, abs=1e-3)


def test_an_animated_png_with_a_colour_profile(tmp_path: Path) -> None:
    pictures = [PIL.Image.new("RGB", (32, 24), colour) for colour in ("red", "green", "blue")]
    more = {"append_images": pictures[1:], "duration": [200, 100, 300], "icc_profile": bytes(300)}
    pictures[0].save(tmp_path / "a.png", save_all=True, **more)
    source, times = read(tmp_path / "a.png")
    assert times == pytest.approx([0, 0.2, 0.3]) and source.duration_s == pytest.approx(0.6)


def test_streams_one_behind_the_other(tmp_path: Path) -> None:
    part = write_film(tmp_path / "part.ts").read_bytes()
    (tmp_path / "both.ts").write_bytes(part + part)
    source, times = read(tmp_path / "both.ts")
    assert times == pytest.approx([i / 25 for i in range(50)], abs=1e-3)
    assert not source.problems and "begin anew at 1.00 s" in source.notes[0]


def test_a_range_without_frames_is_said(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4")
    for start_s, end_s in ((2.0, None), (0.5, 0.51)):
        [source] = find_sources([path], start_s=start_s, end_s=end_s)
        with pytest.raises(InputError, match=r"shows nothing"):
            list(source)


@pytest.mark.parametrize("name", ["a.ts", "a.mp4", "a.mkv", "a.avi"])
def test_a_start_far_behind_a_key_frame(name: str, tmp_path: Path) -> None:
    path = write_film(tmp_path / name, n=500, every=250, between=0 if name == "a.avi" else 3)
    [source] = find_sources([path], start_s=13, end_s=14)
    frames = [(frame.index, round(frame.time_s, 3)) for frame in source]
    assert frames == [(325 + i, round(13 + i / 25, 3)) for i in range(25)] and not source.problems


def test_a_picture_that_stays_is_no_damage(tmp_path: Path) -> None:
    """Theora says so by an empty packet."""
    path = write_film(tmp_path / "a.mkv", n=12)
    with av.open(str(path)) as container, av.open(str(tmp_path / "b.nut"), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for i, packet in enumerate([p for p in container.demux(video=0) if p.size]):
            if i == 7:
                stamps = packet.pts, packet.dts, packet.time_base
                packet = av.Packet(0)
                packet.pts, packet.dts, packet.time_base = stamps
            packet.stream = stream
            out.mux(packet)
    source, times = read(tmp_path / "b.nut")
    assert len(times) == 11 and not source.problems


def spoil(path: Path, packet: int) -> None:
    """Overwrite one packet with noise."""
    with av.open(str(path)) as container:
        position, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][packet]
    assert position is not None
    data = bytearray(path.read_bytes())
    data[position : position + size] = np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
    path.write_bytes(data)


@pytest.mark.parametrize("packet", [1, 12, 23])
def test_one_damaged_packet(packet: int, tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4")
    spoil(path, packet)
    source, times = read(path)
    assert len(times) == 24 and "is damaged" in source.problems[0]
    assert [(s.start_s, s.end_s) for s in source.unread] == [pytest.approx((packet / 25, (packet + 1) / 25), abs=1e-3)]
    assert source.frames_unread == 1


@pytest.mark.parametrize("packet", [0, 6, 149])
@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.mp4"])
def test_a_hole_anywhere_is_said(name: str, packet: int, tmp_path: Path) -> None:
    path = write_film(tmp_path / name, n=150, codec="libvpx" if name == "a.webm" else "libx264")
    spoil(path, packet)
    source, times = read(path)
    # FFmpeg passes over all of a Matroska file's cluster, which is two seconds here.
    assert len(times) >= (100 if name != "a.mp4" else 145) and "is damaged" in source.problems[0]
    # With the beginning of a Matroska file its stamps are lost.
    assert source.frames_unread == (0 if packet == 0 and name != "a.mp4" else 150 - len(times))


@pytest.mark.parametrize("packet", [1, 2, 12, 24])
def test_a_hole_in_a_transport_stream_is_said(packet: int, tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.ts")
    spoil(path, packet)
    source, times = read(path)
    assert len(times) >= 23 and "packets are missing" in source.problems[0]


def test_a_broadcast_that_begins_anywhere(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.ts")
    with av.open(str(path)) as container, av.open(str(tmp_path / "b.ts"), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in [p for p in container.demux(video=0) if p.size][2:]:
            packet.stream = stream
            out.mux(packet)
    source, times = read(tmp_path / "b.ts")
    assert times == pytest.approx([(i + 3) / 25 for i in range(20)], abs=1e-3) and not source.problems
    assert "up to 0.12 s, cannot be decoded: what they build on is not in the file" in source.notes[0]
    assert source.frames_unread == 3


@pytest.mark.parametrize("packet", [16, 24])
def test_an_error_near_the_end_loses_one_frame(packet: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "a.mp4")
    spoil(path, packet)

    def find(*arguments: Any) -> Any:
        stream = find_stream(*arguments)
        stream.codec_context.thread_count = 16
        return stream

    monkeypatch.setattr("emoscope.media.source.find_stream", find)
    source, times = read(path)
    assert len(times) == 24 and "is damaged" in source.problems[0]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("matrix", [*MATRICES.values(), (0, 0, 0, 0), (1, 1, 1, 1)])
def test_every_flip_and_turn(matrix: tuple[int, int, int, int], suffix: str, tmp_path: Path) -> None:
    path = write_film(tmp_path / ("a.mov" if suffix == "mov" else "a.mp4"), n=1)
    set_matrix(path, matrix)
    if suffix == "mkv":
        path = remux_film(path, tmp_path / "a.mkv")
    orientation = next((i for i, m in MATRICES.items() if m == matrix), 1)
    with av.open(str(path)) as container:
        assert find_orientation(next(container.decode(video=0))) == orientation
    [source] = find_sources([path])
    assert [name_corners(frame.image) for frame in source] == [CORNERS[orientation]]
