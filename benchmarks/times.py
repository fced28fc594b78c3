"""Frame times in made-up recordings of many kinds, against ffprobe's presentation times less the container's start.

Needs the programs ffmpeg and ffprobe, which the package itself does not.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from common import create_parser, write_result
from emoscope.core.errors import InputError
from emoscope.media.find import find_sources

LIMIT_S = 0.001
SIZE = "size=160x120"
WITH_B, WITHOUT_B = ("-bf", "3", "-g", "25"), ("-bf", "0", "-g", "25")
X264, MPEG4, MPEG2 = ("-c:v", "libx264", "-pix_fmt", "yuv420p"), ("-c:v", "mpeg4"), ("-c:v", "mpeg2video")
X265 = ("-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none")
VFR = ("-vf", "select='not(mod(n\\,7)*mod(n\\,5))+gt(n\\,40)'", "-fps_mode", "vfr")
RAW_RATE = 30
"""Frames per second of the streams without stamps."""

Maker = Callable[[Path], Path]
Make = tuple[str, Maker, str]


def run(*arguments: str) -> None:
    """Let ffmpeg make a file."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, capture_output=True)


def film(name: str, *codec: str, rate: str = "25", length_s: float = 3, sound: bool = False) -> Maker:
    """Return what encodes a test picture into a file."""

    def make(folder: Path) -> Path:
        video = ["-f", "lavfi", "-i", f"testsrc=rate={rate}:duration={length_s}:{SIZE}"]
        audio = ["-f", "lavfi", "-i", f"sine=duration={length_s}"] if sound else []
        run(*video, *audio, *codec, str(folder / name))
        return folder / name

    return make


def remux(make: Maker, name: str, *arguments: str, before: tuple[str, ...] = ()) -> Maker:
    """Return what copies another recording's packets into a file."""

    def copy(folder: Path) -> Path:
        run(*before, "-i", str(make(folder)), "-c", "copy", *arguments, str(folder / name))
        return folder / name

    return copy


def join(*makers: Maker) -> Maker:
    """Return what puts recordings one behind the other, byte by byte."""

    def make(folder: Path) -> Path:
        path = folder / "joined.ts"
        path.write_bytes(b"".join(maker(folder).read_bytes() for maker in makers))
        return path

    return make


def late(name: str, *arguments: str, sound_late: bool = False) -> Maker:
    """Return what makes a recording whose picture or sound begins 1.3 s after the other."""

    def make(folder: Path) -> Path:
        offset = ["-itsoffset", "1.3"]
        video = ["-f", "lavfi", "-i", f"testsrc=rate=25:duration=3:{SIZE}"]
        audio = ["-f", "lavfi", "-i", "sine=duration=5"]
        inputs = [*video, *offset, *audio] if sound_late else [*offset, *video, *audio]
        run(*inputs, *X264, "-c:a", "aac", *arguments, str(folder / name))
        return folder / name

    return make


def make_webp(folder: Path) -> Path:
    """Write an animation whose frames last for different times."""
    from PIL import Image

    images = [Image.fromarray(np.full((60, 80, 3), 20 * i, np.uint8)) for i in range(10)]
    images[0].save(folder / "a.webp", save_all=True, append_images=images[1:], duration=[40, 100, 250, 30, 70] * 2)
    return folder / "a.webp"


