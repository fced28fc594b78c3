"""Made-up recordings and pictures: turned, damaged and cut ones; what is read of them, and what is said.

Each kind of recording is damaged in one packet after the other, which is overwritten with noise: how many of the frames
that ffprobe reads are read, and is it said wherever a frame is missing or spoilt? Films of two people at one place are
cut hard and blended: is each cut found, and does each person keep one number? Needs the programs ffmpeg and ffprobe.
--clip names a video on which finding cuts is timed against the whole analysis.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np

from common import ROOT, create_parser, write_result
from emoscope import analyze_video
from emoscope.core.errors import InputError
from emoscope.core.picture import load_picture
from emoscope.media.find import find_sources
from emoscope.media.shots import CutFinder
from emoscope.media.source import Source
from times import MPEG2, MPEG4, WITH_B, WITHOUT_B, X264, X265, Maker, film, remux

sys.path.insert(0, str(ROOT / "tests"))
from films import (
    CORNERS,
    MATRICES,
    are_two,
    follow_shots,
    load_two,
    name_corners,
    remux_film,
    set_matrix,
    write_film,
    write_turned,
)

STEP = 4
"""One packet in so many is damaged, and the first three and the last."""
LENGTHS = range(12, 81)
"""Frames of a shot."""
BLENDS = 5, 8, 12, 25
"""Frames of a blend; its shot is three times as long at least."""
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-g", "25")
KINDS: dict[str, Maker] = {
    "mp4, H.264, B-frames": film("a.mp4", *X264, *WITH_B),
    "mp4, H.264": film("b.mp4", *X264, *WITHOUT_B),
    "mp4, HEVC": film("c.mp4", *X265, "-g", "25"),
    "mp4, fragments": film("d.mp4", *X264, *WITH_B, "-movflags", "frag_keyframe+empty_moov"),
    "mov, MPEG-4": film("e.mov", *MPEG4, "-g", "25"),
    "mkv, H.264, B-frames": film("f.mkv", *X264, *WITH_B),
    "mkv, sound": film("g.mkv", *X264, *WITH_B, "-c:a", "aac", sound=True),
    "webm, VP9": film("h.webm", *VP9),
    "ts, H.264, B-frames": remux(film("i0.mp4", *X264, *WITH_B), "i.ts"),
    "ts, sound": film("j.ts", *X264, *WITH_B, "-c:a", "aac", sound=True),
    "ts, MPEG-2": film("k.ts", *MPEG2, "-g", "25"),
    "avi, MPEG-4": film("l.avi", *MPEG4, "-g", "25"),
    "avi, Motion JPEG": film("m.avi", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "flv, H.264": film("n.flv", *X264, *WITHOUT_B),
    "mpg": film("o.mpg", *MPEG2, "-g", "25"),
    "wmv": film("p.wmv", "-c:v", "wmv2", "-g", "25"),
    "ogv": film("q.ogv", "-c:v", "libtheora", "-g", "25"),
    "m2ts, sound": film("r.m2ts", *X264, *WITH_B, "-c:a", "ac3", sound=True),
    "gif": film("s.gif"),
    "3gp": film("t.3gp", *MPEG4, "-g", "25"),
    "mxf": film("u.mxf", *MPEG2, "-g", "25"),
    "nut": remux(film("v0.mp4", *X264, *WITH_B), "v.nut"),
    "mp4, AV1": film("w.mp4", "-c:v", "libsvtav1", "-preset", "12", "-g", "25"),
}


def count_upright(folder: Path) -> dict[str, str]:
    """Return of how many orientations a picture's corners are where they are to be shown, by container and format."""
    found: dict[str, str] = {}
    for suffix in ("mp4", "mov", "mkv"):
        right = 0
        for orientation, matrix in MATRICES.items():
            path = folder / ("a.mov" if suffix == "mov" else "a.mp4")
            set_matrix(write_film(path, n=1), matrix)
            [source] = find_sources([remux_film(path, folder / "a.mkv") if suffix == "mkv" else path])
            right += [name_corners(frame.image) for frame in source] == [CORNERS[orientation]]
        found[suffix] = f"{right} of {len(MATRICES)}"
    for suffix in ("jpg", "png", "tif", "webp", "avif", "heic"):
        path, right = folder / f"a.{suffix}", 0
        for orientation, corners in CORNERS.items():
            write_turned(path, orientation)
            right += name_corners(load_picture(path)) == corners
        found[suffix] = f"{right} of {len(CORNERS)}"
    return found


