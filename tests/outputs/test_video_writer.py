"""Annotated video: playing times and sound, measured in the file that was written."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Faces, Frame
from emoscope.media.find import find_sources
from emoscope.outputs.sound import Sound
from emoscope.outputs.video_writer import VideoWriter

RATE_HZ = 44_100
BURST_S = (1.2, 1.5)


def write_source(path: Path, codec: str, length_s: float = 3.0, first_s: float = 0.0) -> None:
    """Write a video of uneven frame times with a tone that sounds during BURST_S only."""
    n = round(length_s * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    wave = np.where((t >= BURST_S[0]) & (t < BURST_S[1]), np.sin(2 * np.pi * 1000 * t), 0) * 0.5
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream(codec, rate=48_000 if codec == "libopus" else RATE_HZ, layout="mono")
        for i in range(n // 1024):
            part = np.ascontiguousarray(wave[None, 1024 * i : 1024 * (i + 1)], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 1024 * i, Fraction(1, RATE_HZ)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
        for time_s in times(length_s, first_s):
            picture = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 99, np.uint8), format="bgr24")
            picture.pts, picture.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))


def times(length_s: float, first_s: float = 0.0) -> list[float]:
    return [t for t in (first_s + 0.04 * i + (0.02 if i > 40 else 0) for i in range(10_000)) if t < length_s]


def annotate_file(path: Path, out: Path, start_s: float = 0.0, end_s: float | None = None) -> VideoWriter:
    [source] = find_sources([path])
    with VideoWriter(out, source.frame_rate, path, start_s, end_s) as writer:
        for frame in source:
            if start_s <= frame.time_s and (end_s is None or frame.time_s < end_s):
                writer.add(frame, FrameResult(frame.index, frame.time_s, frame.source, frame.size_wh, Faces()))
    return writer


def read_sound(path: Path) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Return the codec, and time and loudness of each sample."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        seconds, values = [], []
        for frame in container.decode(stream):
            data = frame.to_ndarray().astype(np.float64)
            mono = data.mean(axis=0) if frame.format.is_planar else data.reshape(-1, frame.layout.nb_channels).mean(1)
            seconds.append(float(frame.time) + np.arange(len(mono)) / frame.sample_rate)
            values.append(np.abs(mono))
        return stream.codec_context.codec.canonical_name, np.concatenate(seconds), np.concatenate(values)


def read_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(f.time) for f in container.decode(video=0) if f.time is not None]


def is_faststart(path: Path) -> bool:
    data = path.read_bytes()
    return data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("a.mp4", "aac", "aac"),
        ("a.ts", "aac", "aac"),
        ("a.mkv", "libopus", "opus"),
        ("a.avi", "libmp3lame", "mp3"),
        ("a.mkv", "mp2", "aac"),
        ("a.avi", "pcm_s16le", "aac"),
    ],
)
def test_sound_and_pictures_stay_in_time(tmp_path: Path, name: str, codec: str, expected: str) -> None:
    path, out = tmp_path / name, tmp_path / "annotated.mp4"
    write_source(path, codec)
    assert annotate_file(path, out).problems == []
    np.testing.assert_allclose(read_times(out), read_times(path), atol=2e-3)
    found, seconds, loudness = read_sound(out)
    assert found == expected
    _, source_seconds, source_loudness = read_sound(path)
    for index in (0, -1):
        start_or_end = seconds[loudness > 0.1 * loudness.max()][index]
        assert abs(start_or_end - source_seconds[source_loudness > 0.1 * source_loudness.max()][index]) < 0.03
    assert abs(seconds[-1] - source_seconds[-1]) < 0.06
    assert is_faststart(out)
    # As samples it sounds at the same time of the pictures' clock, which begins with the container.
    with av.open(str(path)) as container:
        begin_s = (container.start_time or 0) / av.time_base
    samples = np.concatenate(list(Sound(path).read(8000)))
    loud = np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max()) / 8000
    expected_loud = source_seconds[source_loudness > 0.1 * source_loudness.max()] - begin_s
    assert abs(loud[0] - expected_loud[0]) < 0.01 and abs(loud[-1] - expected_loud[-1]) < 0.01


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.ts", "aac"), ("a.avi", "pcm_s16le")])
def test_a_part_keeps_its_times(tmp_path: Path, name: str, codec: str) -> None:
    path, out = tmp_path / name, tmp_path / "annotated.mp4"
    write_source(path, codec)
    assert annotate_file(path, out, 1.0, 2.0).problems == []
    expected = [t for t in read_times(path) if 1.0 <= t < 2.0]
    np.testing.assert_allclose(read_times(out), expected, atol=2e-3)
    _, seconds, loudness = read_sound(out)
    _, source_seconds, source_loudness = read_sound(path)
    assert 0.94 < seconds[0] < 1.06 and 1.94 < seconds[-1] < 2.06
    loud, source_loud = seconds[loudness > 0.1], source_seconds[source_loudness > 0.1]
    assert abs(loud[0] - source_loud[0]) < 0.03 and abs(loud[-1] - source_loud[-1]) < 0.03


def test_a_first_frame_after_zero_stays_there(tmp_path: Path) -> None:
    path, out = tmp_path / "a.mp4", tmp_path / "annotated.mp4"
    write_source(path, "aac", first_s=0.6)
    annotate_file(path, out)
    found = read_times(out)
    assert abs(found[0] - 0.6) < 2e-3 and len(found) == len(times(3.0, 0.6))
    _, seconds, loudness = read_sound(out)
    assert abs(seconds[loudness > 0.1][0] - BURST_S[0]) < 0.03


def write_frames(out: Path, sizes: list[tuple[int, int]], sound_from: Path | None) -> list[str]:
    rng = np.random.default_rng(0)
    with VideoWriter(out, None, sound_from) as writer:
        for i, (h, w) in enumerate(sizes):
            image = rng.integers(0, 256, (h, w, 3), np.uint8)
            writer.add(Frame(image, i, 0.1 * i), FrameResult(i, 0.1 * i, "", (w, h), Faces()))
    return writer.problems


def test_damaged_sound_never_stops_the_video(tmp_path: Path) -> None:
    out = tmp_path / "annotated.mp4"
    rng = np.random.default_rng(1)
    said = 0
    for name, codec in (("a.ts", "aac"), ("a.mkv", "mp2"), ("b.mkv", "libopus"), ("a.mp4", "aac"), ("b.ts", "ac3")):
        path = tmp_path / name
        write_source(path, codec)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for share in (0.001, 0.02):
            data = whole.copy()
            places = rng.integers(len(data) // 8, len(data), max(1, round(share * len(data))))
            data[places] = rng.integers(0, 256, len(places))
            path.write_bytes(data.tobytes())
            said += len(write_frames(out, [(64, 96)] * 30, path))
            np.testing.assert_allclose(read_times(out), 0.1 * np.arange(30), atol=1e-3)
    assert said > 0
    (tmp_path / "text.mp4").write_text("no video")
    assert "cannot be kept" in write_frames(out, [(64, 96)] * 3, tmp_path / "text.mp4")[0]
    assert len(read_times(out)) == 3


def test_any_size_and_no_sound(tmp_path: Path, clip: Path) -> None:
    out = tmp_path / "annotated.mp4"
    assert write_frames(out, [(63, 97), (63, 97), (20, 300), (120, 33)], clip) == []
    with av.open(str(out)) as container:
        assert [s.type for s in container.streams] == ["video"]
        assert container.streams.video[0].width == 98 and container.streams.video[0].height == 64
        assert sum(1 for _ in container.decode(video=0)) == 4
    assert write_frames(out, [(1, 1)], None) == []
    assert len(read_times(out)) == 1
    assert write_frames(tmp_path / "none.mp4", [], clip) == [] and not (tmp_path / "none.mp4").exists()
