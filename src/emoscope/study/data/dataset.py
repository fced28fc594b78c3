"""The dataset: faces with labels, kept in one npz file; loading, checking, fingerprint."""

import hashlib
import logging
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError, OutputError, shorten
from emoscope.core.files import open_atomic
from emoscope.study.data.relatives import find_relatives

log = logging.getLogger(__name__)

SIDE_PX = 48
"""FER2013's side; every imported face has it."""

PARTS: Final = ("pixels", "emotion", "usage", "group")
"""Arrays of every file."""
N_QUICK: Final = 5000
"""Images among which near-copies are found in seconds."""
ADDED: Final = ("relative",)
"""Arrays of files since version 0.7."""
USAGES = ("Training", "PublicTest", "PrivateTest", "Test", "")
"""The publisher's three parts; `Test` for folders that do not tell the two test parts apart; empty for none."""


@dataclass(frozen=True)
class Dataset:
    """Labelled faces in the order of their source."""

    pixels: NDArray[np.uint8]
    """(n, 48, 48), grey."""
    emotion: NDArray[np.uint8]
    """(n,), class index."""
    usage: NDArray[np.str_]
    """(n,), one of USAGES."""
    group: NDArray[np.int32]
    """(n,), identical images share a number; numbered by first occurrence."""
    known_relative: NDArray[np.int32] | None = None
    """(n,), `relative` where it is known already: found when the file was written, or by how the images were made."""

    def __post_init__(self) -> None:
        """Check shapes and values.

        Raises:
            InputError: they do not fit; import the data again.
        """
        n = len(self.pixels) if self.pixels.ndim else 0
        problems = []
        if self.pixels.shape != (n, SIDE_PX, SIDE_PX) or self.pixels.dtype != np.uint8:
            problems.append(f"pixels are {self.pixels.dtype} {self.pixels.shape}, expected uint8 (n, 48, 48)")
        problems += [
            f"{name} is {part.dtype} {part.shape}, expected {words} ({n},)"
            for name, part, kind, words in (
                *(("emotion", self.emotion, np.uint8, "uint8"), ("usage", self.usage, np.str_, "text")),
                ("group", self.group, np.int32, "int32"),
                *([("relative", self.known_relative, np.int32, "int32")] if self.known_relative is not None else []),
            )
            if part.shape != (n,) or not np.issubdtype(part.dtype, kind)
        ]
        if n == 0:
            problems.append("there is no image")
        elif not problems and self.emotion.max() >= len(EMOTIONS):
            problems.append(f"an emotion is {self.emotion.max()}, expected 0..6")
        if not problems and (unknown := sorted(set(np.unique(self.usage).tolist()) - set(USAGES))):
            problems.append(shorten(f"usages {unknown} are unknown"))
        if problems:
            raise InputError(f"the dataset is wrong: {'; '.join(problems)}; import it again")

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def relative(self) -> NDArray[np.int32]:
        """Numbers (n,) that near-copies share: pictures of one photograph, see find_relatives()."""
        if self.known_relative is not None:
            return self.known_relative
        if len(self) > N_QUICK:
            log.info("looking for near-copies among %d images", len(self))
        return find_relatives(self.pixels, self.group)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of pixels, labels and usages."""
        digest = hashlib.sha256()
        for part in (self.pixels, self.emotion, self.usage.astype("U11")):
            digest.update(np.ascontiguousarray(part).tobytes())
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
        if n < 8 * len(EMOTIONS):
            raise InputError(f"{n} images were asked for, expected at least {8 * len(EMOTIONS)}; ask for more")
        rng = np.random.default_rng(seed)
        first = np.unique(self.group, return_index=True)[1]
        classes = [first[self.emotion[first] == label] for label in range(len(EMOTIONS))]
        sizes = [n * len(part) // len(first) if stratified else n // len(EMOTIONS) for part in classes]
        rows = np.sort(
            np.concatenate([rng.permutation(part)[:size] for part, size in zip(classes, sizes, strict=True)])
        )
        relative = np.unique(self.relative[rows], return_inverse=True)[1].astype(np.int32)
        return Dataset.create(self.pixels[rows], self.emotion[rows], self.usage[rows], relative)

    @classmethod
    def create(
        cls,
        pixels: NDArray[np.uint8],
        emotion: NDArray[np.uint8],
        usage: NDArray[np.str_],
        relative: NDArray[np.int32] | None = None,
    ) -> "Dataset":
        """Make a dataset and find its groups of identical images; near-copies are looked for when they are needed."""
        return cls(pixels, emotion.astype(np.uint8), usage.astype("U11"), compute_groups(pixels), relative)

    @classmethod
    def load(cls, path: Path) -> "Dataset":
        """Read what `emoscope data import` wrote.

        Raises:
            InputError: no such file, or not such a file; make it with `emoscope data import`.
        """
        if not path.is_file():
            raise InputError(f"there is no dataset {path}; make one with `emoscope data import SOURCE -o {path}`")
        try:
            with np.load(path, allow_pickle=False) as z:
                parts = {name: z[name] for name in PARTS}
                relative = z.get("relative")
        # Bytes that were made up bring the readers to errors of every kind.
        except Exception as e:
            reason = shorten(e, 120) if zipfile.is_zipfile(path) else "it is no npz file"
            raise InputError(
                f"{path} is not a dataset of emoscope ({reason}); make one with `emoscope data import`"
            ) from e
        dataset = cls(**parts, known_relative=relative)
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
        parts = {name: getattr(self, name) for name in (*PARTS, *ADDED)}
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


def compute_groups(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Number images (n, h, w) so that identical ones share a number, by first occurrence."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(image.tobytes(), len(seen)) for image in pixels], np.int32)