def read(path: Path) -> tuple[Source, list[tuple[int, int]]]:
    """Return a recording's times in milliseconds and what stands for each frame's pixels."""
    [source] = find_sources([path])
    try:
        return source, [(round(1000 * frame.time_s), hash(frame.image.tobytes())) for frame in source]
    except InputError as e:
        source.problems.append(str(e))
        return source, []


def count_readable(path: Path) -> int:
    """Return how many frames ffprobe decodes."""
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-count_frames", "-of", "csv=p=0"]
    entries = ["-show_entries", "stream=nb_read_frames", str(path)]
    printed = subprocess.run([*command, *entries], capture_output=True, text=True, check=False).stdout
    return max((int(word) for word in printed.replace(",", " ").split() if word.isdigit()), default=0)


def damage(maker: Maker) -> dict[str, Any]:
    """Damage one packet after the other of one recording."""
    shares, unsaid = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = maker(Path(folder))
        data = path.read_bytes()
        with av.open(str(path)) as container:
            packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos is not None]
        whole, intact = read(path)
        assert not whole.problems, whole.problems
        for at in sorted({0, 1, 2, len(packets) - 1, *range(0, len(packets), STEP)}):
            position, size = packets[at]
            noise = np.random.default_rng(at).integers(0, 256, size, np.uint8).tobytes()
            path.write_bytes(data[:position] + noise + data[position + size :])
            source, found = read(path)
            shares.append(len(found) / n if (n := count_readable(path)) else 1.0)
            if not (source.problems or source.notes) and Counter(found) != Counter(intact):
                unsaid.append(at)
    return {"damaged": len(shares), "worst_share": round(min(shares), 3), "unsaid": unsaid}


def time_cuts(clip: Path) -> dict[str, float]:
    """Return what finding cuts takes of an analysis of a clip, in seconds of processors."""
    finder, spent = CutFinder(), 0.0
    with av.open(str(clip)) as container:
        for picture in container.decode(video=0):
            start = time.thread_time()
            finder.add(picture)
            spent += time.thread_time() - start
    start = time.process_time()
    analyze_video(clip)
    all_s = time.process_time() - start
    return {"cuts_s": round(spent, 3), "analysis_s": round(all_s, 2), "share": round(spent / all_s, 4)}


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--clip", type=Path, help="a video")
    parser.add_argument(
        "--only", default="", help="kinds of damaged recordings whose name has this in it, nothing else"
    )
    arguments = parser.parse_args()
    damaged = {}
    for name, maker in KINDS.items():
        if arguments.only in name:
            damaged[name] = damage(maker)
            print(name, damaged[name], flush=True)
    if arguments.only:
        return
    with tempfile.TemporaryDirectory() as folder:
        upright = count_upright(Path(folder))
    people = load_two()
    hard = {length: follow_shots(people, length, 0) for length in LENGTHS}
    blended = {(n, k): follow_shots(people, n, k) for k in BLENDS for n in LENGTHS if n >= 3 * k}
    exact = sum(begins == [i * n for i in range(1, 6)] for n, (_, begins) in hard.items())
    shots: dict[str, Any] = {
        "lengths": f"{LENGTHS[0]} to {LENGTHS[-1]} frames",
        "hard cuts": f"{exact} of {len(hard)} films with all five where they are",
        "hard cuts, each person one number": f"{sum(are_two(p) for p, _ in hard.values())} of {len(hard)}",
        "blends": f"{sum(len(b) == 5 for _, b in blended.values())} of {len(blended)} films with all five",
        "blends, each person one number": f"{sum(are_two(p) for p, _ in blended.values())} of {len(blended)}",
    }
    timed = time_cuts(arguments.clip) if arguments.clip else None
    rows = damaged.values()
    bars = {
        "every orientation": all(text.split()[0] == text.split()[-1] for text in upright.values()),
        "one damaged packet: 95 % of the frames that FFmpeg reads": min(r["worst_share"] for r in damaged.values())
        >= 0.95,
        "damage is said, but for 1 in 200": 200 * sum(len(r["unsaid"]) for r in rows)
        <= sum(r["damaged"] for r in rows),
        "every hard cut": exact == len(hard),
        "each person one number, but for 1 blended film in 100": all(are_two(p) for p, _ in hard.values())
        and sum(not are_two(p) for p, _ in blended.values()) <= len(blended) / 100,
        **({"finding cuts: 3 % of an analysis": timed["share"] <= 0.03} if timed else {}),
    }
    write_result(
        "unusual",
        {"upright": upright, "damaged": damaged, "shots": shots, **({"cuts": timed} if timed else {}), "bars": bars},
    )


if __name__ == "__main__":
    main()
