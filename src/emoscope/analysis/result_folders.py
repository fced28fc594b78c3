"""Result folders: sources and what `-o` says in; for each source the folder of its own that its result goes to, out."""

import contextlib
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from emoscope.core.errors import InputError
from emoscope.core.manifest import Identity, Manifest, is_unlisted
from emoscope.core.owned import find_owner, list_foreign
from emoscope.core.texts import make_printable
from emoscope.media.source import Source

SUFFIX = "-emoscope"
"""How the names of result folders end that nobody named."""
MAX_BYTES = 240
"""Of a source's name in that of its folder, beside that and a number."""


def identify(source: Source) -> Identity:
    """Return what a source is known by.

    Raises:
        InputError: it cannot be read.
    """
    return Identity.create(source.path, source.pictures if source.path.is_dir() else ())


def choose_folders(
    arguments: Sequence[Path], sources: Sequence[Source], output: Path | None, overwrite: bool = False
) -> list[Path]:
    """Return a folder for each source; no two meet, not even where a file system does not tell a from A.

    One file's results lie in `output` itself, or in a folder in it where other things lie there. Otherwise they lie
    below it as the sources lie below the folder that holds them all: what was named, if that is one folder, however
    much is in it.

    Args:
        arguments: what was asked for, files and folders.
        sources: what was found there.
        output: None for the current folder, in which names tell whose the folders are.
        overwrite: whether another source's result may be replaced, where there is one in the place meant.

    Raises:
        OutputError: what was killed there cannot be put in order.
    """
    if output is not None and len(arguments) == 1 and not _is_folder(arguments[0]) and len(sources) == 1:
        return [_choose_for_one(sources[0], output)]
    if output is None:
        wanted = [Path(f"{_name(source)}{SUFFIX}") for source in sources]
    else:
        base = _find_base(arguments)
        wanted = [output / _find_relative(source, base) for source in sources]
        above = {parent for path in wanted for parent in path.parents}
        # Pictures are one source, named by their folder; films in it lie below.
        wanted = [path / "pictures" if path in above else path for path in wanted]
    taken: set[str] = set()
    return [
        _find_free(path, source, taken, overwrite and output is not None)
        for path, source in zip(wanted, sources, strict=True)
    ]


def _choose_for_one(source: Source, output: Path) -> Path:
    # A result that may not be replaced is refused later: one within another would be found by nobody.
    if output.is_dir() and not Manifest.load(output) and list_foreign(output) and not is_unlisted(output):
        return _find_free(output / f"{_name(source)}{SUFFIX}", source, set(), False)
    return output


def _name(source: Source) -> str:
    path = source.path.resolve()
    return _clean(path.name if path.stem in ("", ".", "..") or source.path.is_dir() else path.stem)


def _clean(name: str) -> str:
    """Return a name for a folder of ours: what is no text in a source's name, no library could write to.

    Names have 255 bytes: a source may use them up.
    """
    shown = name if make_printable(name) == name else make_printable(name).replace("\\", "_")
    return shown.encode()[:MAX_BYTES].decode(errors="ignore")


def _is_folder(path: Path) -> bool:
    # What may not be looked at, or has too long a name, is none.
    with contextlib.suppress(OSError):
        return path.is_dir()
    return False


def _find_base(arguments: Sequence[Path]) -> Path | None:
    """Return the folder below which all sources lie, None where there is none, as on two drives of Windows."""
    folders = [path.absolute() if _is_folder(path) else path.absolute().parent for path in arguments]
    try:
        return Path(os.path.commonpath([os.path.normpath(folder) for folder in folders]))
    except ValueError:
        return None


def _find_relative(source: Source, base: Path | None) -> Path:
    path = Path(os.path.normpath(source.path.absolute()))
    inside = path.relative_to(base).parent if base is not None and path != base else Path()
    return Path(*map(_clean, inside.parts), _name(source))


def _find_free(wanted: Path, source: Source, taken: set[str], overwrite: bool) -> Path:
    """Return the first of NAME, NAME-2, ... that is this source's or nobody's."""
    i, path = 1, wanted
    while True:
        path = _find_spelling(path)
        key = unicodedata.normalize("NFC", str(path)).casefold()
        if key not in taken and _is_usable(path, source, overwrite):
            taken.add(key)
            return path
        i += 1
        path = wanted.with_name(f"{wanted.name}-{i}")


def _is_usable(path: Path, source: Source, overwrite: bool) -> bool:
    if not os.path.lexists(path):
        return True
    try:
        owner = find_owner(path, identify(source))
    except InputError:
        # What cannot be read is said when its turn comes, and nothing is written then.
        return True
    return owner in ("nobody", "source") or (overwrite and owner == "another")


def _find_spelling(path: Path) -> Path:
    """Return a folder as it is written where it is there already, in whatever case."""
    if os.path.lexists(path) or not path.parent.is_dir():
        return path
    folded = unicodedata.normalize("NFC", path.name).casefold()
    there = (p for p in path.parent.iterdir() if unicodedata.normalize("NFC", p.name).casefold() == folded)
    return next(there, path)
