"""The dataset: faces with labels, kept in one npz file; loading, checking, fingerprint."""

import hashlib
import logging
import os
import shlex
import zipfile
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS, list_class_problems
from emoscope.core.errors import InputError, OutputError, shorten
from emoscope.core.files import open_atomic
from emoscope.study.data.relatives import find_relatives

log = logging.getLogger(__name__)

SIDE_PX = 48
"""FER2013's side, and that of pictures of several sizes unless the user says another."""
MIN_SIDE_PX: Final = 16
MAX_SIDE_PX: Final = 512

PARTS: Final = ("pixels", "emotion", "usage", "group")
"""Arrays of every file."""
N_QUICK: Final = 5000
"""Images among which near-copies are found in seconds."""
ADDED: Final = ("relative", "classes", "person", "votes")
"""Arrays of files since version 0.7; but for `relative` only where there is something to tell: `classes` other than the
seven, who is whom, what raters voted."""
USAGES = ("Training", "PublicTest", "PrivateTest", "Test", "")
"""The publisher's three parts; `Test` for folders that do not tell the two test parts apart; empty for none."""


@dataclass(frozen=True)
class Dataset:
    """Labelled faces in the order of their source."""

    pixels: NDArray[np.uint8]
    """(n, s, s), grey, all of one side: 48 in FER2013."""
    emotion: NDArray[np.uint8]
    """(n,), class index."""
    usage: NDArray[np.str_]
    """(n,), one of USAGES."""
    group: NDArray[np.int32]
    """(n,), identical images share a number; numbered by first occurrence."""
    known_relative: NDArray[np.int32] | None = None
    """(n,), `relative` where it is known already: found when the file was written, or by how the images were made."""
    classes: tuple[str, ...] = EMOTIONS
    """Names of the classes, in the order of their index: the one list that networks, figures and reports follow."""
    person: NDArray[np.int32] | None = None
    """(n,), pictures of one person share a number, where that is known; numbered by first occurrence."""
    votes: NDArray[np.uint8] | None = None
    """(n, classes), how many raters saw each class in each picture, where that is known."""

    def __post_init__(self) -> None:
        """Check shapes and values.

        Raises:
            InputError: they do not fit; import the data again.
        """
        n = len(self.pixels) if self.pixels.ndim else 0
        problems = []
        side = self.pixels.shape[-1] if self.pixels.ndim == 3 else 0
        is_square = self.pixels.shape == (n, side, side) and (MIN_SIDE_PX <= side <= MAX_SIDE_PX or not n)
        if not is_square or self.pixels.dtype != np.uint8:
            problems.append(
                f"pixels are {self.pixels.dtype} {self.pixels.shape}, expected uint8 (n, s, s), s {MIN_SIDE_PX} to "
                f"{MAX_SIDE_PX}"
            )
        problems += [
            f"{name} is {part.dtype} {part.shape}, expected {words} ({n},)"
            for name, part, kind, words in (
                *(("emotion", self.emotion, np.uint8, "uint8"), ("usage", self.usage, np.str_, "text")),
                ("group", self.group, np.int32, "int32"),
                *([("relative", self.known_relative, np.int32, "int32")] if self.known_relative is not None else []),
                *([("person", self.person, np.int32, "int32")] if self.person is not None else []),
            )
            if part.shape != (n,) or not np.issubdtype(part.dtype, kind)
        ]
        if n == 0:
            problems.append("there is no image")
        elif not problems and self.emotion.max() >= len(self.classes):
            problems.append(f"a class index is {self.emotion.max()}, expected 0..{len(self.classes) - 1}")
        problems += list_class_problems(self.classes)
        if (votes := self.votes) is not None and (votes.shape != (n, len(self.classes)) or votes.dtype != np.uint8):
            problems.append(f"votes are {votes.dtype} {votes.shape}, expected uint8 {(n, len(self.classes))}")
        if not problems and (unknown := sorted(set(np.unique(self.usage).tolist()) - set(USAGES))):
            problems.append(shorten(f"usages {unknown} are unknown"))
        if problems:
            raise InputError(f"the dataset is wrong: {'; '.join(problems)}; import it again")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def side_px(self) -> int:
        """Side of every picture."""
        return int(self.pixels.shape[1])

    @cached_property
    def relative(self) -> NDArray[np.int32]:
        """Numbers (n,) that near-copies share: pictures of one photograph, see find_relatives()."""
        if self.known_relative is not None:
            return self.known_relative
        if len(self) > N_QUICK:
            log.info("looking for near-copies among %d images", len(self))
        return find_relatives(self.pixels, self.group)

    @cached_property
    def kin(self) -> NDArray[np.int32]:
        """Numbers (n,) that pictures share which may not stand on two sides: near-copies and those of one person."""
        return self.relative if self.person is None else join_groups(self.relative, self.person)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of pixels, labels and usages, and of what else there is: classes, people, votes, another side."""
        digest = hashlib.sha256()
        for part in (self.pixels, self.emotion, self.usage.astype("U11")):
            digest.update(np.ascontiguousarray(part).tobytes())
        if self.classes != EMOTIONS:
            digest.update("\n".join(self.classes).encode())
        for name, values in (("person", self.person), ("votes", self.votes)):
            if values is not None:
                digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        if self.side_px != SIDE_PX:
            digest.update(f"{self.side_px} px".encode())
        return digest.hexdigest()

    def sample(self, n: int, seed: int, stratified: bool = False) -> "Dataset":
        """Return a small dataset: about n different images.

        Args:
            n: how many at most.
            seed: of the drawing.
            stratified: every class keeps its share; else there are as many of each as there are.

        Raises:
            InputError: n is less than eight of each class.
        """
        if n < 8 * len(self.classes):
            raise InputError(f"{n} images were asked for, expected at least {8 * len(self.classes)}; ask for more")
        rng = np.random.default_rng(seed)
        first = np.unique(self.group, return_index=True)[1]
        classes = [first[self.emotion[first] == label] for label in range(len(self.classes))]
        sizes = [n * len(part) // len(first) if stratified else n // len(self.classes) for part in classes]
        rows = np.sort(
            np.concatenate([rng.permutation(part)[:size] for part, size in zip(classes, sizes, strict=True)])
        )
        return self.select(rows)

    def select(self, rows: NDArray[np.int64]) -> "Dataset":
        """Return a dataset of some rows."""
        relative = np.unique(self.relative[rows], return_inverse=True)[1].astype(np.int32)
        person = None if self.person is None else number_first(self.person[rows].tolist())
        return Dataset.create(
            self.pixels[rows],
            self.emotion[rows],
            self.usage[rows],
            relative,
            self.classes,
            person,
            None if self.votes is None else self.votes[rows],
        )

    @classmethod
    def create(
        cls,
        pixels: NDArray[np.uint8],
        emotion: NDArray[np.uint8],
        usage: NDArray[np.str_],
        relative: NDArray[np.int32] | None = None,
        classes: tuple[str, ...] = EMOTIONS,
        person: NDArray[np.int32] | None = None,
        votes: NDArray[np.uint8] | None = None,
    ) -> "Dataset":
        """Make a dataset and find its groups of identical images; near-copies are looked for when they are needed."""
        groups = compute_groups(pixels)
        return cls(pixels, emotion.astype(np.uint8), usage.astype("U11"), groups, relative, classes, person, votes)

    @classmethod
    def load(cls, path: Path) -> "Dataset":
        """Read what `emoscope data import` wrote.

        Raises:
            InputError: no such file, or not such a file; make it with `emoscope data import`.
        """
        if path.is_dir():
            command = shlex.join(["emoscope", "data", "import", str(path), "-o", f"{path.resolve().name}.npz"])
            raise InputError(f"{path} is a folder, expected a dataset file; make one with `{command}`")
        if not path.is_file():
            raise InputError(f"there is no dataset {path}; make one with `emoscope data import SOURCE -o {path}`")
        try:
            with np.load(path, allow_pickle=False) as z:
                parts = {name: z[name] for name in PARTS}
                relative, classes = z.get("relative"), tuple(map(str, z.get("classes", EMOTIONS)))
                parts |= {name: z[name] for name in ("person", "votes") if name in z}
        # Bytes that were made up bring the readers to errors of every kind.
        except Exception as e:
            reason = shorten(e, 120) if zipfile.is_zipfile(path) else "it is no npz file"
            raise InputError(
                f"{path} is not a dataset of emoscope ({reason}); make one with `emoscope data import`"
            ) from e
        dataset = cls(**parts, known_relative=relative, classes=classes)
        # Splits and weights go by them, the fingerprint does not.
        if not np.array_equal(dataset.group, compute_groups(dataset.pixels)):
            raise InputError(f"{path} is damaged (its groups are not those of identical images); import it again")
        if relative is None:
            log.info(
                "%s does not tell near-copies; they are looked for when needed, import it again to keep them", path
            )
        elif len(np.unique(np.stack([dataset.group, relative]), axis=1).T) > dataset.group.max() + 1:
            raise InputError(f"{path} is damaged (identical images are no relatives in it); import it again")
        return dataset

    def save(self, path: Path, overwrite: bool = False) -> Path:
        """Write the npz file, under exactly this name; the same data gives the same bytes.

        Args:
            path: the file.
            overwrite: whether another dataset may be replaced there.

        Raises:
            OutputError: it cannot be written, or something else than this dataset is there.
        """
        if os.path.lexists(path):
            found = None if path.is_symlink() else _load_alone(path)
            if found is None:
                raise OutputError(f"{path} is no dataset that emoscope wrote; name another file or move it away")
            if not overwrite and found.sha256 != self.sha256:
                raise OutputError(
                    f"{path} is another dataset ({len(found)} images); name another file, or replace it by --overwrite"
                )
        parts = {name: getattr(self, name) for name in (*PARTS, "relative")}
        if self.classes != EMOTIONS:
            parts["classes"] = np.array(self.classes)
        parts |= {n: values for n in ("person", "votes") if (values := getattr(self, n)) is not None}
        # Through an open file: given a name, numpy would add .npz to it.
        with open_atomic(path) as temporary, temporary.open("wb") as f:
            np.savez_compressed(f, allow_pickle=False, **parts)
        return path


def _load_alone(path: Path) -> Dataset | None:
    """Return a file's dataset, None where it holds none, or something beside it."""
    try:
        with zipfile.ZipFile(path) as file:
            names = {name.removesuffix(".npy") for name in file.namelist()}
            is_alone = set(PARTS) <= names <= {*PARTS, *ADDED}
        return Dataset.load(path) if is_alone else None
    except (OSError, ValueError, zipfile.BadZipFile, InputError):
        return None


def number_first(values: Iterable[Hashable]) -> NDArray[np.int32]:
    """Number values by first occurrence."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], np.int32)


def join_groups(first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number rows (n,) so that those which share a number of either share one, by first occurrence."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_first, n_second = int(first.max()) + 1, int(second.max()) + 1
    edges = coo_array((np.ones(len(first), np.int8), (first, n_first + second)), shape=(n_first + n_second,) * 2)
    return number_first(connected_components(edges, directed=False)[1][first].tolist())


def compute_groups(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Number images (n, h, w) so that identical ones share a number, by first occurrence."""
    return number_first(image.tobytes() for image in pixels)
