"""Files that appear whole or not at all: written under a temporary name, renamed when done."""

import contextlib
import errno
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from emoscope.core.errors import DamagedError, OutputError
from emoscope.core.texts import dump_json

log = logging.getLogger(__name__)

PARTIAL = ".partial-"
"""How the names of temporary files begin."""
LOCK = ".lock"


FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (*FULL, errno.EROFS, errno.EFBIG)
"""What only writing ends in, never reading."""


def explain(path: Path, error: OSError) -> OutputError:
    """Return the error that says why a place cannot be written."""
    advice = "choose a place that you may write to"
    if error.errno in FULL:
        advice = "make room there, or choose another place"
    return OutputError(f"cannot write {path} ({error.strerror or error}); {advice}")


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
        raise explain(path, e) from e
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_read_umask())
        temporary.replace(path)
    except OSError as e:
        raise explain(path, e) from e
    finally:
        # A leftover must not hide what went wrong.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_new(path: Path, text: str) -> None:
    """Write a file where none is, whole or not at all; never over another.

    Raises:
        OutputError: there is one, also if it came this very moment, or the place cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", prefix=PARTIAL, suffix=path.suffix, dir=path.parent
        ) as file:
            file.write(text)
            file.flush()
            Path(file.name).chmod(0o666 & ~_read_umask())
            try:
                os.link(file.name, path)
            except FileExistsError:
                raise
            except OSError:
                # A file system without second names.
                with path.open("x", encoding="utf-8", newline="") as own:
                    try:
                        own.write(text)
                        own.flush()
                    except OSError:
                        # It was not there before: what is half written is ours.
                        path.unlink(missing_ok=True)
                        raise
    except OSError as e:
        raise explain(path, e) from e


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
        # Some network drives have no locks.
        if e.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            return handle
        os.close(handle)
        raise OutputError(f"{folder} is being written by another process; wait for it or choose another folder") from e
    return handle


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
        temporary.write_text(dump_json(value, indent=2) + "\n", encoding="utf-8")


def compute_sha256(path: Path) -> str:
    """Return a file's sha256 as hex digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def set_aside(error: DamagedError) -> None:
    """Rename a damaged file, so that it can be made again, and say so; one that is gone is only named.

    Raises:
        OutputError: it cannot be renamed.
    """
    n, path = 1, error.path
    while os.path.lexists(kept := path.with_name(f"{path.name}.damaged-{n}")):
        n += 1
    try:
        path.rename(kept)
        log.warning("%s is damaged (%s): it is kept as %s and made again", path, error.reason, kept.name)
    except FileNotFoundError:
        log.warning("%s is missing: it is made again", path)
    except OSError as e:
        raise explain(path, e) from e