def list_kinds() -> Iterator[Make]:
    """Yield name, maker, and where the truth is to be had: `ffprobe`, `counted`, `webp` or `joined`."""
    mp4 = film("a.mp4", *X264, *WITH_B)
    for name, maker in {
        "mp4, B-frames": mp4,
        "mp4, no B-frames": film("b.mp4", *X264, *WITHOUT_B),
        "mp4, 29.97": film("c.mp4", *X264, rate="30000/1001"),
        "mp4, 23.976, HEVC": film("d.mp4", *X265, rate="24000/1001"),
        "mp4, 120": film("e.mp4", *X264, rate="120", length_s=1),
        "mp4, one in two seconds": film("f.mp4", *X264, rate="1/2", length_s=12),
        "mp4, VFR": film("g.mp4", *X264, *VFR),
        "mp4, sound": film("h.mp4", *X264, "-c:a", "aac", sound=True),
        "mp4, fragments": remux(mp4, "i.mp4", "-movflags", "frag_keyframe+empty_moov"),
        "mp4, one frame": film("j.mp4", *X264, length_s=0.04),
        "mp4, edit list": remux(film("k0.mp4", *X264, *WITH_B), "k.mp4", before=("-ss", "1.4")),
        "mp4, late picture": late("l.mp4"),
        "mp4, late sound": late("m.mp4", sound_late=True),
        "mp4, time scale 1000": remux(mp4, "n.mp4", "-video_track_timescale", "1000"),
        "mp4, offset 10 s": remux(mp4, "o.mp4", "-output_ts_offset", "10"),
        "mov": remux(mp4, "a.mov"),
        "mov, late picture": late("b.mov"),
        "mov, MPEG-4": film("c.mov", *MPEG4, "-bf", "2"),
        "3gp": film("a.3gp", *MPEG4),
        "mkv, B-frames": remux(mp4, "a.mkv"),
        "mkv, VFR": film("b.mkv", *X264, *VFR),
        "mkv, late picture": late("c.mkv"),
        "mkv, offset an hour": remux(mp4, "d.mkv", "-output_ts_offset", "3600"),
        "webm, VP8": film("a.webm", "-c:v", "libvpx", "-deadline", "realtime"),
        "webm, VP9, VFR": film("b.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", *VFR),
        "ts": remux(mp4, "a.ts"),
        "ts, sound": film("b.ts", *X264, "-c:a", "aac", sound=True),
        "ts, starts at an hour": remux(mp4, "c.ts", "-output_ts_offset", "3600"),
        "ts, MPEG-2": film("d.ts", *MPEG2, "-bf", "2"),
        "ts, late picture": late("e.ts"),
        "ts, wraps soon": remux(mp4, "f.ts", "-output_ts_offset", str(2**33 / 90000 - 2.5)),
        "m2ts": remux(mp4, "a.m2ts"),
        "mpg": film("a.mpg", *MPEG2, "-bf", "2"),
        "vob": film("a.vob", *MPEG2, "-c:a", "mp2", sound=True),
        "avi, MPEG-4": film("a.avi", *MPEG4),
        "avi, MPEG-4, B-frames": film("b.avi", *MPEG4, "-bf", "2"),
        "avi, H.264, B-frames": film("c.avi", *X264, *WITH_B),
        "avi, Motion JPEG": film("d.avi", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
        "flv": remux(mp4, "a.flv"),
        "flv, sound": film("b.flv", *X264, "-c:a", "aac", sound=True),
        "wmv": film("a.wmv", "-c:v", "wmv2"),
        "asf, late picture": late("a.asf"),
        "ogv": film("a.ogv", "-c:v", "libtheora"),
        "gif": film("a.gif"),
        "gif, VFR": film("b.gif", *VFR),
        "apng": film("a.png", "-f", "apng"),
        "y4m": film("a.y4m", "-pix_fmt", "yuv420p"),
        "mxf": film("a.mxf", *MPEG2),
        "nut": remux(mp4, "a.nut"),
        "ivf": film("a.ivf", "-c:v", "libvpx", "-deadline", "realtime"),
    }.items():
        yield name, maker, "ffprobe"
    for name, maker in {
        "raw H.264": film("a.h264", *X264, *WITH_B, rate=str(RAW_RATE)),
        "raw HEVC": film("a.hevc", *X265, rate=str(RAW_RATE)),
        "raw MPEG-2": film("a.m2v", *MPEG2, rate=str(RAW_RATE)),
        "raw MPEG-4": film("b.m4v", *MPEG4, "-f", "m4v", rate=str(RAW_RATE)),
    }.items():
        yield name, maker, "counted"
    yield "webp", make_webp, "webp"
    ts = remux(mp4, "part.ts")
    yield "two ts, one behind the other", join(ts, ts), "joined"
    yield "three ts of different lengths", join(ts, film("short.ts", *X264, length_s=0.4), ts), "joined"
    wraps = remux(film("long.mp4", *X264, *WITHOUT_B, rate="1/2", length_s=180), "w.ts", "-output_ts_offset",
                  str(2**33 / 90000 - 100))  # fmt: skip
    yield "ts, wraps after 100 s", wraps, "wrapped"


def probe(path: Path) -> list[float]:
    """Return ffprobe's presentation times less the container's start."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"]
    frames = ["-show_entries", "frame=best_effort_timestamp_time", str(path)]
    found = subprocess.run([*command, *frames], check=True, capture_output=True, text=True).stdout.split()
    form = ["-show_entries", "format=start_time", str(path)]
    start = subprocess.run([*command, *form], check=True, capture_output=True, text=True).stdout.strip(" ,\n")
    times = [float(line.strip(",").replace("N/A", "nan")) for line in found]
    return [time_s - (float(start) if start != "N/A" else times[0]) for time_s in times]


def tell_truth(kind: str, path: Path) -> list[float]:
    """Return the right time of each frame."""
    if kind == "counted":
        return [i / RAW_RATE for i in range(3 * RAW_RATE)]
    if kind == "webp":
        return np.cumsum([0, *([0.04, 0.1, 0.25, 0.03, 0.07] * 2)[:-1]]).tolist()
    times = probe(path)
    if kind == "joined":
        return [i / 25 for i in range(len(times))]
    if kind == "wrapped":
        return [2.0 * i for i in range(len(times))]
    return times


def compare(maker: Maker, kind: str) -> dict[str, object]:
    """Return how many frames one kind of recording has and how far off their times are."""
    with tempfile.TemporaryDirectory() as folder:
        path = maker(Path(folder))
        truth = np.array(tell_truth(kind, path))
        try:
            [source] = find_sources([path])
            found = np.array([frame.time_s for frame in source])
        except InputError as e:
            return {"frames": len(truth), "error": str(e), "right": False}
    if len(found) != len(truth):
        return {"frames": len(truth), "found": len(found), "right": False}
    # ffprobe itself does not know the time of some frames.
    worst_s = float(np.nanmax(np.abs(found - truth)))
    return {
        "frames": len(truth),
        "worst_ms": round(1000 * worst_s, 3),
        "right": worst_s <= LIMIT_S and not source.problems,
    }


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    arguments = parser.parse_args()
    rows = {name: compare(maker, kind) for name, maker, kind in list_kinds() if arguments.only in name}
    for name, row in rows.items():
        print("" if row["right"] else "WRONG", name, row)
    if not arguments.only:
        bars = {"every kind within 1 ms": all(row["right"] for row in rows.values()), "40 kinds": len(rows) >= 40}
        write_result("times", {"kinds": len(rows), "rows": rows, "bars": bars})


if __name__ == "__main__":
    main()
