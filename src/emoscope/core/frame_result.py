"""What was read from one frame: its faces in, each with its reading, as an object, a row, JSON or a table, out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, overload

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.html import create_table
from emoscope.core.schema import (
    ATTENTION,
    KEPT,
    QUALITY,
    SET_90,
    SMOOTH_,
    create_columns,
    create_extra,
    name_columns,
    name_set,
    to_dtypes,
)
from emoscope.core.types import Faces

if TYPE_CHECKING:
    import pandas as pd

DECIMALS: Final = 4
"""Of probabilities and scores in JSON."""


@dataclass(frozen=True)
class Reading:
    """What each face of a frame shows, decided once: whatever speaks of a face says this and nothing else."""

    by: Literal["raw", "smoothed"]
    """Which probabilities decide: smoothed over the person's time where that was asked for, else this frame's."""
    probabilities: NDArray[np.float64]
    """(n, classes) those probabilities, in the order of `classes`."""
    emotion: NDArray[np.int64]
    """(n,) index of the most probable emotion."""
    probability: NDArray[np.float64]
    """(n,) its probability."""
    uncertain: NDArray[np.bool_]
    """(n,) whether the network abstains: the probability is below the model's threshold, or the face beyond what the
    model was measured to read."""
    classes: tuple[str, ...] = EMOTIONS
    """The network's."""

    @property
    def emotions(self) -> list[str]:
        """Each face's emotion by name."""
        return [self.classes[i] for i in self.emotion.tolist()]


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a FrameResult, and its reading."""

    xyxy: NDArray[np.float32]
    """(4,) box in pixels of the frame, exclusive end."""
    score: float
    """Detection score in 0..1."""
    track_id: int | None
    """Number of the person, from 1."""
    emotion: str
    """The most probable emotion."""
    probability: float
    """Its calibrated probability."""
    uncertain: bool
    """Whether the network abstains."""
    probabilities: dict[str, float]
    """Those that the reading goes by, for each of the network's classes."""
    set_90: tuple[str, ...] | None = None
    """Emotions among which the right one is in nine of ten faces, where such sets were asked for."""

    def __str__(self) -> str:
        return f"{self.emotion}{'?' * self.uncertain} {self.probability:.2f}"

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values, rounded."""
        return {
            "track_id": self.track_id,
            # float32 has no short decimals.
            "xyxy": [round(v, 1) for v in self.xyxy.tolist()],
            "detection_score": round(self.score, DECIMALS),
            "emotion": self.emotion,
            "probability": round(self.probability, DECIMALS),
            "uncertain": self.uncertain,
            "probabilities": {name: round(p, DECIMALS) for name, p in self.probabilities.items()},
            **({} if self.set_90 is None else {SET_90: list(self.set_90)}),
        }


@dataclass(frozen=True, repr=False)
class FrameResult:
    """What was read from one frame; it exists for every analysed frame, with a face or without.

    Its length is the number of faces; it gives each as a Face, best detection first.

    Examples:
        >>> result = emoscope.analyze_image("portrait.png")
        >>> for face in result:
        ...     print(face.emotion, face.probability > 0.5, sorted(face.probabilities)[:3])
        happy True ['angry', 'disgust', 'fear']
        >>> result.to_dict()["size_wh"]
        [512, 512]
        >>> result.to_frame()[["source", "track_id", "emotion", "uncertain"]] # a pandas table
                 source  track_id emotion  uncertain
        0  portrait.png         1   happy      False
    """

    index: int
    time_s: float
    source: str
    size_wh: tuple[int, int]
    faces: Faces
    """With track_id and probabilities."""
    uncertain_below: float = 0.0
    """The model's threshold."""
    shot: int = 1
    """Number of the film's shot, from 1."""
    set_ratio: float | None = None
    """The model's ratio for sets of emotions (ModelSpec.set_ratio), where such sets were asked for."""
    classes: tuple[str, ...] = EMOTIONS
    """What the network tells apart, in the order of the probabilities."""

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(n, classes) calibrated probabilities of this one frame."""
        found = self.faces.probabilities
        return np.empty((0, len(self.classes))) if found is None else found

    @cached_property
    def reading(self) -> Reading:
        """What each face shows; of no face before recognition."""
        smoothed = self.faces.smoothed
        values = self.probabilities if smoothed is None else smoothed
        top, probability = values.argmax(axis=1), values.max(axis=1)
        by: Literal["raw", "smoothed"] = "raw" if smoothed is None else "smoothed"
        unreadable = self.faces.unreadable
        uncertain = (probability < self.uncertain_below) | (False if unreadable is None else unreadable)
        return Reading(by, values, top, probability, uncertain, self.classes)

    @property
    def emotions(self) -> list[str]:
        """Each face's emotion, by its reading."""
        return self.reading.emotions

    @property
    def uncertain(self) -> NDArray[np.bool_]:
        """(n,) whether the network abstains, by each face's reading."""
        return self.reading.uncertain

    @cached_property
    def sets(self) -> NDArray[np.bool_] | None:
        """(n, classes) which emotions are in each face's set, by the probabilities of this one frame.

        All that are at least so probable, next to the likeliest; of a face beyond what the model was measured to read
        all. None where no sets were asked for.
        """
        if self.set_ratio is None:
            return None
        return create_sets(self.probabilities, self.set_ratio, self.faces.unreadable)

    def __len__(self) -> int:
        return len(self.reading.emotion)

    @overload
    def __getitem__(self, i: int) -> Face: ...

    @overload
    def __getitem__(self, i: slice) -> list[Face]: ...

    def __getitem__(self, i: int | slice) -> Face | list[Face]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        i = range(len(self))[i]
        faces, reading = self.faces, self.reading
        return Face(
            faces.xyxy[i],
            float(faces.score[i]),
            None if faces.track_id is None else int(faces.track_id[i]),
            self.classes[reading.emotion[i]],
            float(reading.probability[i]),
            bool(reading.uncertain[i]),
            dict(zip(self.classes, reading.probabilities[i].tolist(), strict=True)),
            None if self.sets is None else tuple(name for name, x in zip(self.classes, self.sets[i], strict=True) if x),
        )

    def __iter__(self) -> Iterator[Face]:
        return (self[i] for i in range(len(self)))

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values, rounded."""
        return {
            "source": self.source,
            "frame": self.index,
            "time_s": round(self.time_s, 3),
            "size_wh": list(self.size_wh),
            "uncertain_below": self.uncertain_below,
            "faces": [face.to_dict() for face in self],
        }

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas table of a row per face, with the columns of the observations."""
        import pandas as pd

        parts = (
            (name_columns(SMOOTH_, self.classes), self.faces.smoothed),
            ((SET_90,), self.sets),
            (tuple(ATTENTION), self.faces.attention),
            ((KEPT,), self.faces.kept),
        )
        extra = [name for names, values in parts if values is not None for name in names]
        known = create_extra(self.classes)
        dtypes = to_dtypes(create_columns(self.classes) | {name: known[name] for name in extra})
        cells = {"source": self.source, "frame": self.index, "time_s": self.time_s, "shot": self.shot}
        faces = dict(zip(list(dtypes)[len(cells) :], self.to_array(extra).T, strict=True))
        named = {"emotion": [self.classes[int(i)] for i in faces["emotion"]]}
        if SET_90 in faces:
            named[SET_90] = [name_set(int(bits), self.classes) for bits in faces[SET_90]]
        return pd.DataFrame({**cells, **faces, **named}, range(len(self))).astype(dtypes)

    def to_array(self, extra: Sequence[str] = ()) -> NDArray[np.float64]:
        """Return the columns of the observations from track_id on, (n, columns).

        Emotions are class indices, sets of them their bits, see schema.name_set().

        Args:
            extra: also these of schema.create_extra(); where nothing was smoothed, smooth_* are the raw values.
        """
        faces, reading = self.faces, self.reading
        track_id = np.full(len(faces), np.nan) if faces.track_id is None else faces.track_id
        verdict = (reading.emotion, reading.probability, reading.uncertain)
        quality = np.full((len(faces), len(QUALITY)), np.nan) if faces.quality is None else faces.quality
        parts = [track_id, faces.xyxy, faces.score, self.probabilities, *verdict, quality]
        more = dict(zip(name_columns(SMOOTH_, self.classes), reading.probabilities.T, strict=True))
        if self.sets is not None:
            more[SET_90] = self.sets @ (1.0 * 2 ** np.arange(len(self.classes)))
        if faces.attention is not None:
            more |= zip(ATTENTION, faces.attention.T, strict=True)
        if faces.kept is not None:
            more[KEPT] = faces.kept
        parts += [more[name] for name in extra]
        return np.column_stack(parts).astype(np.float64, copy=False)

    def __repr__(self) -> str:
        found = ", ".join(map(str, self[:3])) + ", ..." * (len(self) > 3)
        return f"FrameResult({self._count()}{': ' if found else ''}{found}; {self._place()})"

    def _count(self) -> str:
        return f"{len(self)} {'face' if len(self) == 1 else 'faces'}"

    def _place(self) -> str:
        return f"frame {self.index} at {self.time_s:g} s, source={self.source!r}"

    def _repr_html_(self) -> str:
        """Show the faces as notebooks show it."""
        header = ("track_id", "emotion", "probability", "xyxy")
        rows = [
            (f.track_id, f.emotion + "?" * f.uncertain, f"{f.probability:.2f}", f.xyxy.round().tolist()) for f in self
        ]
        return create_table(f"{self._count()}; {self._place()}", header, rows)


def create_sets(
    probabilities: NDArray[np.float64], ratio: float, unreadable: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Return which emotions are in each face's set (n, classes); see FrameResult.sets.

    Args:
        probabilities: (n, classes) calibrated.
        ratio: an emotion must be at least so probable, next to the likeliest.
        unreadable: (n,) whose sets hold them all.
    """
    is_in = probabilities >= ratio * probabilities.max(axis=1, initial=0.0, keepdims=True)
    return np.asarray(is_in if unreadable is None else is_in | unreadable[:, None])
