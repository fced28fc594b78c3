"""Whose a result folder is: what may be written there, and what in it may be replaced; nothing foreign is touched."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from emoscope.core.errors import OutputError, shorten
from emoscope.core.files import explain
from emoscope.core.manifest import MANIFEST, WORKING, Identity, Manifest, Mark, compute_mark, find_listed, is_unlisted
from emoscope.core.replacing import Working, is_working, recover
from emoscope.core.texts import name_some


def find_owner(folder: Path, source: Identity) -> Literal["nobody", "source", "another", "foreign"]:
    """Return whose a folder is: nobody's yet, this source's, another source's, or not emoscope's at all."""
    recover(folder)
    manifest = Manifest.load(folder)
    if manifest is not None:
        return "source" if manifest.is_of(source, folder) else "another"
    return "foreign" if os.path.lexists(folder) and (not folder.is_dir() or list_foreign(folder)) else "nobody"


def check_free(folder: Path, source: Identity, names: tuple[str, ...], overwrite: bool = False) -> None:
    """Check that a source's results may go into a folder; the folder need not be there.

    Raises:
        OutputError: it is not emoscope's, or has another source's result, or something stands in the way.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"cannot write {folder} (a file of this name exists); choose a folder")
    manifest = Manifest.load(folder)
    if manifest is None:
        if is_unlisted(folder):
            raise OutputError(
                f"{folder} holds a result without {MANIFEST}, as version 0.6.0 wrote them, and nothing in it may be "
                "replaced; choose an empty or a new folder"
            )
        if foreign := list_foreign(folder):
            raise OutputError(
                f"{folder} holds {name_some(foreign)}, which emoscope did not write; choose an empty or a new folder"
            )
        return
    if not overwrite and not manifest.is_of(source, folder):
        what = manifest.source["name"]
        other = f"{what} as it was before" if what == source.name else shorten(what)
        raise OutputError(
            f"{folder} holds the result of {other}; choose another folder, or replace that result with --overwrite"
        )
    _check_way(folder, manifest, names, overwrite)
    own = {path.resolve() for path in source.files}
    for name in manifest.files:
        if (folder / name).resolve() in own:
            raise OutputError(f"{folder / name} is to be read and would be replaced; choose another folder")


def _check_way(folder: Path, manifest: Manifest, names: tuple[str, ...], overwrite: bool) -> None:
    there = [name for name in names if os.path.lexists(folder / name)]
    # What a link leads to is never ours, whatever it is called.
    if foreign := [name for name in there if not manifest.lists(name) or (folder / name).is_symlink()]:
        raise OutputError(
            f"{folder} holds {name_some(foreign)}, which emoscope did not write; move it away or choose another folder"
        )
    for name, mark in manifest.files.items():
        place = find_listed(folder, name)
        is_other = os.path.lexists(folder / name) if place is None else not overwrite and compute_mark(place) != mark
        if is_other:
            raise OutputError(
                f"{folder / name} was changed after emoscope wrote it; move it away or choose another folder"
            )


def list_foreign(folder: Path) -> list[str]:
    """Return the names of what lies in a folder, but not of the folder in which emoscope works."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name != WORKING or not is_working(path))


@contextlib.contextmanager
def open_owned(
    folder: Path, kind: str, source: Identity, names: tuple[str, ...], overwrite: bool = False
) -> Iterator[Path]:
    """Yield an empty working folder, whose files become the result in `folder` when the block ends well.

    When the block fails, they are removed, and an earlier result stays as it was.

    Args:
        folder: made if it is not there.
        kind: of the result, for its manifest.
        source: what the result is of.
        names: all files and folders that the block may make. The first is written last: what has it is finished.
        overwrite: whether another source's result may be replaced, or an own one that was changed since.

    Raises:
        OutputError: the folder is not free or cannot be written, or another process is writing there. A finished result
            that could not be moved in is kept; the message says where.
    """
    check = _create_check(folder, source, names, overwrite)
    with _open_new(folder, names, check, lambda files: Manifest(kind, source.describe(folder), files)) as new:
        yield new


@contextlib.contextmanager
def open_cut_off(
    folder: Path, kind: str, source: Identity, names: tuple[str, ...], overwrite: bool = False
) -> Iterator[Path]:
    """Yield the working folder of a recording that was cut off, see find_cut_off(), to be finished in the block.

    Arguments are those of open_owned().

    Raises:
        OutputError: as open_owned(), or it is still being recorded.
    """
    check = _create_check(folder, source, names, overwrite)
    try:
        working = Working.open(folder)
        try:
            check()
            yield working.new
            working.put_in_place(names[0], check, lambda files: Manifest(kind, source.describe(folder), files))
        finally:
            working.close()
    except OSError as e:
        raise explain(folder, e) from e


def _create_check(
    folder: Path, source: Identity, names: tuple[str, ...], overwrite: bool
) -> Callable[[], dict[str, Mark]]:
    """Return what checks that a result may go into a folder, and returns what goes away then."""

    def check() -> dict[str, Mark]:
        check_free(folder, source, names, overwrite)
        manifest = Manifest.load(folder)
        return {} if manifest is None else _mark_old(folder, list(manifest.files))

    return check


@contextlib.contextmanager
def open_part(folder: Path, names: tuple[str, ...], overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty working folder, whose files replace those of these names in a result that is there already.

    Raises:
        OutputError: as open_owned(), or the folder holds no result of emoscope.
    """

    def load() -> Manifest:
        manifest = Manifest.load(folder)
        if manifest is None:
            raise OutputError(f"{folder} has no {MANIFEST}, so nothing in it may be replaced; name another place")
        return manifest

    def check() -> dict[str, Mark]:
        manifest = load()
        part = {name: mark for name, mark in manifest.files.items() if _is_part(name, names)}
        _check_way(folder, Manifest(manifest.kind, manifest.source, part), names, overwrite)
        return _mark_old(folder, list(part))

    def describe(files: Mapping[str, Mark]) -> Manifest:
        manifest = load()
        others = {name: mark for name, mark in manifest.files.items() if not _is_part(name, names)}
        return Manifest(manifest.kind, manifest.source, {**others, **files})

    with _open_new(folder, names, check, describe) as new:
        yield new


def _is_part(name: str, names: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(f"{part}/") for part in names)


def _mark_old(folder: Path, names: list[str]) -> dict[str, Mark]:
    """Return what is to go: listed files that are there, and the manifest last."""
    places = {name: find_listed(folder, name) for name in [*names, MANIFEST]}
    return {name: compute_mark(place) for name, place in places.items() if place is not None}


@contextlib.contextmanager
def _open_new(
    folder: Path,
    names: tuple[str, ...],
    check: Callable[[], dict[str, Mark]],
    describe: Callable[[Mapping[str, Mark]], Manifest],
) -> Iterator[Path]:
    made: list[Path] = []
    # The libraries that write tables take no other names.
    if not str(folder).isascii() and str(folder).encode("utf-8", "ignore").decode() != str(folder):
        raise OutputError(f"cannot write {folder} (its name is not UTF-8); choose another folder")
    try:
        recover(folder)
        # Before anything is made, and again behind the lock.
        check()
        _make_folder(folder, made)
        working = Working.open(folder)
        try:
            working.tidy(names[0])
            check()
            working.new.mkdir()
            yield working.new
            working.put_in_place(names[0], check, describe)
        finally:
            working.close()
    except OSError as e:
        raise explain(folder, e) from e
    finally:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it, and note what was not there."""
    for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        path.mkdir(exist_ok=True)
        made.append(path)
