"""The sound of recordings: their films in, when the stimulus begins in each out; what was heard once is kept."""

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emoscope.core.errors import InputError
from emoscope.core.files import write_json
from emoscope.core.manifest import Manifest, Mark, compute_mark, mark_source
from emoscope.groups.alignment import RATE_HZ, Offset, Onsets, compute_onsets, find_offset
from emoscope.groups.participants import FILE as TABLE
from emoscope.groups.recordings import Recording
from emoscope.outputs.sound import Sound

log = logging.getLogger(__name__)

ALIGNMENT: Final = "alignment.json"
VERSION: Final = 1
"""Of how offsets are found: what another version kept is heard again."""


@dataclass(frozen=True)
class Heard:
    """What one film's sound told."""

    film: Mark
    """By which the film is known."""
    offset: Offset


@dataclass(frozen=True)
class Alignment:
    """When one stimulus begins in recordings, by their sound."""

    stimulus: Mark
    heard: Mapping[str, Heard]
    """By recording."""
    unheard: Mapping[str, str]
    """Why a recording's sound could not be had."""
    version: int = VERSION

    def save(self, path: Path) -> None:
        """Write what was heard, so that it need not be read again."""
        recordings = {
            name: {"film": one.film._asdict(), "offset": vars(one.offset)} for name, one in sorted(self.heard.items())
        }
        write_json(path, {"version": self.version, "stimulus": self.stimulus._asdict(), "heard": recordings})


def load_alignment(folder: Path) -> Alignment | None:
    """Return what an earlier project in a folder heard; None where it is not ours, changed, or nothing was."""
    from pydantic import TypeAdapter, ValidationError

    manifest, path = Manifest.load(folder), folder / ALIGNMENT
    if manifest is None or ALIGNMENT not in manifest.files:
        return None
    with contextlib.suppress(OSError, ValidationError):
        if compute_mark(path) == manifest.files[ALIGNMENT]:
            kept = TypeAdapter(_Kept).validate_json(path.read_bytes())
            return Alignment(kept.stimulus, kept.heard, {}) if kept.version == VERSION else None
    return None


@dataclass(frozen=True)
class _Kept:
    version: int
    stimulus: Mark
    heard: dict[str, Heard]


def align(recordings: Iterable[Recording], stimulus: Path, kept: Alignment | None = None) -> Alignment:
    """Find when a stimulus begins in each recording by its film's sound.

    Args:
        recordings: their films are read where they were not before.
        stimulus: a video or a sound.
        kept: what was heard before, of this stimulus or another.

    Raises:
        InputError: the stimulus has no sound.
    """
    try:
        mark = mark_source(stimulus)
    except OSError as e:
        raise InputError(f"cannot read the stimulus {stimulus} ({e.strerror or e}); name a video or a sound") from e
    heard = dict(kept.heard) if kept and kept.stimulus == mark else {}
    films = {recording.name: (recording, _find_mark(recording)) for recording in recordings}
    unheard = {name: "its film cannot be known again" for name, (_, film) in films.items() if film is None}
    missing = [
        (recording, film)
        for name, (recording, film) in films.items()
        if film is not None and (name not in heard or heard[name].film != film)
    ]
    for (recording, film), found in zip(missing, _listen(missing, stimulus), strict=True):
        if isinstance(found, Offset):
            heard[recording.name] = Heard(film, found)
        else:
            heard.pop(recording.name, None)
            unheard[recording.name] = found
    return Alignment(mark, heard, unheard)


def _listen(missing: Sequence[tuple[Recording, Mark]], stimulus: Path) -> list[Offset | str]:
    """Return when the stimulus begins in each of some recordings, or why their sound cannot be had.

    Raises:
        InputError: the stimulus has no sound.
    """
    if not missing:
        return []
    try:
        onsets = read_onsets(stimulus)
    except InputError as e:
        raise InputError(
            f"the stimulus {stimulus} cannot be found in recordings by its sound ({e}); say when it begins: start_s in "
            f"{TABLE}, or --start 0 where all recordings begin with it"
        ) from e

    def listen(one: tuple[Recording, Mark]) -> Offset | str:
        try:
            return find_offset(read_onsets(find_film(*one)), onsets)
        except InputError as e:
            return str(e)

    log.info("reading the sound of %d recordings", len(missing))
    # Decoding and transforms leave Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(listen, missing))


def find_film(recording: Recording, film: Mark) -> Path:
    """Find a recording's film where it was as it was read: from here, or from a folder above the result.

    Raises:
        InputError: it is not there, or another one is.
    """
    is_another = False
    for path in _list_places(recording):
        with contextlib.suppress(OSError, ValueError):
            if path.is_file():
                if mark_source(path) == film:
                    return path
                is_another = True
    raise InputError("another film is in its place" if is_another else "its film is not where it was")


def read_onsets(film: Path) -> Onsets:
    """Return the onsets of a film's sound.

    Raises:
        InputError: it has no sound that can be read.
    """
    sound = Sound(film)
    try:
        if sound.stream is None:
            raise InputError("it has no sound")
        onsets = compute_onsets(sound.read(RATE_HZ))
    finally:
        sound.close()
    if not onsets.any():
        raise InputError("its sound is damaged" if sound.problems else "nothing is heard in it")
    return onsets


def _find_mark(recording: Recording) -> Mark | None:
    manifest = Manifest.load(recording.folder)
    if manifest is None or not manifest.source["sha256_of_ends"]:
        return None
    return manifest.identity.mark


def _list_places(recording: Recording) -> Iterator[Path]:
    source, folder = Path(recording.summary.source), recording.folder.resolve()
    yield source
    # The command may have been run from any folder above.
    yield from (above / source for above in folder.parents)
    yield from (place / source.name for place in (folder, folder.parent))
