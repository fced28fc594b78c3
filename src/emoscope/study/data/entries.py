"""The files of a folder or archive: a path in, names and openers out; nothing is ever unpacked under a name of theirs.

Archives are hostile input. Archives within archives and compressed tars are copied to nameless temporary files, up to a
limit; links in them are passed over; what a member unpacks to is bounded where it is read.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final

from emoscope.core.errors import InputError
from emoscope.study.data.csv_rows import reading, show

MAX_DEPTH = 8
"""Folders below the source in which files are looked for; links may form a ring."""

MAX_FILES: Final = 2_000_000
MAX_UNPACKED: Final = 1 << 33
"""Bytes that archives within an archive may take, together."""

MAX_IN_MEMORY: Final = 1 << 26
"""Bytes of one; what is larger lies on disk meanwhile."""

MAX_ARCHIVES: Final = 64
ARCHIVES: Final = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_PACKED: Final = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}


@dataclass(frozen=True)
class Entry:
    """A file in a folder or archive."""

    path: PurePosixPath
    open: Callable[[], BinaryIO]


class Lister:
    """Lists files; keeps archives open until it is closed by its stack."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack, self.n_bytes, self.n_archives = stack, 0, 0

    def list_folder(self, folder: Path) -> list[Entry]:
        """List the files of a folder, and those of the archives in it."""
        entries = []
        # os.walk passes over folders that it may not read; a class would be missing without a word.
        with reading(show(folder)):
            for root, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
                below = PurePosixPath(Path(root).relative_to(folder).as_posix())
                if len(below.parts) >= MAX_DEPTH:
                    folders.clear()
                entries += [Entry(below / name, partial(open_file, Path(root, name))) for name in names]
                check_number(len(entries), show(folder))
        return self._open_nested(entries, show(folder))

    def list_archive(self, file: BinaryIO, name: str) -> list[Entry]:
        """List the files of an open zip or tar, and those of the archives in it.

        Raises:
            InputError: it is damaged, protected or too large.
        """
        self.n_archives += 1
        if self.n_archives > MAX_ARCHIVES:
            raise InputError(f"{name} is one of more than {MAX_ARCHIVES} archives; unpack them first")
        with reading(name):
            if zipfile.is_zipfile(file):
                entries = self._list_zip(file, name)
            elif name.lower().endswith(".zip"):
                raise InputError(f"{name} is a broken zip (it has no table of contents); fetch or pack it again")
            else:
                file.seek(0)
                entries = self._list_tar(self._unpack(file, name), name)
        return self._open_nested(entries, name)

    def _list_zip(self, file: BinaryIO, name: str) -> list[Entry]:
        archive = self.stack.enter_context(zipfile.ZipFile(file))
        infos = [info for info in archive.infolist() if not info.is_dir()]
        check_number(len(infos), name)
        if any(info.flag_bits & 1 for info in infos):
            raise InputError(f"{name} is protected by a password; pack it again without one")
        return [Entry(_clean(info.filename), partial(_open_member, archive, info)) for info in infos]

    def _list_tar(self, file: IO[bytes], name: str) -> list[Entry]:
        archive = self.stack.enter_context(tarfile.TarFile(fileobj=file))
        entries = []
        for member in archive:
            if member.isreg():
                entries.append(Entry(_clean(member.name), partial(_extract, archive, member)))
                check_number(len(entries), name)
        return entries

    def _unpack(self, file: BinaryIO, name: str) -> IO[bytes]:
        """Return a tar as it is; one that is compressed could only be read from front to back, again and again."""
        start = file.read(2)
        file.seek(0)
        if start not in _PACKED:
            return file
        with _PACKED[start](file, "rb") as packed:  # type: ignore[operator]
            return self._copy(packed, name)

    def _open_nested(self, entries: list[Entry], name: str) -> list[Entry]:
        found = []
        for entry in entries:
            if not entry.path.name.lower().endswith(ARCHIVES) or is_hidden(entry.path):
                found.append(entry)
                continue
            full_name = f"{name}/{show(entry.path)}"
            with reading(full_name), entry.open() as file:
                copy = self._copy(file, full_name)
            # Its name says where it lies, often `train.zip`.
            place = entry.path.parent / entry.path.name.split(".")[0]
            found += [Entry(place / e.path, e.open) for e in self.list_archive(copy, full_name)]
            check_number(len(found), name)
        return found

    def _copy(self, file: IO[bytes], name: str) -> BinaryIO:
        copy = self.stack.enter_context(tempfile.SpooledTemporaryFile(MAX_IN_MEMORY))  # noqa: SIM115
        while block := file.read(1 << 20):
            self.n_bytes += len(block)
            if self.n_bytes > MAX_UNPACKED:
                raise InputError(
                    f"{name} unpacks to more than {MAX_UNPACKED >> 30} GB, which no set of faces needs; "
                    "unpack it yourself if it is one, and name the folder"
                )
            copy.write(block)
        copy.seek(0)
        return copy  # type: ignore[return-value]


def is_hidden(path: PurePosixPath) -> bool:
    """Return whether a file is one that systems leave behind."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def check_number(n: int, name: str) -> None:
    """Check that a source has not more files than any set of faces.

    Raises:
        InputError: it has.
    """
    if n > MAX_FILES:
        raise InputError(f"{name} holds more than {MAX_FILES:,} files, which is no set of faces; name another source")


def _clean(name: str) -> PurePosixPath:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return PurePosixPath(*parts or ["unnamed"])


def _raise(error: OSError) -> None:
    raise error


def open_file(path: Path) -> BinaryIO:
    """Open a file for bytes."""
    return path.open("rb")


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    # The archive's own readline with a limit goes byte by byte.
    return io.BufferedReader(archive.open(info), 1 << 18)  # type: ignore[type-var]


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    file = archive.extractfile(member)
    if file is None:
        raise OSError("it is no file")
    return file  # type: ignore[return-value]
