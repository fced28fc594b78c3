"""Whose a result is: its source, told by place and content, and a list of what was written with a mark of each file."""

import hashlib
import json
import logging
import os
import stat
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple, Self

from emoscope.core.errors import InputError
from emoscope.core.files import compute_sha256
from emoscope.core.version import read_version

log = logging.getLogger(__name__)

MANIFEST: Final = "emoscope-manifest.json"
"""The list of what emoscope wrote into a folder, in that folder. Nothing else there is ever removed or replaced."""
WORKING: Final = ".emoscope-working"
"""The folder within a result folder in which the next result is made."""
CUT_OFF: Final = "recording.json"
"""In a folder that is being written: it holds what can never be made again. Who finishes that removes this."""
UNLISTED: Final = (
    *("summary.json", "observations.*", "audience.csv", "report.html", "annotated.mp4"),
    *("annotated/[0-9][0-9][0-9][0-9][0-9]-*.jpg", "thumbnails/p[0-9]*.jpg", "explanations/p[0-9]*.jpg"),
)
"""What results without a manifest consist of, as version 0.6.0 wrote them."""
VERSION: Final = 1
MAX_NAME: Final = 4096
BLOCK: Final = 1 << 20
"""Bytes of either end of a source by which it is known: reading the whole of a film takes minutes."""


class Mark(NamedTuple):
    """What a file is known by: its size and a sha256."""

    size: int
    sha256: str


def compute_mark(path: Path) -> Mark:
    """Return the mark of a file that emoscope wrote, by all of its content: people correct single letters.

    Raises:
        OSError: it cannot be read.
    """
    return Mark(path.stat().st_size, compute_sha256(path))


