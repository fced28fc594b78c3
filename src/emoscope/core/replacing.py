"""A result is replaced: the earlier one or the new one is whole, whatever fails and whenever the process dies.

A result is made in `.emoscope-working/new` within its folder. Once it is finished, a journal says what is to be moved;
the earlier result's files go to `old`, the new ones in, and only then the earlier ones are removed. A failure on the
way moves everything back and keeps the finished result in `kept-N`; after a kill the journal says how to go on.
"""

import contextlib
import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self

from emoscope.core.errors import OutputError
from emoscope.core.files import LOCK, explain, lock_folder
from emoscope.core.manifest import CUT_OFF, MANIFEST, WORKING, Manifest, Mark, compute_mark, find_listed, is_safe

log = logging.getLogger(__name__)

NEW: Final = "new"
OLD: Final = "old"
JOURNAL: Final = "journal"
KEPT: Final = "kept-"
FEW: Final = 64
"""More files than this are written to the disk by one call for all disks."""
PATIENCE_S: Final = 10.0
"""How long a reader waits for another process that is moving a result in: it takes a fraction of a second."""


def is_working(path: Path) -> bool:
    """Return whether a folder, if it is there, is one in which emoscope works."""
    if not os.path.lexists(path):
        return True
    if path.is_symlink() or not path.is_dir():
        return False
    known = {NEW, OLD, JOURNAL, f"{JOURNAL}.new"}
    # Its owner may remove it at any moment.
    with contextlib.suppress(FileNotFoundError):
        names = {entry.name for entry in path.iterdir() if not entry.name.startswith(KEPT)}
        # The lock comes first and goes last: a person's own folder of such names has none.
        return names - {LOCK} <= known and (LOCK in names or not names)
    return True


def find_cut_off(folder: Path) -> Path | None:
    """Return where a recording lies that was to go into a folder and was cut off, or still runs; None without one."""
    place = folder / WORKING / NEW
    return place if is_working(folder / WORKING) and (place / CUT_OFF).is_file() else None


def recover(folder: Path) -> None:
    """Put a folder in order in which a process was killed while it moved a result in; every reader calls this first.

    Raises:
        OutputError: it cannot be put in order.
    """
    journal, end = folder / WORKING / JOURNAL, time.monotonic() + PATIENCE_S
    while journal.is_file() and is_working(folder / WORKING):
        try:
            working = Working.open(folder)
        except OutputError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
            continue
        except OSError as e:
            raise explain(folder, e) from e
        try:
            working.resume()
        except OSError as e:
            working.fail(e)
        finally:
            working.close()
        return


