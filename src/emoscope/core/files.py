"""Files that appear whole or not at all: written under a temporary name, renamed when done."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from emoscope.core.errors import OutputError

PARTIAL = ".partial-"
"""How the names of temporary files begin."""
INCOMPLETE = ".incomplete"
"""How the names of folders that are being written end."""
LOCK = ".lock"


def _explain(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path} ({error.strerror or error}); choose a place that you may write to")


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, remove it otherwise.

    Raises:
        OutputError: the folder cannot be written; choose another.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept: numpy, cv2 and av choose the format by it.
        handle, name = tempfile.mkstemp(prefix=PARTIAL, suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as e:
        raise _explain(path, e) from e
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_read_umask())
        temporary.replace(path)
    except OSError as e:
        raise _explain(path, e) from e
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def open_atomic_folder(path: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield a working folder beside `path`, `<path>.incomplete`, that becomes `path` when the block ends well.

    It is removed when the block fails. A killed process leaves it behind, its name says what it is, and the next
    writer of `path` begins anew. Where `path` exists, everything in it that has one of `names` goes, whether the block
    made it anew or not; all else is left alone. The first name is taken away first and put back last: a folder that
    has it is whole.

    Args:
        path: the folder.
        names: all files and folders that the block may make.

    Raises:
        OutputError: `path` is a file, cannot be written, or another process is writing it; choose another.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot write {path} (a file of this name exists); choose a folder")
    if path.is_dir() and not os.access(path, os.W_OK):
        raise OutputError(f"cannot write into {path} (permission denied); choose a folder that you may write to")
    # Absolute: a folder such as `.` has a name only then.
    working = path.resolve().with_name(path.resolve().name + INCOMPLETE)
    try:
        working.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(working)
    except OSError as e:
        raise _explain(path, e) from e
    try:
        _clear(working)
        yield working
        _put_in_place(working, path, names)
    except OSError as e:
        raise _explain(path, e) from e
    finally:
        shutil.rmtree(working, ignore_errors=True)
        os.close(lock)


def lock_folder(folder: Path) -> int:
    """Take a folder for this process until the returned descriptor is closed or the process ends.

    Raises:
        OutputError: another process has it.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        # Windows has no flock, and refuses to remove files that another process holds open.
        pass
    except OSError as e:
        os.close(handle)
        raise OutputError(f"{folder} is being written by another process; wait for it or choose another folder") from e
    return handle


def _clear(folder: Path) -> None:
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        elif old.name != LOCK:
            old.unlink()


def _put_in_place(working: Path, path: Path, names: tuple[str, ...]) -> None:
    path.mkdir(exist_ok=True)
    for old in (path / name for name in names):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
    for name in reversed(names):
        if (working / name).exists():
            (working / name).replace(path / name)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left in a folder; nobody else may be writing there."""
    for path in folder.glob(f"{PARTIAL}*"):
        path.unlink()


def _read_umask() -> int:
    # The system tells the umask only by setting it. Temporary files are private; results follow the user's umask.
    umask = os.umask(0)
    os.umask(umask)
    return umask


def write_json(path: Path, value: object) -> None:
    """Write indented JSON, whole or not at all."""
    with open_atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def compute_sha256(path: Path) -> str:
    """Return a file's sha256 as hex digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