def mark_source(path: Path) -> Mark:
    """Return a source's mark, by its size and its ends.

    What is no plain file (a device, a link's end that is gone) has none of its content.

    Raises:
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return Mark(0, "")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(f"{size}\n".encode() + file.read(BLOCK))
        file.seek(max(size - BLOCK, min(size, BLOCK)))
        digest.update(file.read(BLOCK))
    return Mark(size, digest.hexdigest())


@dataclass(frozen=True)
class Identity:
    """What one source is: two films of one name are two sources, a copy elsewhere and a film changed in place too."""

    name: str
    """For messages."""
    mark: Mark
    path: Path | None = None
    """Where it lies, links followed; None for what was seen once, such as a camera."""
    files: tuple[Path, ...] = ()
    """All that belongs to it, and is never touched."""
    places: tuple[str, ...] = ()
    """As a manifest has them, of what is known from there alone."""

    @classmethod
    def create(cls, path: Path, files: Iterable[Path] = ()) -> Self:
        """Look at a file, or at a folder and those of its files that are meant.

        Raises:
            InputError: it cannot be read.
        """
        real, files = path.resolve(), tuple(files) or (path,)
        try:
            if not real.is_dir():
                return cls(path.name, mark_source(real), real, files)
            digest, total = hashlib.sha256(), 0
            for file in sorted(files):
                mark = mark_source(file)
                digest.update(os.fsencode(f"{os.path.relpath(file, path)}\0{mark.sha256}\n"))
                total += mark.size
        except OSError as e:
            raise InputError(f"cannot read {e.filename or path} ({e.strerror or e}); check its permissions") from e
        return cls(real.name, Mark(total, digest.hexdigest()), real, files)

    @classmethod
    def create_once(cls, name: str) -> Self:
        """Return the identity of what can never be seen again."""
        mark = uuid.uuid4().hex
        return cls(name, Mark(0, mark), places=(mark,))

    @classmethod
    def create_named(cls, name: str) -> Self:
        """Return the identity of what its name tells, wherever it lies, such as a network."""
        return cls(name, Mark(0, ""), places=(name,))

    def describe(self, folder: Path) -> dict[str, Any]:
        """Return JSON-ready values for the manifest in a folder.

        Places are hashed: a result that is handed on must not say what its maker's folders are called. Two of them,
        since a disk with films and results may be found elsewhere tomorrow.
        """
        places = [] if self.path is None else [str(self.path)]
        # On another drive of Windows there is no way from here to there.
        if self.path is not None and self.path.anchor == folder.resolve().anchor:
            places.append(os.path.relpath(self.path, folder.resolve()))
        hashes = [*self.places] or [hashlib.sha256(os.fsencode(place)).hexdigest()[:32] for place in places]
        return {"name": self.name, "size": self.mark.size, "sha256_of_ends": self.mark.sha256, "places": hashes}


@dataclass(frozen=True)
class Manifest:
    """What emoscope wrote into one folder."""

    kind: str
    source: Mapping[str, Any]
    files: Mapping[str, Mark]
    """By path relative to the folder, with slashes."""

    @classmethod
    def load(cls, folder: Path) -> "Manifest | None":
        """Return a folder's manifest, None where there is none that can be understood: then nothing in it is ours."""
        path = folder / MANIFEST
        try:
            # A pipe would have to be waited for.
            if path.is_symlink() or not path.is_file():
                return None
            values = json.loads(path.read_bytes())
            if values["version"] != VERSION:
                return None
            files = {name: Mark(int(v["size"]), str(v["sha256"])) for name, v in values["files"].items()}
            source = dict(values["source"])
            is_whole = isinstance(source["places"], list) and int(source["size"]) >= 0
            is_whole = is_whole and all(isinstance(source[key], str) for key in ("name", "sha256_of_ends"))
            if not all(map(is_safe, files)) or not is_whole:
                return None
            return cls(str(values["kind"]), source, files)
        except (OSError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    @property
    def identity(self) -> Identity:
        """Whose result this is; its place as seen from another folder is not known."""
        source = self.source
        mark = Mark(int(source["size"]), str(source["sha256_of_ends"]))
        return Identity(source["name"], mark, places=tuple(map(str, source["places"][:1])))

    def to_json(self) -> str:
        """Return the file's text; names that are no text are escaped."""
        files = {name: {"size": m.size, "sha256": m.sha256} for name, m in sorted(self.files.items())}
        values = {"version": VERSION, "emoscope": read_version(), "kind": self.kind, "source": dict(self.source)}
        return json.dumps({**values, "files": files}, indent=1, allow_nan=False) + "\n"

    def is_of(self, source: Identity, folder: Path) -> bool:
        """Return whether this is a result of a source as it is now: the same content at the same place."""
        mine, now = self.source, source.describe(folder)
        if any(mine.get(key) != now[key] for key in ("size", "sha256_of_ends")):
            return False
        return any(place in mine["places"] for place in now["places"])

    def lists(self, name: str) -> bool:
        """Return whether a file, or something in a folder of this name, is listed."""
        return name in self.files or any(file.startswith(f"{name}/") for file in self.files)


def is_safe(name: str) -> bool:
    """Return whether a listed name stays within its folder, whoever wrote the list."""
    parts = PurePosixPath(name).parts
    is_plain = bool(parts) and not PurePosixPath(name).is_absolute() and "\0" not in name
    if os.sep != "/":
        is_plain = is_plain and not set(name) & {os.sep, ":"}
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    # No file system has longer ones.
    is_plain = is_plain and len(name) < MAX_NAME and all(len(part) <= 255 for part in parts)
    return is_plain and ".." not in parts and parts[0] not in (WORKING, MANIFEST)


def find_listed(folder: Path, name: str) -> Path | None:
    """Return where a listed file lies, None where it is gone, or where a link or a folder stands in its stead."""
    path = folder
    for part in PurePosixPath(name).parts:
        if path.is_symlink() and path != folder:
            return None
        path = path / part
    return path if path.is_file() and not path.is_symlink() else None


def is_unlisted(folder: Path) -> bool:
    """Return whether a folder holds a result without a manifest: to be read, but nothing in it is provably ours."""
    path = folder / "summary.json"
    try:
        values = json.loads(path.read_bytes()) if path.is_file() and Manifest.load(folder) is None else None
    except (OSError, ValueError, RecursionError):
        return False
    keys = ("schema_version", "source", "kind", "created", "model", "settings", "people_count", "audience")
    return isinstance(values, dict) and all(key in values for key in keys)


def find_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return all files below a folder, sorted: those that emoscope did not write, and those that it wrote.

    Links to folders are followed, each folder is looked into once; a link that leads nowhere is said.
    """
    known: set[Path] = set()
    files: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=_say_left_out, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name != WORKING)
        here = Path(place)
        if MANIFEST in names and (manifest := Manifest.load(here)):
            known.update(here / name for name in (*manifest.files, MANIFEST))
        elif "summary.json" in names and is_unlisted(here):
            known.update(path for pattern in UNLISTED for path in here.glob(pattern))
        files += [path for name in names if (path := here / name).is_file()]
        for name in sorted(names):
            if (here / name).is_symlink() and not (here / name).exists():
                log.warning("left out %s, a link to what is not there", here / name)
    return sorted(path for path in files if path not in known), sorted(path for path in files if path in known)


def _say_left_out(error: OSError) -> None:
    log.warning("left out %s, which cannot be read (%s)", error.filename, error.strerror or error)


def find_home(folder: Path) -> Path:
    """Return the folder in which files will lie that are made in `folder`: a working folder's are moved."""
    return folder.parent.parent if folder.parent.name == WORKING else folder