@dataclass
class Journal:
    """What is moved where."""

    old: dict[str, Mark]
    """Goes away, in this order: the manifest last."""
    new: list[str]
    """Comes in, in this order: the manifest first, what tells a whole result last."""
    is_done: bool = False
    """Whether all is in place, and `old` is only to be removed."""

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps({"old": self.old, "new": self.new, "is_done": self.is_done})

    @classmethod
    def load(cls, path: Path) -> "Journal | None":
        """Return the journal, None where there is none.

        Raises:
            OutputError: it is damaged.
        """
        try:
            values = json.loads(path.read_bytes())
            old = {name: Mark(int(size), str(sha256)) for name, (size, sha256) in values["old"].items()}
            new = [str(name) for name in values["new"]]
            if not all(name == MANIFEST or is_safe(name) for name in (*old, *new)):
                raise ValueError("a path outside")
            return cls(old, new, bool(values["is_done"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise OutputError(
                f"{path} is damaged; move the folder {path.parent} away: it holds what was to be moved"
            ) from e


class Working:
    """The working folder of a result folder, locked."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder, self.path, self.lock = folder, folder / WORKING, lock
        self.new, self.old, self.journal = self.path / NEW, self.path / OLD, self.path / JOURNAL
        self.is_finished = False
        """Whether what is in `new` must not be lost any more."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Make and lock it.

        Raises:
            OutputError: another process has it, or something else has its name.
        """
        path = folder / WORKING
        while True:
            if not is_working(path):
                raise OutputError(f"{path} stands in the way, which emoscope did not make; move it away")
            path.mkdir(exist_ok=True)
            # Whoever had it before may have removed it just now, and the lock with it.
            with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
                handle = lock_folder(path)
                stack.callback(os.close, handle)
                if os.path.samestat(os.fstat(handle), (path / LOCK).stat()):
                    stack.pop_all()
                    return cls(folder, handle)

    @property
    def is_cut_off(self) -> bool:
        """Whether a recording lies here that nobody finished."""
        return (self.new / CUT_OFF).is_file()

    def tidy(self, first: str) -> None:
        """Remove what a killed process left, but keep what is finished.

        Raises:
            OutputError: something is left that can be finished.
        """
        self.resume()
        if self.is_cut_off:
            raise OutputError(
                f"{self.folder} holds a recording that was cut off; finish it with `emoscope report {self.folder}`"
            )
        if (self.new / first).exists():
            kept = self._keep()
            log.warning("%s holds a finished result that could not be moved in; move it where you want it", kept)
        for leftover in (self.new, self.old):
            if leftover.exists():
                try:
                    shutil.rmtree(leftover)
                except OSError as e:
                    raise OutputError(f"cannot remove {leftover} ({e.strerror or e}); remove it yourself") from e
        self.journal.with_name(f"{JOURNAL}.new").unlink(missing_ok=True)

    def close(self) -> None:
        """Leave; what is still needed stays."""
        with contextlib.suppress(OSError):
            if self.is_cut_off:
                log.warning("what was recorded is kept; `emoscope report %s` finishes it", self.folder)
            elif not self.journal.exists() and not self.is_finished:
                shutil.rmtree(self.new, ignore_errors=True)
            if {entry.name for entry in self.path.iterdir()} <= {LOCK}:
                (self.path / LOCK).unlink(missing_ok=True)
                self.path.rmdir()
        os.close(self.lock)

    def put_in_place(
        self, first: str, check: Callable[[], dict[str, Mark]], describe: Callable[[Mapping[str, Mark]], Manifest]
    ) -> None:
        """Replace the earlier result by what is in `new`; the file `first` goes away first and comes in last.

        Raises:
            OutputError: it failed; what was there is there, and the new result is kept.
        """
        self.is_finished = True
        try:
            files = {path.relative_to(self.new).as_posix(): path for path in _list_files(self.new)}
            manifest = describe({name: compute_mark(path) for name, path in files.items()})
            (self.new / MANIFEST).write_text(manifest.to_json(), encoding="ascii")
            _sync([*files.values(), self.new / MANIFEST])
            # Long ago this was free; meanwhile people may have worked there.
            old = dict(sorted(check().items(), key=lambda entry: (entry[0] == MANIFEST, entry[0] != first)))
            journal = Journal(old, [MANIFEST, *sorted(files, key=lambda name: name == first)])
            self._write(journal)
            self._move(journal)
        except BaseException as e:
            self.fail(e)
        self._clean(journal)

    def fail(self, error: BaseException) -> NoReturn:
        """Put back what was there, and say where the finished result is kept."""
        reason = f"{getattr(error, 'strerror', None) or error}"
        if named := getattr(error, "filename", None):
            reason += f": {named}"
        try:
            journal = Journal.load(self.journal)
            if journal is not None:
                self._move_back(journal)
                self.journal.unlink()
        except (OSError, OutputError) as e:
            text = f"what was there lies in {self.old}, the finished result in {self.new}"
            cause: BaseException = e
        else:
            try:
                kept = self._keep()
            except OSError:
                kept = self.new
            text, cause = f"what was there is as it was, the finished result is kept in {kept}", error
        if not isinstance(error, Exception):
            log.warning("%s", text)
            raise error
        raise OutputError(f"cannot put the results into {self.folder} ({reason}); {text}") from cause

    def _keep(self) -> Path:
        n = 1
        while (kept := self.path / f"{KEPT}{n}").exists():
            n += 1
        return self.new.rename(kept)

    def resume(self) -> None:
        """Go on where a killed process was: the new result was finished, so it goes in."""
        journal = Journal.load(self.journal)
        if journal is None:
            return
        self.is_finished = True
        if not journal.is_done:
            self._move(journal)
        self._clean(journal)
        self.is_finished = False

    def _write(self, journal: Journal) -> None:
        partial = self.journal.with_name(f"{JOURNAL}.new")
        with partial.open("w", encoding="ascii") as file:
            file.write(journal.to_json())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.journal)
        _sync([self.path])

    def _move(self, journal: Journal) -> None:
        """Move the old files away and the new ones in; what was moved before is left alone."""
        for name, mark in journal.old.items():
            place, away = find_listed(self.folder, name), self.old / name
            is_new = name in journal.new and not (self.new / name).exists()
            if place is None or is_new or away.exists():
                continue
            if compute_mark(place) != mark:
                raise FileExistsError(errno.EEXIST, "it was changed meanwhile", str(place))
            away.parent.mkdir(parents=True, exist_ok=True)
            place.rename(away)
        for name in journal.new:
            if (self.new / name).exists():
                self._move_one(self.new / name, name)
        _sync([self.folder])

    def _move_one(self, path: Path, name: str) -> None:
        """Move a file into the result folder, where nothing of its name is."""
        place = self.folder / name
        parents = [parent for parent in place.parents if self.folder in parent.parents]
        for parent in reversed(parents):
            if parent.is_symlink():
                raise FileExistsError(errno.EEXIST, "a link stands where a folder is expected", str(parent))
            parent.mkdir(exist_ok=True)
        # A rename replaces without asking.
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, "something else has this name by now", str(place))
        path.rename(place)

    def _move_back(self, journal: Journal) -> None:
        for name in reversed(journal.new):
            # What is not in `new` any more was moved in.
            if not (self.new / name).exists() and (place := find_listed(self.folder, name)):
                place.rename(self.new / name)
        _remove_empty(self.folder, journal.new)
        for name in reversed(journal.old):
            if (self.old / name).exists():
                self._move_one(self.old / name, name)

    def _clean(self, journal: Journal) -> None:
        """Remove what was replaced. The result is in place: a failure here leaves work for the next time, no more."""
        try:
            if not journal.is_done:
                journal.is_done = True
                self._write(journal)
            if self.old.exists():
                shutil.rmtree(self.old)
            _remove_empty(self.folder, list(journal.old))
            # Only its folders are left.
            _remove_empty(self.new, journal.new)
            if self.new.exists():
                self.new.rmdir()
            self.journal.unlink()
        except OSError as e:
            log.warning("%s could not be removed (%s); it is no longer needed", self.path, e.strerror or e)


def _remove_empty(folder: Path, names: list[str]) -> None:
    """Remove folders of listed files in which nothing is left."""
    parents = {parent for name in names for parent in (folder / name).parents if folder in parent.parents}
    for parent in sorted(parents, key=lambda path: -len(path.parts)):
        with contextlib.suppress(OSError):
            parent.rmdir()


def _list_files(folder: Path) -> list[Path]:
    def fail(error: OSError) -> NoReturn:
        raise error

    # Not rglob(): it leaves out what it may not look into, without a word.
    return sorted(Path(place) / name for place, _, names in os.walk(folder, onerror=fail) for name in names)


def _sync(paths: list[Path]) -> None:
    """Have files and folders on the disk before anything depends on them: names may get there before contents."""
    if os.name == "nt":
        return
    if len(paths) > FEW:
        os.sync()
        return
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
