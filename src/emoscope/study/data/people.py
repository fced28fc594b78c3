"""Who is on a picture: a column of a table, or a file beside the pictures in; a number per person out."""

import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from emoscope.core.csv_table import read_csv_table
from emoscope.core.errors import InputError, shorten
from emoscope.study.data.dataset import number_first

log = logging.getLogger(__name__)

EXPECTED = "expected a CSV file with the columns image and person"


class People:
    """Knows whose pictures are whose, and numbers the people that were asked for."""

    def __init__(self, column: str = "", file: Path | None = None) -> None:
        """Take where it is told.

        Args:
            column: of the table that is imported.
            file: a table `image,person`; an image by its name, or by its path within the source.

        Raises:
            InputError: both are named, or the file is no such table.
        """
        if column and file:
            raise InputError("--person-column and --persons both say who is on a picture; name one of them")
        self.column, self.file = column, file
        self.of_image: dict[str, str] = {}
        self.found: dict[str, PurePosixPath] = {}
        """Of each image of the file that the source has: where."""
        self.names: list[str | None] = []
        """Of each picture that was taken; None where nobody is known."""
        if file is not None:
            self._read(file)

    def _read(self, file: Path) -> None:
        table = read_csv_table(file, ("image", "person"), EXPECTED)
        if not {"image", "person"} <= set(table.header):
            raise InputError(f"{file} has the columns {', '.join(table.header)}; {EXPECTED}")
        for line, row in table.rows:
            image, person = _clean(row.get("image", "").replace("\\", "/")), row.get("person", "")
            if not image or not person:
                raise InputError(f"{file}: line {line} has no image or no person; fill in both or remove the line")
            if self.of_image.setdefault(image, person) != person:
                raise InputError(shorten(f"{file}: line {line} gives {image} to another person; keep one line of it"))

    def find(self, path: PurePosixPath, source: str) -> str | None:
        """Return who is on a picture by the end of its path, the longest that the file has, or by its name alone.

        Args:
            path: of the picture within the source.
            source: name of the source, with which paths may begin.

        Raises:
            InputError: a name is that of another picture, too, and so tells of neither.
        """
        parts = (*PurePosixPath(source.replace("\\", "/")).parts, *path.parts)
        for key in (*("/".join(parts[i:]) for i in range(len(parts))), path.stem):
            key = _clean(key)
            if key in self.of_image:
                if self.found.setdefault(key, path) != path:
                    both = " and ".join(shorten(str(found), 100) for found in (self.found[key], path))
                    raise InputError(
                        f"{source} has several pictures {shorten(key, 100)}, such as {both}, and {self.file} gives no "
                        "more than that name; give their paths"
                    )
                return self.of_image[key]
        return None

    def add(self, name: str | None) -> None:
        """Note who is on the next picture."""
        self.names.append(name.strip() or None if name else None)

    def number(self, source: str) -> NDArray[np.int32] | None:
        """Return a number per picture (n,), each of nobody known its own; None where nothing was told of anyone.

        Raises:
            InputError: no picture of the source is in the file.
        """
        if self.file is not None and not self.found:
            raise InputError(f"{self.file} names none of the pictures of {source}; give their names or paths as there")
        if unused := len(self.of_image) - len(self.found):
            log.warning("%s names %d pictures that %s does not have, or that were left out", self.file, unused, source)
        if not any(self.names):
            if self.column:
                raise InputError(f"the column {self.column} of {source} is empty; leave out --person-column")
            return None
        return number_first([name or i for i, name in enumerate(self.names)])

    @property
    def n_unknown(self) -> int:
        """Of how many pictures it is not known who is on them."""
        return sum(name is None for name in self.names)

    def find_column(self, columns: Sequence[str], source: str) -> str | None:
        """Return the column of a table that tells it, as the table writes it; None where none was asked for.

        Raises:
            InputError: the table has no such column.
        """
        if self.file is not None:
            raise InputError(
                f"the pictures of {source} have no names that {self.file} could give; say who is on them by a column "
                "of it, --person-column NAME"
            )
        if not self.column:
            return None
        found = [name for name in columns if name.strip().lower() == self.column.strip().lower()]
        if not found:
            raise InputError(
                shorten(f"{source} has no column {self.column}; it has {', '.join(columns)}; name one of these")
            )
        if len(found) > 1:
            raise InputError(shorten(f"{source} has {len(found)} columns {self.column}; keep one of them"))
        return found[0]


def _clean(path: str) -> str:
    """Return a path as it is compared: blanks as a table's reader leaves them, letters of one character."""
    return unicodedata.normalize("NFC", " ".join(PurePosixPath(path).as_posix().lstrip("/").split())) if path else ""
