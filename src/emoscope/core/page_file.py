"""Pages wherever a person wants them: the last line proves who wrote one, of what, and that it is as written."""

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from emoscope.core.errors import OutputError
from emoscope.core.files import explain, open_atomic

_MARK: Final = re.compile(rb"\n<!-- emoscope ([a-z]+) ([0-9a-f]{16}) ([0-9a-f]{64}) -->\n\Z")


def write_page(path: Path, text: str, kind: str, of: str, overwrite: bool = False) -> None:
    """Write an HTML or Markdown page; an earlier one of the same is replaced, anything else is not.

    Args:
        path: the file.
        text: the page.
        kind: a word.
        of: what it shows.
        overwrite: whether a page of this kind that shows something else may be replaced too.

    Raises:
        OutputError: the place cannot be written, or something else is there.
    """
    check_page(path, kind, of, overwrite)
    content = text.rstrip("\n").encode("utf-8", "backslashreplace")
    mark = f"\n<!-- emoscope {kind} {_shorten(of)} {hashlib.sha256(content).hexdigest()} -->\n"
    with open_atomic(path) as temporary:
        temporary.write_bytes(content + mark.encode())


def check_page(path: Path, kind: str, of: str, overwrite: bool = False) -> None:
    """Check that write_page() may write there, for who does not want to work in vain.

    Raises:
        OutputError: as write_page().
    """
    if not os.path.lexists(path):
        return
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError as e:
        raise explain(path, e) from e
    mark = _MARK.search(content)
    is_ours = mark is not None and mark[3].decode() == hashlib.sha256(content[: mark.start()]).hexdigest()
    if mark is None or not is_ours or mark[1].decode() != kind or path.is_symlink():
        raise OutputError(f"{path} is not a {kind} of emoscope as it was written; name another file or move it away")
    if mark[2].decode() != _shorten(of) and not overwrite:
        raise OutputError(f"{path} is the {kind} of something else; name another file, or replace it with --overwrite")


def describe_place(folder: Path, page: Path) -> str:
    """Return what a page is known by that shows a folder: the way there, so that both may be moved together."""
    try:
        return os.path.relpath(folder.resolve(), page.parent.resolve())
    except ValueError:
        # On another drive of Windows there is none.
        return str(folder.resolve())


def _shorten(of: str) -> str:
    return hashlib.sha256(of.encode("utf-8", "surrogateescape")).hexdigest()[:16]
