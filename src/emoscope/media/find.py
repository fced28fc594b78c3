"""Finding: the files and folders that somebody names in, the sources that they hold out."""

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from emoscope.core.errors import InputError, shorten
from emoscope.core.headers import is_animated
from emoscope.core.manifest import find_files
from emoscope.core.timecode import Every
from emoscope.media.sequence import PICTURE_SUFFIXES, find_sequence
from emoscope.media.source import EVERY_FRAME, Source

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
        ".gif",
        ".y4m",
    ]
)
MAX_OTHERS_SAID = 5
"""Files that are neither pictures nor videos; of more, the number is said."""


def find_sources(
    paths: list[Path],
    every: Every = EVERY_FRAME,
    start_s: float = 0.0,
    end_s: float | None = None,
    sequence: float | None = None,
) -> list[Source]:
    """Turn files and folders into sources: a folder gives its pictures as one source and each video as its own.

    Args:
        paths: files and folders.
        every: which frames to give.
        start_s: where to begin in videos.
        end_s: where to end in videos; None for their end.
        sequence: pictures per second, where each path is a folder of a film's numbered frames.

    Raises:
        InputError: a path does not exist or cannot be read, or a folder holds no picture or video.
    """
    try:
        return [
            dataclasses.replace(source, every=every, start_s=start_s, end_s=end_s, sequence=sequence)
            for path in paths
            for source in (_find(path) if sequence is None else [Source(path, "video", find_sequence(path))])
        ]
    except OSError as e:
        named = shorten(e.filename or e)
        raise InputError(f"cannot read {named} ({e.strerror or e}); check its name and its permissions") from e


def _leave_out_hidden(files: list[Path]) -> list[Path]:
    return [path for path in files if not path.name.startswith(".")]


def _find(path: Path) -> Iterator[Source]:
    if path.is_dir():
        files, known = (_leave_out_hidden(found) for found in find_files(path))
        pictures = [p for p in files if p.suffix.lower() in PICTURE_SUFFIXES and not is_animated(p)]
        chosen = set(pictures)
        videos = [p for p in files if p.suffix.lower() in (*VIDEO_SUFFIXES, *PICTURE_SUFFIXES) and p not in chosen]
        chosen.update(videos)
        others = [str(p.relative_to(path)) for p in files if p not in chosen]
        more = f" and {len(others) - MAX_OTHERS_SAID} more" if len(others) > MAX_OTHERS_SAID else ""
        names = ", ".join(others[:MAX_OTHERS_SAID]) + more
        if results := [p for p in known if p.suffix.lower() in (*VIDEO_SUFFIXES, *PICTURE_SUFFIXES)]:
            log.warning("%s: passed over %d pictures and videos that earlier analyses wrote", path, len(results))
        if not pictures and not videos:
            what = f" (only {names})" if others else " beside results of earlier analyses" if results else ""
            raise InputError(
                f"the folder {path} holds no picture or video{what}; name a folder with jpg, png, mp4, ... files"
            )
        sources = [Source(path, "pictures", pictures)] if pictures else []
        sources += [Source(video, "video") for video in videos]
        if others:
            sources[0].notes.append(f"left out in {path}, by their names neither pictures nor videos: {names}")
        yield from sources
        return
    if not path.exists():
        raise InputError(f"there is no file or folder {path}; check the name")
    if path.stat().st_size == 0 and path.is_file():
        raise InputError(f"{path} is empty; expected a picture or a video")
    if path.suffix.lower() in PICTURE_SUFFIXES and not is_animated(path):
        yield Source(path, "pictures", [path])
    else:
        yield Source(path, "video")
