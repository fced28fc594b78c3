"""What an import keeps: pictures with their labels one after the other in, the dataset out."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emoscope.study.data.dataset import Dataset
from emoscope.study.data.face_stack import FaceStack
from emoscope.study.data.labels import Labels
from emoscope.study.data.people import People


class Collector:
    """Collects what one source holds; knows what its labels mean, who is who, and to what side faces are brought."""

    def __init__(self, labels: Labels | None = None, people: People | None = None, size_px: int = 0) -> None:
        self.labels, self.people, self.faces = labels or Labels(), people or People(), FaceStack(size_px)
        self.emotion: list[int] = []
        self.usage: list[str] = []
        self.rows: list[int] = []
        """Of each picture, its row in a table, counted from 0."""
        self.lines: list[str] = []
        """What else is to be said of the import."""

    def __len__(self) -> int:
        return len(self.emotion)

    def add(
        self, face: NDArray[np.uint8], emotion: int, usage: str = "", person: str | None = None, row: int = -1
    ) -> None:
        """Take a grey face (h, w)."""
        self.faces.add(face)
        self.emotion.append(emotion)
        self.usage.append(usage)
        self.rows.append(row)
        self.people.add(person)

    def finish(self, name: str) -> Dataset:
        """Return the dataset of what was taken, of which there is some.

        Raises:
            InputError: nothing of what was said about people applies.
        """
        person = self.people.number(name)
        emotion, usage = np.array(self.emotion, np.uint8), np.array(self.usage)
        return Dataset.create(self.faces.stack(), emotion, usage, classes=self.labels.classes, person=person)

    def describe(self) -> Iterator[str]:
        """Yield what is to be said of sizes and people, a line each."""
        yield from self.lines
        yield from self.faces.describe()
        if any(self.people.names):
            n = len({name for name in self.people.names if name})
            unknown = f"; {self.people.n_unknown} pictures are of nobody known, each for itself" * bool(
                self.people.n_unknown
            )
            yield f"{n} people, who stand on one side of every split{unknown}"
