"""Damaged and hostile media: every frame before the damage and one line about it, bounded memory, never a traceback."""

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from conftest import Command, write_clip
from emoscope.core.errors import InputError
from emoscope.core.headers import is_animated, is_cut_off, is_encrypted
from emoscope.core.picture import load_picture
from emoscope.core.types import Image
from emoscope.media.find import find_sources
from emoscope.media.video import load_frames
from fuzz import judge_cut, read
from mutate import KINDS, TRUNCATIONS_THAT_KEEP_THE_INDEX, create_seeds, mutate


@pytest.fixture(scope="module")
def seeds() -> dict[str, dict[str, bytes]]:
    return create_seeds()


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_media_never_escape(kind: str, seeds: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    for number in range(40):
        name, change, data = mutate(seeds, kind, 1, number)
        path.write_bytes(data)
        result = read(path, seeds[kind][name], name, change, is_whole=number == 0)
        assert not result["finding"], (number, name, change, result)


def test_a_cut_file_gives_all_before_the_cut_and_says_so(seeds: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    for kind in ("mp4", "webm", "gif"):
        for name, data in seeds[kind].items():
            path = tmp_path / f"{name}.{kind}"
            path.write_bytes(data[: len(data) * 2 // 3])
            if not any(word in name for word in TRUNCATIONS_THAT_KEEP_THE_INDEX):
                with pytest.raises(InputError, match="cut off before its first frame or its index"):
                    list(find_sources([path])[0])
                continue
            [source] = find_sources([path])
            frames = [(frame.time_s, zlib.crc32(np.ascontiguousarray(frame.image))) for frame in source]
            assert len(frames) >= 2 and "everything before was analysed" in source.problems[0]
            assert judge_cut(path, data, frames, source.problems) is None


def test_structure_knows_whole_from_cut(seeds: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    path = tmp_path / "x"
    for files in seeds.values():
        for name, data in files.items():
            path.write_bytes(data)
            assert not is_cut_off(path) and is_animated(path) == (name == "animated"), name
            path.write_bytes(data + b"left behind by some camera")
            assert not is_cut_off(path), name
            for share in range(1, 20):
                path.write_bytes(data[: len(data) * share // 20])
                assert is_cut_off(path), (name, share)


def write_png(path: Path, width: int, height: int) -> None:
    """Write a black picture of any size, kilobytes small."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj()
    data = b"".join(packer.compress(bytes(1 + width)) for _ in range(min(height, 1000))) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def write_large_gif(path: Path, side: int, seeds: dict[str, dict[str, bytes]]) -> None:
    data = bytearray(seeds["gif"]["gif"])
    data[6:10] = struct.pack("<HH", side, side)
    path.write_bytes(data)


@pytest.mark.parametrize("side", [20_000, 60_000])
def test_bombs_are_refused_before_they_unfold(side: int, seeds: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    write_png(tmp_path / "bomb.png", side, side)
    write_large_gif(tmp_path / "bomb.gif", side, seeds)
    with pytest.raises(InputError, match="reduce it first"):
        load_picture(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"reduce it first|cannot be decoded"):
        list(find_sources([tmp_path / "bomb.gif"])[0])


def write_encrypted(path: Path, image: Image) -> None:
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())


def write_song(path: Path, image: Image) -> None:
    """Write a second of sound with a cover picture in front, as music players do (ID3v2.3, APIC)."""
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.int16), format="s16p", layout="mono")
        sound.rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    picture = b"\0image/jpeg\0\x03\0" + bytes(cv2.imencode(".jpg", image)[1])
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\0\0" + picture
    n = len(frame)
    size = bytes((n >> shift) & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + path.read_bytes())


def write_unknown(path: Path, image: Image) -> None:
    """Write a film of a codec that nobody knows."""
    write_clip(path, [(image, 0.0), (image, 0.1)])
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))


WITHOUT_VIDEO: dict[str, tuple[Callable[[Path, Image], None], str]] = {
    "film.mp4": (write_encrypted, "is encrypted (DRM)"),
    "unknown.mp4": (write_unknown, "there is no decoder; convert it to H.264 in an mp4 file"),
    "song.mp3": (write_song, "has no video in it"),
}


@pytest.mark.parametrize("name", WITHOUT_VIDEO)
def test_encrypted_video_and_songs_are_one_line(name: str, portrait: Image, tmp_path: Path, emoscope: Command) -> None:
    write, words = WITHOUT_VIDEO[name]
    write(tmp_path / name, portrait)
    code, stdout, stderr = emoscope("analyze", tmp_path / name, "-o", tmp_path / "out", "--detector", "own")
    assert code == 2 and stdout == "" and words in stderr and stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_clear_film_is_not_called_encrypted(clip: Path) -> None:
    assert not is_encrypted(clip)


def test_a_video_that_grows_in_the_middle_keeps_what_came_before(
    portrait: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = tmp_path / "small.ts", tmp_path / "large.ts"
    write_clip(small, [(portrait[:128, :128], i / 25) for i in range(10)])
    write_clip(large, [(portrait, 1 + i / 25) for i in range(10)])
    (tmp_path / "both.ts").write_bytes(small.read_bytes() + large.read_bytes())
    monkeypatch.setattr("emoscope.media.video.MAX_FRAME_PIXELS", 256 * 256)
    [source] = find_sources([tmp_path / "both.ts"])
    assert len(list(source)) == 10 and "512 x 512 pixels" in source.problems[0]


def test_libraries_do_not_speak_on_stderr(seeds: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    # libpng writes there by itself, past Python and past every setting: only a real process shows it.
    for number, name in enumerate(("alpha", "colour")):
        (tmp_path / f"{number}.png").write_bytes(seeds["png"][name][:5000])
    command = [sys.executable, "-m", "emoscope", "analyze", "0.png", "1.png", "-o", "out", "--detector", "own"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    *lines, last = done.stderr.splitlines()
    assert done.returncode == 2 and [line.split(" is cut off")[0] for line in lines] == ["error: 0.png", "error: 1.png"]
    assert last == "2 of 2 sources failed, see above"


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_animations_are_video(kind: str, seeds: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(seeds[kind]["animated"])
    [source] = find_sources([path])
    frames = list(source)
    assert source.kind == "video" and [frame.time_s for frame in frames] == pytest.approx([0.04 * i for i in range(6)])
    assert {zlib.crc32(image) for _, image in load_frames(path, [(i, 0.04 * i) for i in (1, 4)])} == {
        zlib.crc32(frames[i].image) for i in (1, 4)
    }


@pytest.mark.parametrize("side", [64, 65, 3, 1])
def test_webp_is_read_without_loss(side: int, portrait: Image, tmp_path: Path) -> None:
    animation = cv2.Animation()
    animation.frames = [np.ascontiguousarray(portrait[i : i + side, 200 : 200 + side]) for i in (40, 90, 140)]
    animation.durations = np.array([30, 500, 40], np.int32)
    (tmp_path / "a.webp").write_bytes(bytes(cv2.imencodeanimation(".webp", animation)[1]))
    frames = list(find_sources([tmp_path / "a.webp"])[0])
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.03, 0.53])
    expected = cv2.imreadanimation(str(tmp_path / "a.webp"))[1].frames
    assert all(np.array_equal(a.image, b[:, :, :3]) for a, b in zip(frames, expected, strict=True))


def test_a_damaged_animation_does_not_end_early_unsaid(portrait: Image, tmp_path: Path) -> None:
    animation, path, counts = cv2.Animation(), tmp_path / "a.webp", set()
    animation.frames = [np.ascontiguousarray(portrait[i : i + 64, 200:264]) for i in (40, 90, 140)]
    animation.durations = np.array([30, 500, 40], np.int32)
    whole = bytes(cv2.imencodeanimation(".webp", animation)[1])
    for at in np.linspace(whole.rindex(b"ANMF") + 40, len(whole) - 40, 20, dtype=int):
        path.write_bytes(whole[:at] + np.random.default_rng(at).bytes(40) + whole[at + 40 :])
        try:
            counts.add(len(list(find_sources([path])[0])))
        except InputError as e:
            assert "expected a complete webp file" in str(e)
            counts.add(0)
    assert counts == {0, 3}


def test_an_endless_animation_is_refused(
    seeds: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.webp").write_bytes(seeds["webp"]["animated"])
    monkeypatch.setattr("emoscope.media.webp.MAX_TOTAL_PIXELS", 6 * 96 * 72)
    assert len(list(find_sources([tmp_path / "a.webp"])[0])) == 6
    monkeypatch.setattr("emoscope.media.webp.MAX_TOTAL_PIXELS", 5 * 96 * 72)
    with pytest.raises(InputError, match=r"6 frames; convert it to mp4"):
        list(find_sources([tmp_path / "a.webp"])[0])
